"""How good a model is: its errors on both splits, and how near it came to the optimum (see `optimum`)."""

from dataclasses import dataclass
from typing import Any

import torch

from autoencoder import article
from autoencoder.analysis.optimum import Optimum, principal_cosines
from autoencoder.analysis.results import Results
from autoencoder.models.linear import LinearAutoencoder
from autoencoder.training.objective import mean_squared_error, squared_errors

QUANTILES = 1_000


@dataclass(frozen=True)
class Angle:
    """A row of metrics/principal_angles.csv: one principal angle between the decoder's span and the PCA subspace."""

    direction: int
    degrees: float
    cosine_squared: float


@dataclass(frozen=True)
class Quantile:
    """A row of metrics/test_errors.csv: so large a share of the test images has at most this squared error.

    The error is that of an image in the literature's units: the sum over its pixels, which are between 0 and 1.
    """

    share: float
    squared_error: float


def quantiles(results: Results, batch_size: int) -> list[Quantile]:
    """The distribution of the test images' errors, by which the error of another picture is judged."""
    images, pixels = results.images.test, results.description.input_dimensions
    errors = squared_errors(results.model, images, batch_size) * (pixels / 4)
    shares = torch.arange(QUANTILES + 1, dtype=torch.float64) / QUANTILES
    ordered = errors.sort().values  # torch.quantile takes at most 16 million numbers
    found = ordered[(shares * (len(ordered) - 1)).round().long()]
    return [Quantile(*row) for row in zip(shares.tolist(), found.tolist(), strict=True)]


def errors(results: Results, batch_size: int) -> dict[str, dict[str, Any]]:
    """The errors of any model by split, beside those of the best linear map with a code of the same length."""
    optimum, k = results.optimum, results.description.code_dimensions
    best = {
        "test": (optimum.test_mse[k].item(), optimum.centred_test_mse[k].item()),
        "train": (optimum.train_mse[k].item(), optimum.centred_train_mse[k].item()),
    }
    figures = {}
    for split, (uncentred, centred) in best.items():
        mse = mean_squared_error(results.model, getattr(results.images, split), batch_size)
        figures[split] = {
            "mse": mse,
            "mse_unit": mse / 4,
            "loss_as_published": mse / article.DIVISOR,
            "optimum_mse": uncentred,
            "ratio_to_optimum": mse / uncentred,
            "centred_optimum_mse": centred,
        }
    return figures


def compare_subspaces(model: LinearAutoencoder, optimum: Optimum) -> tuple[dict[str, Any], list[Angle]]:
    """How much of the principal subspace a linear model's decoder spans: figures, and the angles in ascending order."""
    decoder = model.decoder.linear.weight.detach().cpu()
    inputs, code_dimensions = decoder.shape
    cosines = principal_cosines(decoder, optimum.axes[:, :code_dimensions])
    degrees, squares = cosines.acos().rad2deg(), cosines.square()
    figures = {
        "code_dimensions": code_dimensions,
        "compression": inputs / code_dimensions,
        "directions_captured": squares.sum().item(),
        "largest_angle_degrees": degrees.max().item(),
    }
    rows = zip(degrees.tolist(), squares.tolist(), strict=True)
    return figures, [Angle(direction, *row) for direction, row in enumerate(rows, 1)]
