"""How good a model is: its errors on both splits, and how near it came to the optimum (see `optimum`)."""

from dataclasses import dataclass
from typing import Any

from autoencoder import article
from autoencoder.analysis.optimum import Optimum, principal_cosines
from autoencoder.analysis.results import Results
from autoencoder.models.linear import LinearAutoencoder
from autoencoder.training.objective import mean_squared_error


@dataclass(frozen=True)
class Angle:
    """A row of metrics/principal_angles.csv: one principal angle between the decoder's span and the PCA subspace."""

    direction: int
    degrees: float
    cosine_squared: float


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
