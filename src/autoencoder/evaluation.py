"""How good a model is: its errors on both splits, and how near it came to the optimum (see `pca`)."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from autoencoder import published
from autoencoder.models import LinearAutoencoder, mean_squared_error
from autoencoder.pca import Optimum, principal_cosines


@dataclass(frozen=True)
class Angle:
    """A row of metrics/principal_angles.csv: one principal angle between the decoder's span and the PCA subspace."""

    direction: int
    degrees: float
    cosine_squared: float


def evaluate(
    model: LinearAutoencoder, images: dict[str, Tensor], optimum: Optimum, batch_size: int
) -> tuple[dict[str, dict[str, Any]], list[Angle]]:
    """The final figures by group (`test`, `train`, `pca`), and the principal angles in ascending order."""
    decoder = model.decoder.linear.weight.detach().cpu()
    inputs, code_dimensions = decoder.shape
    best = {
        "test": (optimum.test_mse, optimum.centred_test_mse),
        "train": (optimum.train_mse, optimum.centred_train_mse),
    }
    figures: dict[str, dict[str, Any]] = {}
    for split, (uncentred, centred) in best.items():
        mse = mean_squared_error(model, images[f"{split}_images"], batch_size)
        figures[split] = {
            "mse": mse,
            "mse_unit": mse / 4,
            "loss_as_published": mse / published.DIVISOR,
            "optimum_mse": uncentred[code_dimensions].item(),
            "ratio_to_optimum": mse / uncentred[code_dimensions].item(),
            "centred_optimum_mse": centred[code_dimensions].item(),
        }
    cosines = principal_cosines(decoder, optimum.axes[:, :code_dimensions])
    figures["pca"] = {
        "code_dimensions": code_dimensions,
        "compression": inputs / code_dimensions,
        "directions_captured": cosines.square().sum().item(),
        "largest_angle_degrees": cosines.acos().rad2deg().max().item(),
    }
    degrees, squares = cosines.acos().rad2deg().tolist(), cosines.square().tolist()
    return figures, [Angle(n, *row) for n, row in enumerate(zip(degrees, squares, strict=True), 1)]
