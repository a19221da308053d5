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
    rows = np.moveaxis(pixels if len(pixels) == RGB else pixels[:1], 0, 2)
    return _address(rows.reshape(len(rows), -1), pixels.shape[2], COLOUR if len(pixels) == RGB else GREY)


def signed(values: Float64[ndarray, "height width"]) -> str:
    """Numbers from -1 to 1: the further from zero, the less transparent."""
    level = np.clip(np.rint(values * 127), -127, 127).astype(int) + 127
    strength = np.abs(np.arange(255) - 127) * 2
    palette = _chunk(b"PLTE", bytes((*NEGATIVE * 127, *POSITIVE * 128))) + _chunk(b"tRNS", bytes(strength.tolist()))
    return _address(level.astype(np.uint8), values.shape[1], INDEXED, palette)


def _address(rows: UInt8[ndarray, "height bytes"], width: int, kind: int, palette: bytes = b"") -> str:
    raw = np.pad(rows, ((0, 0), (1, 0))).tobytes()  # each row begins with its filter: none
    stored = b"\x78\x01"
    for start in range(0, len(raw), STORED):
        block = raw[start : start + STORED]
        stored += struct.pack("<BHH", start + STORED >= len(raw), len(block), 0xFFFF - len(block)) + block
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, len(rows), 8, kind, 0, 0, 0))
    body = _chunk(b"IDAT", stored + struct.pack(">I", zlib.adler32(raw)))
    content = b"\x89PNG\r\n\x1a\n" + head + palette + body + _chunk(b"IEND", b"")
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
