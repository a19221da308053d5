"""The optimum of a linear autoencoder: principal subspaces and principal angles, all in float64 on the CPU.

Among all maps of rank k, the projector onto the k leading eigenvectors of the second moment E[x xᵀ] has the least mean
squared error, and that error is the sum of the other eigenvalues (Eckart & Young 1936; Baldi & Hornik 1989). A model
without biases can reach this, uncentred, optimum; an affine one could reach that of the covariance.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor

from autoencoder.models import scale

BATCH = 1_000


@dataclass(frozen=True)
class Subspace:
    """An affine subspace: `mean` [input] (zero if uncentred) and orthonormal columns `basis` [input, code]."""

    mean: Float64[Tensor, " input"]
    basis: Float64[Tensor, "input code"]

    def mse(self, images: UInt8[Tensor, "n *image"]) -> float:
        """Mean over pixels and images of the squared distance to the subspace, in units of the scaled inputs."""
        total = 0.0
        for batch in images.split(BATCH):
            x = scale(batch).double() - self.mean
            total += (x - x @ self.basis @ self.basis.T).square().sum().item()
        return total / images.flatten(1).numel()


def principal_subspace(images: UInt8[Tensor, "n *image"], dimensions: int, *, centred: bool) -> Subspace:
    """The subspace of the given number of dimensions that is nearest to the images in the squared sense."""
    n, inputs = images.flatten(1).shape
    moment = torch.zeros(inputs, inputs, dtype=torch.float64)
    total = torch.zeros(inputs, dtype=torch.float64)
    for batch in images.split(BATCH):
        x = scale(batch).double()
        moment.addmm_(x.T, x)
        total += x.sum(0)
    mean = total / n if centred else torch.zeros_like(total)
    _, vectors = torch.linalg.eigh(moment / n - torch.outer(mean, mean))  # eigenvalues ascend
    return Subspace(mean, vectors[:, -dimensions:].flip(1))


def principal_cosines(a: Float[Tensor, "input code"], b: Float[Tensor, "input code"]) -> Float64[Tensor, " code"]:
    """Cosines of the principal angles between the spans of two matrices' columns, in descending order, in [0, 1].

    Björck & Golub 1973: the singular values of Q_aᵀ Q_b. The sum of their squares counts the directions in common.
    """
    q_a, _ = torch.linalg.qr(a.double())
    q_b, _ = torch.linalg.qr(b.double())
    cosines: Tensor = torch.linalg.svdvals(q_a.T @ q_b).clamp(0, 1)
    return cosines
