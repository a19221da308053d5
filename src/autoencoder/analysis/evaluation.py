"""How good any model is: its errors on all splits beside the optimum (see `optimum`), and how well codes classify."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor

from autoencoder import article
from autoencoder.analysis.classify import Progress, neighbour_error, probe_error
from autoencoder.analysis.judge import equivalent_rank
from autoencoder.analysis.optimum import Optimum, principal_cosines
from autoencoder.analysis.results import BATCH, Results
from autoencoder.data.images import scale
from autoencoder.models.linear import LinearAutoencoder
from autoencoder.training.objective import squared_errors

QUANTILES = 1_000


@dataclass(frozen=True)
class Angle:
    """A row of principal_angles.csv: one principal angle between the decoder's span and the PCA subspace."""

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


def quantiles(test_errors: Float64[Tensor, " n"], pixels: int) -> list[Quantile]:
    """The distribution of `squared_errors` of test images of so many `pixels`, to judge another picture's error by."""
    errors = test_errors * (pixels / 4)
    shares = torch.arange(QUANTILES + 1, dtype=torch.float64) / QUANTILES
    ordered = errors.sort().values  # torch.quantile takes at most 16 million numbers
    found = ordered[(shares * (len(ordered) - 1)).round().long()]
    return [Quantile(*row) for row in zip(shares.tolist(), found.tolist(), strict=True)]


def errors_by_image(results: Results, batch_size: int) -> dict[str, Float64[Tensor, " n"]]:
    """`squared_errors` of the images of every split."""
    return {name: squared_errors(results.model, images, batch_size) for name, images in results.images.splits.items()}


def errors(results: Results, by_image: Mapping[str, Float64[Tensor, " n"]]) -> dict[str, dict[str, Any]]:
    """The means of `errors_by_image`, beside those of the best linear map with a code of the same length.

    The optimum of a `linear` model is PCA without a mean, that of an affine one is PCA about the mean; beyond those,
    PCA is no optimum: `equivalent_rank` is the number of components with which it is as good.
    """
    figures = {}
    for split, squared in by_image.items():
        mse = squared.sum().item() / len(squared)
        by_rank = results.optimum.by_rank(split, centred=results.centred)
        figures[split] = {
            "mse": mse,
            "mse_unit": mse / 4,
            "squared_error": mse / 4 * results.description.input_dimensions,
            "loss_as_published": mse / article.DIVISOR,
            **_beside_optimum(results, split, mse),
            "equivalent_rank": equivalent_rank(mse, by_rank),
        }
    return figures


def _beside_optimum(results: Results, split: str, mse: float) -> dict[str, float]:
    """Nothing for a code that is as long as an image, for PCA makes no error then, or longer than ranks are known."""
    if (optimum := results.optimum_mse(split)) is None:
        return {}
    centred = results.optimum.by_rank(split, centred=True)[results.rank].item()
    return {"optimum_mse": optimum, "ratio_to_optimum": mse / optimum, "centred_optimum_mse": centred}


def class_errors(results: Results, neighbours: int, progress: Progress) -> dict[str, float]:
    """The share of test images that codes classify wrongly, and that of PCA's codes of the same length, if known.

    None without classes.
    """
    images = results.images
    if images.train_labels is None or images.test_labels is None:
        return {}
    axes = results.optimum.axes[:, : results.rank].float()
    found = {}

    def pca_codes(images: UInt8[Tensor, "n *image"]) -> Float[Tensor, "n code"]:
        return torch.cat([torch.mm(scale(batch), axes) for batch in images.split(BATCH)])

    kinds = {"": results.codes} | ({"pca_": pca_codes} if axes.shape[1] == results.rank else {})
    for name, encode in kinds.items():
        arguments = (encode(images.train), images.train_labels, encode(images.test), images.test_labels)
        found[f"{name}probe_error"] = probe_error(*arguments)
        found[f"{name}neighbour_error"] = neighbour_error(*arguments, neighbours=neighbours, progress=progress)
    return found


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
