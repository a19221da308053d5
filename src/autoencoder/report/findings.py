"""What the page says of a run beyond its metrics: errors of single images, principal order, the map of the codes.

Sums are matrix products, which are the same bits on every CPU that the numeric profile covers; numpy's own are not.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64, UInt8
from numpy import ndarray

Matrix = Float64[ndarray, "rows columns"]

BRIGHT = 128  # pixels from here on are a stroke


def errors(x: Matrix, reconstruction: Matrix) -> Float64[ndarray, " n"]:
    """Per image, the mean over its pixels of the squared error."""
    return np.asarray((x - reconstruction) ** 2 @ np.full(x.shape[1], 1 / x.shape[1]))


def equal_rank(optimum: Sequence[float] | Float64[ndarray, " ranks"], mse: float) -> float:
    """The rank at which PCA has the error `mse`, interpolated between two whole ranks; the last where it never has."""
    worse = int(sum(error > mse for error in optimum))
    if worse in (0, len(optimum)):
        return float(max(worse - 1, 0))
    above, below = float(optimum[worse - 1]), float(optimum[worse])
    return worse - 1 + (above - mse) / (above - below)


def principal_order(encoder: Matrix, decoder: Matrix, x: Matrix, count: int) -> tuple[Matrix, Matrix]:
    """R⁻¹ and R, cut to `count` leading rows and columns: W_dec R and R⁻¹ W_enc are the same linear autoencoder.

    Its code numbers are uncorrelated, add orthonormal pictures, and the first carries most energy.
    """
    _, t = np.linalg.qr(decoder)
    codes = x @ encoder.T @ t.T
    rotation = _signed(np.linalg.eigh(codes.T @ codes)[1][:, ::-1])
    return (rotation.T @ t)[:count], np.linalg.solve(t, rotation)[:, :count]


def map_of(codes: Matrix) -> tuple[Matrix, Float64[ndarray, " code"], Matrix, float]:
    """Codes on their two leading principal axes: points, centre, axes, and their share of the variance.

    A code, of at least two numbers, is about centre + point @ axes.
    """
    n = len(codes)
    centre = np.full(n, 1 / n) @ codes
    about = codes - centre
    values, vectors = np.linalg.eigh(about.T @ about)
    axes = _signed(vectors[:, ::-1])[:, :2].T
    return about @ axes.T, centre, axes, float(values[-1] + values[-2]) / float(np.trace(about.T @ about))


def strokes(images: UInt8[ndarray, "n height width"]) -> dict[str, Any] | None:
    """How large these images' strokes are and where they lie, or None if they are no bright strokes on dark ground.

    `size` is the median of the longer side of their bounding boxes in pixels, `centre` the mean centre of mass (x, y).
    """
    bright = images >= BRIGHT
    corners = bright[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    if corners.mean() > 0.01 or bright.mean() > 0.4 or not bright.any():  # noqa: PLR2004
        return None
    drawn = images[bright.any((1, 2))]
    sides = [np.ptp(np.nonzero(image), axis=1).max() + 1 for image in drawn]
    rows, columns = np.indices(images.shape[1:]).reshape(2, -1)
    mass = drawn.reshape(len(drawn), -1).astype(np.float64)
    sums = mass @ np.stack([columns, rows, np.ones_like(rows)], 1).astype(np.float64)
    centre = (sums[:, :2] / sums[:, 2:] + 0.5).T @ np.full(len(drawn), 1 / len(drawn))
    return {"size": int(np.median(sides)), "centre": centre.round(2).tolist()}


def _signed(vectors: Matrix) -> Matrix:
    """Columns with the sign that makes their largest entry positive: an eigenvector has no sign of its own."""
    largest = vectors[np.abs(vectors).argmax(0), np.arange(vectors.shape[1])]
    return vectors * np.where(largest < 0, -1.0, 1.0)
