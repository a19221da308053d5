"""The datasets by name: fetched from a mirror, verified, unpacked, and returned as uint8 tensors.

MNIST and its drop-in siblings are four gzipped IDX files (LeCun, Cortes & Burges). `digits` is the UCI set of 8 × 8
digits that scikit-learn bundles: it needs no download.
"""

import hashlib
import math
import struct
import sys
import urllib.request
import zlib
from collections.abc import Callable, Sequence
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

import torch
from torch import Tensor
from tqdm import tqdm

from autoencoder.errors import UserError
from autoencoder.files import write_atomically

TIMEOUT = 20  # seconds without a byte

# What each file must hold, in torchvision's order of files: the shape of its IDX array.
SHAPES = {
    "train_images": (60_000, 28, 28),
    "train_labels": (60_000,),
    "test_images": (10_000, 28, 28),
    "test_labels": (10_000,),
}
# name → bytes, SHA-256. The siblings' files are verified by the MD5 sums that torchvision lists.
MNIST_FILES = {
    "train-images-idx3-ubyte.gz": (9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
    "train-labels-idx1-ubyte.gz": (28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
    "t10k-images-idx3-ubyte.gz": (1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
    "t10k-labels-idx1-ubyte.gz": (4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
}
DIGITS_TRAIN = 1_500  # of 1,797, in the order of the set


class NoMirrorError(UserError):
    """No address could be reached. Never raised for content that arrived and was wrong."""


def load(name: str, mirror: str | None = None, kept: Path | None = None) -> dict[str, Tensor]:
    """The dataset `name` as `{train,test}_images` uint8 [n, 1, height, width] and `{train,test}_labels` uint8 [n].

    `mirror` (a directory or URL that holds the set's files) is asked before the public ones, and before both the folder
    `kept`, where each file is left once it is verified. Raises NoMirrorError if a file can be had from nowhere,
    UserError if one is not what it should be.
    """
    if name == "digits":
        return _digits()
    # torchvision keeps the lists of mirrors and MD5 sums. It takes seconds to import: only where it is needed.
    from torchvision import datasets

    source = {"mnist": datasets.MNIST, "fashion_mnist": datasets.FashionMNIST, "kmnist": datasets.KMNIST}[name]
    mirrors = ([mirror] if mirror else []) + sorted(source.mirrors, key=lambda url: not url.startswith("https:"))
    tensors = {}
    for (part, shape), (file, md5) in zip(SHAPES.items(), source.resources, strict=True):
        here = kept / name / file if kept else None
        first = [str(here.parent)] if here and here.exists() else []
        address, content = fetch(file, first + mirrors, limit=math.prod(shape) + 4096)
        verify(address, content, md5, MNIST_FILES.get(file) if name == "mnist" else None)
        if here and not first:
            write_atomically(here, content)
        array = read_idx(unpack(content, 4 + 4 * len(shape) + math.prod(shape), address), shape, address)
        tensors[part] = array.unsqueeze(1) if part.endswith("images") else array
    return tensors


def fetch(file: str, mirrors: Sequence[str], *, limit: int) -> tuple[str, bytes]:
    """Address and content of `file` at the first of `mirrors` (directories or URLs) that gives it, up to `limit` bytes.

    Raises NoMirrorError that names every address and its reason, UserError if a mirror sends more than `limit`.
    """
    failures = []
    for mirror in mirrors:
        address = f"{mirror.rstrip('/')}/{file}" if "://" in mirror else (Path(mirror) / file).resolve().as_uri()
        try:
            if "@" in urlsplit(address).netloc:
                raise ValueError("a user and a password in an address are not supported")
            with urllib.request.urlopen(address, timeout=TIMEOUT) as response:
                content = _read(response.read, file, limit)
        except (OSError, HTTPException, ValueError) as error:
            failures.append(f"{address} ({getattr(error, 'reason', None) or error})")
            continue
        if len(content) > limit:
            raise UserError(f"{address}: expected at most {limit:,} bytes, found more; remove it or use another mirror")
        return address, content
    raise NoMirrorError(
        f"{file}: no mirror could be reached: tried {'; '.join(failures)}. Go online, or set AUTOENCODER_MIRROR to a "
        "directory or URL that has the file, or use the bundled set: dvc exp run -S data.name=digits"
    )


def _read(read: Callable[[int], bytes], file: str, limit: int) -> bytes:
    content = bytearray()
    with tqdm(desc=file, unit="B", unit_scale=True, disable=not sys.stderr.isatty()) as bar:
        while len(content) <= limit and (block := read(1 << 16)):
            content += block
            bar.update(len(block))
    return bytes(content)


def verify(address: str, content: bytes, md5: str, size_and_sha256: tuple[int, str] | None) -> None:
    """Compare size and SHA-256, or where they are not known the MD5 sum. Raises UserError on a difference."""
    if size_and_sha256 is None:
        expected, found = f"MD5 {md5}", f"MD5 {hashlib.md5(content, usedforsecurity=False).hexdigest()}"
    else:
        size, sha256 = size_and_sha256
        expected = f"{size:,} bytes with SHA-256 {sha256}"
        found = f"{len(content):,} bytes with SHA-256 {hashlib.sha256(content).hexdigest()}"
    if found != expected:
        raise UserError(
            f"{address}: expected {expected}, found {found}; "
            "altered, truncated, or of another data set: remove it or use another mirror"
        )


def unpack(content: bytes, size: int, address: str) -> bytes:
    """Gunzip `content`, which must hold `size` bytes; never more than one byte above that is produced."""
    gunzip = zlib.decompressobj(wbits=31)
    try:
        unpacked = gunzip.decompress(content, size + 1)
    except zlib.error as error:
        raise UserError(f"{address}: expected a gzip file, found {error}; fetch it again") from None
    if len(unpacked) != size or not gunzip.eof:
        found = "more" if len(unpacked) > size else f"{len(unpacked):,} and no end"
        raise UserError(f"{address}: expected {size:,} bytes unpacked, found {found}; fetch it again")
    return unpacked


def read_idx(content: bytes, shape: tuple[int, ...], address: str) -> Tensor:
    """The uint8 tensor of an IDX file (magic 0x0000 08 dims, big-endian sizes, then the bytes), which must be `shape`.

    Raises UserError if header or length say something else.
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


def _digits() -> dict[str, Tensor]:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = torch.from_numpy(bunch.images).mul(255 / 16).round().to(torch.uint8).unsqueeze(1)  # 0…16 → 0…255
    labels = torch.from_numpy(bunch.target).to(torch.uint8)
    return {
        "train_images": images[:DIGITS_TRAIN],
        "train_labels": labels[:DIGITS_TRAIN],
        "test_images": images[DIGITS_TRAIN:],
        "test_labels": labels[DIGITS_TRAIN:],
    }
