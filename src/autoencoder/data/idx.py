"""Gzipped IDX files, the format of MNIST (LeCun, Cortes & Burges) and of the sets made after it, unpacked with care."""

import math
import struct
import zlib

import torch
from torch import Tensor

from autoencoder.errors import UserError


def unpack(content: bytes, size: int, address: str) -> bytes:
    """Gunzip `content`, which must hold `size` bytes; never more than one byte above that is produced."""
    gunzip = zlib.decompressobj(wbits=31)
    try:
        unpacked = gunzip.decompress(content, size + 1)
    except zlib.error as error:
        raise UserError(f"{address}: expected a gzip file, found {error}; fetch it again") from None
    if len(unpacked) != size or not gunzip.eof:
        found = "more" if len(unpacked) > size else f"{len(unpacked):,}{'' if gunzip.eof else ' and no end'}"
        raise UserError(f"{address}: expected {size:,} bytes unpacked, found {found}; fetch it again")
    return unpacked


def read_idx(content: bytes, shape: tuple[int, ...], address: str) -> Tensor:
    """The uint8 tensor of an IDX file (magic 0x0000 08 dims, big-endian sizes, then the bytes), which must be `shape`.

    Raises UserError if header or length do not fit.
    """
    header = struct.pack(f">4B{len(shape)}I", 0, 0, 8, len(shape), *shape)
    if content[: len(header)] != header:
        raise UserError(
            f"{address}: expected the IDX header {header.hex(' ', 4)} (uint8, {' × '.join(map(str, shape))}), "
            f"found {content[: len(header)].hex(' ', 4)}; fetch it again"
        )
    if len(content) != len(header) + math.prod(shape):
        raise UserError(
            f"{address}: expected {math.prod(shape):,} bytes behind the header, "
            f"found {len(content) - len(header):,}; fetch it again"
        )
    return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=len(header)).reshape(shape)
