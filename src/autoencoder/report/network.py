"""A model's layers as plain data, which numpy computes here and page.js computes on the page."""

from typing import Any

import numpy as np
from jaxtyping import Float32, Float64
from numpy import ndarray

from autoencoder.errors import UserError

Layers = list[dict[str, Any]]


def layers(model: str, weights: dict[str, Float32[ndarray, "..."]]) -> tuple[Layers, Layers]:
    """The encoder's and the decoder's layers: what each does (`kind`), and with which weights."""
    if model != "linear":
        raise UserError(f"model.name: expected linear, the only model that report.html computes yet, found {model}")
    encoder, decoder = weights["encoder.linear.weight"], weights["decoder.linear.weight"]
    return [{"kind": "linear", "weight": encoder}], [{"kind": "linear", "weight": decoder}]


def apply(network: Layers, x: Float64[ndarray, "batch input"]) -> Float64[ndarray, "batch output"]:
    """What the layers make of x, in float64."""
    for layer in network:
        x = x @ layer["weight"].T.astype(np.float64)
    return x
