"""The optimum of a linear autoencoder: principal axes and principal angles, all in float64 on the CPU.

Among all maps of rank k, the projector onto the k leading eigenvectors of the second moment E[x xᵀ] has the least mean
squared error, and that error is the sum of the other eigenvalues (Eckart & Young 1936; Baldi & Hornik 1989). A model
without biases can reach this, uncentred, optimum; an affine one could reach that of the covariance.
"""

from dataclasses import dataclass, fields
from pathlib import Path

import torch
from jaxtyping import Float, Float64, UInt8
from safetensors.torch import save
from torch import Tensor

from autoencoder import paths
from autoencoder.data import tensors
from autoencoder.data.images import Images, scale
from autoencoder.errors import UserError
from autoencoder.files import write_atomically

BATCH = 1_000


@dataclass(frozen=True)
class Optimum:
    """What the best linear maps of every rank do; all are fitted to the training images.

    The k leading columns of `axes` are an orthonormal basis of the (uncentred) principal subspace, so that
    `axes[:, :k] @ axes[:, :k].T` is the best map of rank k. Entry k of each `mse` is the mean squared error at rank k,
    over pixels and images, in units of the scaled inputs. Where pixels are many, only the leading axes are there: see
    `subspace`.
    """

    axes: Float64[Tensor, "input axes"]
    train_mse: Float64[Tensor, " ranks"]
    test_mse: Float64[Tensor, " ranks"]
    centred_train_mse: Float64[Tensor, " ranks"]
    centred_test_mse: Float64[Tensor, " ranks"]
    validation_mse: Float64[Tensor, " ranks"] | None = None
    centred_validation_mse: Float64[Tensor, " ranks"] | None = None

    def by_rank(self, split: str, *, centred: bool) -> Float64[Tensor, " ranks"]:
        """The error on `split` at every rank: that of maps without a constant, or with one (`centred`)."""
        found: Tensor = getattr(self, f"centred_{split}_mse" if centred else f"{split}_mse")
        return found


def fit(images: Images) -> Optimum:
    """The optimum for the training images, and what it is worth on the others."""
    mean, train_moment = moments(images.train)
    axes, square = _axes(train_moment), torch.outer(mean, mean)
    centred = _axes(train_moment - square)
    errors = {"train_mse": _mse_by_rank(train_moment, axes)}
    errors["centred_train_mse"] = _mse_by_rank(train_moment - square, centred)
    for split in images.splits.keys() - {"train"}:
        split_mean, moment = moments(images.splits[split])
        cross = torch.outer(split_mean, mean)
        errors[f"{split}_mse"] = _mse_by_rank(moment, axes)
        errors[f"centred_{split}_mse"] = _mse_by_rank(moment - cross - cross.T + square, centred)
    return Optimum(axes, **errors)


def moments(
    images: UInt8[Tensor, "n *image"], lowest: float = -1.0
) -> tuple[Float64[Tensor, " input"], Float64[Tensor, "input input"]]:
    """E[x] and E[x xᵀ] of the images, scaled from `lowest` to 1."""
    n, inputs = images.flatten(1).shape
    total = torch.zeros(inputs, dtype=torch.float64)
    moment = torch.zeros(inputs, inputs, dtype=torch.float64)
    for batch in images.split(BATCH):
        x = scale(batch, lowest).double()
        total += x.sum(0)
        moment.addmm_(x.T, x)
    return total / n, moment / n


def _axes(moment: Float64[Tensor, "input input"]) -> Float64[Tensor, "input input"]:
    _, vectors = torch.linalg.eigh(moment)
    axes: Tensor = vectors.flip(1)  # eigenvalues ascend
    return axes


def _mse_by_rank(
    moment: Float64[Tensor, "input input"], axes: Float64[Tensor, "input input"]
) -> Float64[Tensor, " ranks"]:
    """Entry k: the mean over pixels of the energy that the k leading axes leave over."""
    energies = (axes * (moment @ axes)).sum(0)
    left = torch.cat([energies.flip(0).cumsum(0).flip(0), energies.new_zeros(1)]) / len(energies)
    return left.clamp_min(torch.finfo(left.dtype).eps)  # what is below is rounding; results are divided by these


def principal_cosines(a: Float[Tensor, "input code"], b: Float[Tensor, "input axes"]) -> Float64[Tensor, " fewer"]:
    """Cosines of the principal angles between the spans of two matrices' columns, in descending order, in [0, 1].

    Björck & Golub 1973: the singular values of Q_aᵀ Q_b. The sum of their squares counts the directions in common.
    """
    q_a, _ = torch.linalg.qr(a.double())
    q_b, _ = torch.linalg.qr(b.double())
    cosines: Tensor = torch.linalg.svdvals(q_a.T @ q_b).clamp(0, 1)
    return cosines


def save_optimum(optimum: Optimum, path: Path = paths.OPTIMUM) -> None:
    """Write the tensors of `fit`."""
    found = {name: tensor.contiguous() for name, tensor in vars(optimum).items() if tensor is not None}
    write_atomically(path, save(found))


def load_optimum(path: Path = paths.OPTIMUM) -> Optimum:
    """The optimum of `save_optimum`. Raises UserError if the file holds none."""
    found, _ = tensors.read(path, "dvc repro pca")
    names = {field.name for field in fields(Optimum)}
    if not {name for name in names if "validation" not in name} <= set(found) <= names:
        raise UserError(f"{path}: expected the tensors of an Optimum, found {', '.join(found)}; dvc repro -f pca")
    return Optimum(**found)
