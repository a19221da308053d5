"""Small pictures as data: PNG addresses, written without a compressor, whose versions would differ in their bytes."""

import base64
import struct
import zlib

import numpy as np
from jaxtyping import Float64, UInt8
from numpy import ndarray

POSITIVE, NEGATIVE = (208, 84, 26), (70, 102, 140)  # as in page.js
STORED = 65_535  # bytes that an uncompressed block of deflate holds
KINDS = {1: 0, 3: 2, 4: 6}  # PNG's names for grey, for colour, and for colour with opacity


def image(pixels: UInt8[ndarray, "channels height width"]) -> str:
    """A picture of 1, 3 or 4 channels; of another number, its first channel."""
    pixels = pixels if len(pixels) in KINDS else pixels[:1]
    rows = np.moveaxis(pixels, 0, 2).reshape(pixels.shape[1], -1)
    raw = np.pad(rows, ((0, 0), (1, 0))).tobytes()  # each row begins with its filter: none
    stored = b"\x78\x01"
    for start in range(0, len(raw), STORED):
        block = raw[start : start + STORED]
        stored += struct.pack("<BHH", start + STORED >= len(raw), len(block), 0xFFFF - len(block)) + block
    head = struct.pack(">IIBBBBB", pixels.shape[2], len(rows), 8, KINDS[len(pixels)], 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", stored + struct.pack(">I", zlib.adler32(raw))), (b"IEND", b""))
    content = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def shades(values: Float64[ndarray, "channels height width"]) -> str:
    """A picture of numbers from 0, black, to 1."""
    return image(np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8))


def signed(values: Float64[ndarray, "channels height width"]) -> str:
    """Numbers on their own scale: the further from zero, the less transparent; in colour, zero is grey."""
    values = values / max(np.abs(values).max(), 1e-12)
    if len(values) in KINDS and len(values) > 1:
        return shades((values + 1) / 2)
    colours = np.where(values[:1] > 0, *(np.array(colour).reshape(3, 1, 1) for colour in (POSITIVE, NEGATIVE)))
    return image(np.concatenate([colours, np.rint(np.abs(values[:1]) * 255)]).astype(np.uint8))
