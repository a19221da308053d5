"""What is asked of one family alone: figures of its test images, and tables by unit, level or direction."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from autoencoder.analysis import classify, judge
from autoencoder.analysis.optimum import moments
from autoencoder.analysis.results import BATCH, Results
from autoencoder.analysis.subspace import LARGEST
from autoencoder.models.constraint import Variational
from autoencoder.training.objective import Objective, objective

Figures = dict[str, float]
Tables = dict[str, Sequence[Any]]  # rows of dataclasses, by the name of a file in metrics/family

LEVELS = (0.0, 0.125, 0.25, 0.375, 0.5)
SAMPLES, SAMPLED_IMAGES = 100, 1_000
JACOBIANS = 500  # images


@dataclass(frozen=True)
class Unit:
    """A row of units.csv: one number of the code, over the test images."""

    unit: int
    mean: float
    deviation: float
    active: float
    divergence_nats: float | None


@dataclass(frozen=True)
class Level:
    """A row of noise_levels.csv: the error of reconstructing images with noise of this level."""

    level: float
    mse: float
    optimum_mse: float | None


@dataclass(frozen=True)
class Direction:
    """A row of singular_values.csv: one of the code's Jacobian, the mean over images."""

    direction: int
    singular_value: float


def judged(results: Results, mse: float) -> tuple[Figures, Tables]:
    """All that applies to this model, whose error on test images is `mse`."""
    asked = objective(results.description)
    codes = results.codes(results.images.test)
    figures: Figures = {}
    tables: Tables = {}
    by_unit = None
    if isinstance(asked.constraint, Variational):
        figures, by_unit = _variational(results, asked)
    if results.description.constraint["name"] in ("l1", "top_k"):
        figures = judge.sparse(codes, mse, results.optimum.centred_test_mse[0].item())
    if results.description.constraint["name"] == "contractive":
        x = results.inputs(classify.thin(results.images.test, JACOBIANS))
        norm, values = judge.contraction(results.model.encode, x)
        figures = {"squared_jacobian_norm": norm}
        tables["singular_values"] = [Direction(number, value) for number, value in enumerate(values.tolist(), 1)]
    if results.description.corruption["name"] != "none":
        denoised, tables["noise_levels"] = _denoising(results, asked)
        figures |= denoised
    tables["units"] = _units(codes, by_unit)
    return figures, tables


def _units(codes: Tensor, by_unit: Tensor | None) -> list[Unit]:
    divergences = [None] * codes.shape[1] if by_unit is None else by_unit.tolist()
    columns = (codes.double().mean(0), codes.double().std(0, correction=0), judge.activity(codes))
    rows = zip(*(column.tolist() for column in columns), divergences, strict=True)
    return [Unit(number, *row) for number, row in enumerate(rows, 1)]


def _variational(results: Results, asked: Objective) -> tuple[Figures, Tensor]:
    by_unit, active = judge.carried(results.model, map(results.inputs, results.images.test.split(BATCH)))
    nats, divergence = asked.nats(results.model, results.images.test), by_unit.sum().item()
    sampled = results.inputs(classify.thin(results.images.test, SAMPLED_IMAGES))
    return {
        "nats": nats,
        "reconstruction_nats": nats - divergence,
        "divergence_nats": divergence,
        "importance_weighted_nats": judge.importance_weighted_nats(results.model, asked, sampled, SAMPLES)
        .mean()
        .item(),
        "active_units": float(active),
    }, by_unit


def _denoising(results: Results, asked: Objective) -> tuple[Figures, list[Level]]:
    trained, images, lowest = asked.corruption.level, results.images, results.model.lowest
    large = images.test[0].numel() > LARGEST  # then a matrix of moments would not fit into memory
    means = None if large else (moments(images.train, lowest), moments(images.test, lowest))
    rows = []
    for level in sorted({*LEVELS, trained}):
        corruption = replace(asked.corruption, level=level)
        mse = judge.denoising_mse(results.model, corruption, map(results.inputs, images.test.split(BATCH)))
        best = means and judge.denoising_optimum(corruption, *means, results.rank, affine=results.centred)
        rows.append(Level(level, mse, best))
    at_trained = next(row for row in rows if row.level == trained)
    figures = {"denoising_mse": at_trained.mse}
    if at_trained.optimum_mse is not None:
        figures["denoising_optimum_mse"] = at_trained.optimum_mse
        figures["ratio_to_denoising_optimum"] = at_trained.mse / at_trained.optimum_mse
    return figures, rows
