"""Small pictures as data: PNG addresses, written without a compressor, whose versions would differ in their bytes."""

import base64
import struct
import zlib

import numpy as np
from jaxtyping import Float64, UInt8
from numpy import ndarray

POSITIVE, NEGATIVE = (208, 84, 26), (70, 102, 140)  # as in page.js
STORED = 65_535  # bytes that an uncompressed block of deflate holds
GREY, COLOUR, INDEXED = 0, 2, 3  # PNG's names for what a pixel is
RGB = 3


def image(pixels: UInt8[ndarray, "channels height width"]) -> str:
    """A grey or colour picture."""
    kind = COLOUR if len(pixels) == RGB else GREY
    rows = np.moveaxis(pixels[: RGB if kind == COLOUR else 1], 0, 2)
    return _address(rows.reshape(len(rows), -1), pixels.shape[2], kind)


def signed(values: Float64[ndarray, "height width"], limit: float) -> str:
    """Numbers from -limit to limit: the further from zero, the less transparent."""
    level = np.clip(np.rint(values / limit * 127), -127, 127).astype(int) + 127
    strength = np.abs(np.arange(255) - 127) * 2
    colours = b"".join(bytes(NEGATIVE if n < 127 else POSITIVE) for n in range(255))  # noqa: PLR2004
    return _address(
        level.astype(np.uint8),
        values.shape[1],
        INDEXED,
        _chunk(b"PLTE", colours) + _chunk(b"tRNS", bytes(strength.tolist())),
    )


def _address(rows: UInt8[ndarray, "height bytes"], width: int, kind: int, palette: bytes = b"") -> str:
    height = len(rows)
    raw = np.hstack([np.zeros((height, 1), np.uint8), rows]).tobytes()  # each row begins with its filter: none
    blocks = [raw[start : start + STORED] for start in range(0, len(raw), STORED)]
    stored = b"".join(
        struct.pack("<BHH", number == len(blocks), len(block), 0xFFFF - len(block)) + block
        for number, block in enumerate(blocks, 1)
    )
    content = (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))
        + palette
        + _chunk(b"IDAT", b"\x78\x01" + stored + struct.pack(">I", zlib.adler32(raw)))
        + _chunk(b"IEND", b"")
    )
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
