"""Codes that show what a decoder has learned, and what one image is made of."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from autoencoder.models.autoencoder import Autoencoder


def prior_codes(count: int, code_dimensions: int, seed: int) -> Float[Tensor, "count code"]:
    """Codes drawn from the standard normal distribution."""
    return torch.randn(count, code_dimensions, generator=torch.Generator().manual_seed(seed))


def traversal_codes(
    code: Float[Tensor, " code"], units: Int64[Tensor, " units"], values: Float[Tensor, " values"]
) -> Float[Tensor, "units_values code"]:
    """`code` with one of `units` set to each of `values`: all values of the first unit, then of the second, …."""
    codes = code.repeat(len(units), len(values), 1)
    codes[torch.arange(len(units)), :, units] = values
    return codes.flatten(0, 1)


def manifold_codes(side: int) -> Float[Tensor, "points 2"]:
    """Row by row, a grid of `side` × `side` codes of two numbers that cuts the standard normal into equal shares.

    The first number grows to the right, the second upwards (Kingma & Welling 2014, figure 4).
    """
    shares = (torch.arange(side) + 0.5) / side
    quantiles = torch.special.ndtri(shares)
    second, first = torch.meshgrid(quantiles.flip(0), quantiles, indexing="ij")
    return torch.stack([first.flatten(), second.flatten()], 1)


def blends(
    first: Float[Tensor, "pairs values"], second: Float[Tensor, "pairs values"], steps: int
) -> Float[Tensor, "pairs_steps values"]:
    """For each pair, `steps` rows on the straight line from the first to the second."""
    weights = torch.linspace(0, 1, steps).reshape(1, steps, 1)
    return torch.lerp(first.unsqueeze(1), second.unsqueeze(1), weights).flatten(0, 1)


def leading_axes(codes: Float[Tensor, "n code"]) -> tuple[Float64[Tensor, "n 2"], list[float]]:
    """Centred codes on their two principal axes (one is given a 0 beside it), and the axes' shares of the variance.

    The largest entry of each axis is positive.
    """
    centred = codes.double() - codes.double().mean(0)
    variances, vectors = torch.linalg.eigh(centred.T @ centred)
    axes = vectors.flip(1)[:, :2]
    axes = axes * axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign()
    points = torch.zeros(len(codes), 2, dtype=torch.float64)
    points[:, : axes.shape[1]] = centred @ axes
    shares = (variances / variances.sum().clamp_min(1e-300)).flip(0).tolist()  # codes may be all alike
    return points, [*shares, 0.0][:2]


@torch.no_grad()
def atoms(model: Autoencoder, codes: Float[Tensor, "n code"]) -> Float[Tensor, "code input"]:
    """What each unit alone adds to the pixels of the code 0, at its mean value where `codes` have it active."""
    counts = (codes != 0).sum(0).clamp_min(1)
    nothing = torch.zeros(1, codes.shape[1])
    return (model.decode(torch.diag(codes.sum(0) / counts)) - model.decode(nothing)) / (1 - model.lowest)


@dataclass(frozen=True)
class Sum:
    """A reconstruction's pixels as a sum: those of the code 0, and what each of `units`, the largest first, adds."""

    units: list[int]
    values: list[float]
    start: Float[Tensor, "1 input"]
    added: Float[Tensor, "units input"]
    so_far: Float[Tensor, "units input"]


@torch.no_grad()
def as_sum(model: Autoencoder, code: Float[Tensor, " code"]) -> Sum:
    """The reconstruction of `code`, built from its active units one after the other."""
    units = code.abs().argsort(descending=True, stable=True)[: int((code != 0).sum())]
    partial = torch.zeros(len(units) + 1, len(code))
    for step, unit in enumerate(units.tolist(), 1):
        partial[step:, unit] = code[unit]
    pictures = (model.decode(partial) - model.lowest) / (1 - model.lowest)
    return Sum(units.tolist(), code[units].tolist(), pictures[:1], pictures.diff(dim=0), pictures[1:])
