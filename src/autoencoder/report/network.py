"""A model's layers as plain data, which numpy computes here and page.js computes on the page."""

from itertools import accumulate, pairwise, product
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64
from numpy import ndarray

Layer = dict[str, Any]
Rows = Float64[ndarray, "batch numbers"]

CONSTRAINTS = ("none", "l1", "top_k", "contractive", "variational")  # whose codes `layers` knows
BATCH = 20  # rows that pass through the layers at a time: what convolutions make of them fits a cache
STEP = 1e-6  # of differences that stand for derivatives


def layers(description: dict[str, Any], weights: dict[str, Float32[ndarray, "..."]]) -> tuple[list[Layer], list[Layer]]:
    """The encoder's and the decoder's layers: what each does (`kind`), and with which weights."""
    encoder, decoder = (_half(name, description, weights) for name in ("encoder", "decoder"))
    constraint = description["constraint"]
    on_code = {
        "l1": [{"kind": "relu"}],
        "top_k": [{"kind": "largest", "count": constraint.get("active")}],
        "variational": [{"kind": "first", "count": description["code_dimensions"]}],  # the means
    }
    encoder += on_code.get(constraint["name"], [])
    return encoder, decoder + [{"kind": "sigmoid"}] * (description["loss"] == "bce")


def _half(half: str, description: dict[str, Any], weights: dict[str, Float32[ndarray, "..."]]) -> list[Layer]:
    """One half: layers with weights, in the order of their names in torch's Sequential, and activations between."""
    names = sorted({name.rpartition(".")[0] for name in weights if name.startswith(half)}, key=lambda n: (len(n), n))
    folded = [name for name in names if weights[f"{name}.weight"].ndim == len("oihw")]
    sizes = [tuple(description["image_shape"][1:])]
    for _ in folded:
        sizes.append(tuple(-(-edge // 2) for edge in sizes[-1]))
    folds = dict(zip(folded if half == "encoder" else folded[::-1], pairwise(sizes), strict=True))
    found: list[Layer] = []
    for name in names:
        if found:
            found.append({"kind": description["options"]["activation"]})
        own = [kind for kind in ("weight", "bias") if f"{name}.{kind}" in weights]
        layer: Layer = {kind: weights[f"{name}.{kind}"].astype(np.float64) for kind in own}
        if name in folds:
            layer |= dict(zip(("large", "small"), folds[name], strict=True)) | {"up": half == "decoder"}
        found.append({"kind": "convolution" if name in folds else "linear"} | layer)
    return found


def apply(network: list[Layer], x: Rows) -> Rows:
    """What the layers make of x, in float64."""
    return np.concatenate([_through(network, x[start : start + BATCH])[-1] for start in range(0, len(x), BATCH)])


def _through(network: list[Layer], x: Rows) -> list[Rows]:
    """x, and what each layer makes of what the layer before it made."""
    return [*accumulate(network, lambda made, layer: KINDS[layer["kind"]](made, layer), initial=x)]


def jacobian(network: list[Layer], x: Float64[ndarray, "1 input"]) -> Float64[ndarray, "output input"]:
    """The derivative of what the layers make of one x, by the chain rule from the last layer to the first."""
    *inputs, output = _through(network, x)
    rows = np.eye(output.shape[1])
    for layer, at in zip(network[::-1], inputs[::-1], strict=True):
        if layer["kind"] == "linear":
            rows = rows @ layer["weight"]
        elif layer["kind"] == "convolution":
            rows = _convolution(rows, layer | {"up": not layer["up"], "bias": np.zeros(1)})
        else:
            apply_to = KINDS[layer["kind"]]
            rows = rows * (apply_to(at + STEP, layer) - apply_to(at - STEP, layer)) / (2 * STEP)
    return rows


def _convolution(x: Rows, layer: Layer) -> Rows:
    """3 × 3 with stride 2 and padding 1, from the large picture to the small one, or transposed: `up`."""
    (many, few), (rows, columns), n = layer["weight"].shape[:2], layer["small"], len(x)
    kernels = layer["weight"].transpose(2, 3, 1, 0).reshape(-1, many)
    padded = np.zeros((few, 2 * rows + 1, 2 * columns + 1, n))
    large = padded[:, 1 : layer["large"][0] + 1, 1 : layer["large"][1] + 1]
    seen = [padded[:, u : u + 2 * rows : 2, v : v + 2 * columns : 2] for u, v in product(range(3), repeat=2)]
    if layer["up"]:
        for place, part in zip(seen, np.split(kernels @ x.T.reshape(many, -1), len(seen)), strict=True):
            np.add(place, part.reshape(place.shape), out=place)
        made = large
    else:
        large[:] = x.T.reshape(large.shape)
        made = kernels.T @ np.concatenate([place.reshape(few, -1) for place in seen])
    return np.asarray((made.reshape(len(made), -1) + layer["bias"][:, None]).reshape(-1, n).T)


def _gelu(x: Rows, _: Layer) -> Rows:
    """Number times its normal probability, to 1.5e-7 (Abramowitz & Stegun 1964, 7.1.26)."""
    t = 1 / (1 + 0.3275911 * np.abs(x) / np.sqrt(2))
    tail = np.polyval([1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592, 0], t) * np.exp(-x * x / 2)
    return np.asarray(x / 2 * np.where(x < 0, tail, 2 - tail))


KINDS: dict[str, Any] = {
    "linear": lambda x, layer: x @ layer["weight"].T + layer.get("bias", 0),
    "convolution": _convolution,
    "relu": lambda x, _: np.maximum(x, 0),
    "tanh": lambda x, _: np.tanh(x),
    "sigmoid": lambda x, _: (1 + np.tanh(x / 2)) / 2,
    "gelu": _gelu,
    "largest": lambda x, layer: np.where(x >= np.sort(x, 1)[:, -layer["count"], None], x, 0),
    "first": lambda x, layer: x[:, : layer["count"]],
}
