"""What the model makes of a sample of the test images, and what that shows beyond the run's metrics.

Sums are matrix products, which are the same bits on every x86-64 CPU with AVX2; numpy's `sum` is not.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64, UInt8
from numpy import ndarray

from autoencoder.report import network
from autoencoder.report.run import Run

SAMPLE = 1_000  # test images, evenly spaced: all classes are met, whether or not the images are sorted
BRIGHT = 128  # pixels from here on are a stroke

Matrix = Float64[ndarray, "rows columns"]


class Findings(NamedTuple):
    """The sample's images, as they are and scaled from `low` to 1, their codes, reconstructions and errors."""

    low: int
    encoder: list[network.Layer]
    decoder: list[network.Layer]
    sample: Int64[ndarray, " n"]  # which test images
    images: UInt8[ndarray, "n channels height width"]
    labels: UInt8[ndarray, " n"] | None
    x: Matrix
    codes: Matrix
    rebuilt: Matrix
    errors: Float64[ndarray, " n"]


def spread(n: int, count: int) -> Int64[ndarray, " chosen"]:
    """At most `count` of n indices, evenly spaced."""
    return np.arange(min(n, count)) * n // min(n, count)


def findings(run: Run) -> Findings:
    """Encode and decode the sample."""
    low = 0 if run.description["loss"] == "bce" else -1
    sample = spread(len(run.test), SAMPLE)
    images = run.test[sample]
    labels = None if run.labels is None else run.labels[sample]
    x = images.reshape(len(images), -1) * ((1 - low) / 255) + low
    encoder, decoder = network.layers(run.description, run.weights)
    codes = network.apply(encoder, x)
    rebuilt = network.apply(decoder, codes)
    errors = (x - rebuilt) ** 2 @ np.full(x.shape[1], (2 / (1 - low)) ** 2 / x.shape[1])
    return Findings(low, encoder, decoder, sample, images, labels, x, codes, rebuilt, errors)


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


def tangents(encoder: list[network.Layer], x: Float64[ndarray, "1 input"], count: int) -> Matrix:
    """The `count` directions, of unit length, in which the code of one x changes most: of its Jacobian, J."""
    return _signed(np.linalg.svd(network.jacobian(encoder, x), full_matrices=False)[2][:count].T).T


def strokes(images: UInt8[ndarray, "n height width"]) -> dict[str, Any] | None:
    """How large these images' strokes are and where they lie, or None if they are no bright strokes on dark ground.

    `size` is the median of the longer side of their bounding boxes in pixels, `centre` their centre of mass (x, y).
    """
    bright = images >= BRIGHT
    corners = bright[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    if corners.mean() > 0.01 or bright.mean() > 0.4 or not bright.any():  # noqa: PLR2004
        return None
    sides = [np.ptp(np.nonzero(image), axis=1).max() + 1 for image in bright if image.any()]
    total = images.sum(0, dtype=np.int64)
    centre = [total.sum(axis) @ np.arange(total.shape[1 - axis]) / total.sum() + 0.5 for axis in (0, 1)]
    return {"size": int(np.median(sides)), "centre": [round(float(place), 2) for place in centre]}


def _signed(vectors: Matrix) -> Matrix:
    """Columns with the sign that makes their largest entry positive: an eigenvector has no sign of its own."""
    largest = vectors[np.abs(vectors).argmax(0), np.arange(vectors.shape[1])]
    return vectors * np.where(largest < 0, -1.0, 1.0)
