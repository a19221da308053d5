"""Small pictures as data: addresses of PNGs."""

import base64
import io

import numpy as np
from jaxtyping import Float64, UInt8
from numpy import ndarray
from PIL import Image

POSITIVE, NEGATIVE = (208, 84, 26), (70, 102, 140)  # as in page.js

Shape = tuple[int, ...]  # channels, height, width
Rows = Float64[ndarray, "n input"]


def image(pixels: UInt8[ndarray, "channels height width"]) -> str:
    """A picture in colour, or in colour with opacity; else its first channel as grey."""
    content = io.BytesIO()
    shown = np.moveaxis(pixels, 0, 2) if len(pixels) in (3, 4) else pixels[0]
    Image.fromarray(np.ascontiguousarray(shown)).save(content, "PNG")
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"


def shades(rows: Rows, shape: Shape, low: float) -> list[str]:
    """Rows of numbers from `low`, black, to 1."""
    pixels = np.rint(np.clip((rows - low) / (1 - low), 0, 1) * 255).astype(np.uint8)
    return [image(row.reshape(shape)) for row in pixels]


def signed(rows: Rows, shape: Shape) -> list[str]:
    """Rows on their own scales: the further from zero, the less transparent; in colour, zero is grey."""
    rows = rows / np.maximum(np.abs(rows).max(1, keepdims=True), 1e-12)
    if shape[0] == len("rgb"):
        return shades(rows, shape, -1)
    positive, opacity = rows[:, None, :] > 0, np.rint(np.abs(rows[:, None, :]) * 255)
    colours = np.where(positive, *(np.array(colour).reshape(1, 3, 1) for colour in (POSITIVE, NEGATIVE)))
    coloured = np.concatenate([colours, opacity], 1).astype(np.uint8)
    return [image(row.reshape(-1, *shape[1:])) for row in coloured[:, :, : shape[1] * shape[2]]]
