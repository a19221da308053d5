"""What the page says of a run beyond its metrics: errors of single images, principal order, the map of the codes.

Sums are matrix products, which are the same bits on every CPU that the numeric profile covers; numpy's own are not.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64, UInt8
from numpy import ndarray

Matrix = Float64[ndarray, "rows columns"]

SHOWN = 100  # test images that travel with the page
MAPPED = 1_000  # test images whose codes are points of the map
SLIDERS = 32  # numbers of the code that have a slider
BRIGHT = 128  # pixels from here on are a stroke


def scale(images: UInt8[ndarray, "n input"]) -> Matrix:
    """Pixels in 0…255 as inputs in [-1, 1]."""
    x: Matrix = images.astype(np.float64) * (2 / 255) - 1
    return x


def spread(n: int, count: int) -> Int64[ndarray, " chosen"]:
    """At most `count` of n indices, evenly spaced: all classes are met, whether or not the images are sorted."""
    count = min(n, count)
    return np.arange(count) * n // count


def errors(x: Matrix, reconstruction: Matrix) -> Float64[ndarray, " n"]:
    """Per image, the mean over its pixels of the squared error."""
    pixels = x.shape[1]
    means: Float64[ndarray, " n"] = (x - reconstruction) ** 2 @ np.full(pixels, 1 / pixels)
    return means


def percentiles(values: Float64[ndarray, " n"]) -> Float64[ndarray, "101"]:
    """The smallest of the values, those that 1 %, 2 %, … of them do not exceed, and the largest."""
    return np.sort(values)[np.arange(101) * (len(values) - 1) // 100]


def equal_rank(optimum: Float64[ndarray, " ranks"], mse: float) -> float:
    """The rank at which PCA has the error `mse`, interpolated between two whole ranks."""
    above = int(np.argmax(optimum <= mse))
    if not above:
        return 0.0
    return above - 1 + float((optimum[above - 1] - mse) / (optimum[above - 1] - optimum[above]))


@dataclass(frozen=True)
class Principal:
    """The same linear autoencoder, its code in principal order: W_dec R and R⁻¹ W_enc.

    `to` is R⁻¹ and `back` is R, cut to the leading rows and columns.
    """

    to: Matrix
    back: Matrix


def principal_order(encoder: Matrix, decoder: Matrix, x: Matrix, count: int) -> Principal:
    """The order in which code numbers are uncorrelated, add orthonormal pictures, and the first carries most energy."""
    _, t = np.linalg.qr(decoder)
    codes = x @ encoder.T @ t.T
    _, vectors = np.linalg.eigh(codes.T @ codes)
    rotation = _signed(vectors[:, ::-1])
    return Principal((rotation.T @ t)[:count], np.linalg.solve(t, rotation)[:, :count])


@dataclass(frozen=True)
class Map:
    """Codes on their two leading principal axes: code ≈ centre + point @ axes, with this `share` of the variance."""

    points: Matrix
    centre: Float64[ndarray, " code"]
    axes: Matrix
    share: float


def map_of(codes: Matrix) -> Map:
    """The map of these codes, of at least two numbers each."""
    n = len(codes)
    centre = np.full(n, 1 / n) @ codes
    about = codes - centre
    values, vectors = np.linalg.eigh(about.T @ about)
    axes = _signed(vectors[:, ::-1])[:, :2].T
    return Map(about @ axes.T, centre, axes, float(values[-1] + values[-2]) / float(np.trace(about.T @ about)))


def strokes(images: UInt8[ndarray, "n height width"]) -> dict[str, Any] | None:
    """How large these images' strokes are and where they lie, or None if they are no bright strokes on dark ground.

    `size` is the median of the longer side of their bounding boxes in pixels, `centre` the mean centre of mass (x, y).
    """
    bright = images >= BRIGHT
    corners = bright[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    if corners.mean() > 0.01 or bright.mean() > 0.4:  # noqa: PLR2004
        return None
    sides, centres = [], []
    for image in images[bright.any((1, 2))]:
        rows, columns = np.nonzero(image)
        sides.append(max(np.ptp(rows), np.ptp(columns)) + 1)
        mass = image[rows, columns].astype(np.int64)
        centres.append([float(mass @ columns), float(mass @ rows), float(mass.sum())])
    total = np.array(centres)
    centre = (total[:, :2] / total[:, 2:] + 0.5).T @ np.full(len(total), 1 / len(total))
    return {"size": int(np.median(sides)), "centre": centre.round(2).tolist()}


def _signed(vectors: Matrix) -> Matrix:
    """Columns with the sign that makes their largest entry positive: an eigenvector has no sign of its own."""
    largest = vectors[np.abs(vectors).argmax(0), np.arange(vectors.shape[1])]
    return vectors * np.where(largest < 0, -1.0, 1.0)
