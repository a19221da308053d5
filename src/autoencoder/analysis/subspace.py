"""The optimum of a linear autoencoder where the second moment of so many pixels would not fit into memory.

Subspace iteration with a random start (Halko, Martinsson & Tropp 2011, "Finding structure with randomness"): a
basis Q of some more columns than ranks is replaced by one of E[x xᵀ] Q, which takes one pass over the images.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float64, UInt8
from torch import Tensor

from autoencoder.analysis.optimum import Optimum
from autoencoder.data.images import Images, scale

LARGEST = 4_096  # pixels for which `optimum.fit` finds every rank: its matrices then have 128 MiB each
RANKS = 256
MORE = 32  # columns beyond the ranks: they make the last ranks converge
TOLERANCE = 1e-6
PASSES = 30  # at most
BATCH_PIXELS = 1 << 22


def fit_leading(images: Images) -> Optimum:
    """The optimum up to rank 256, or the number of training images or of pixels.

    The iteration ends when a pass lowers no rank's training error by more than a millionth of it, or after 30 passes.
    Each error is that of the map which the axes give: on the training images never below the optimum, and above it by
    about as much as the last pass gained.
    """
    origin = torch.zeros(images.train[0].numel(), dtype=torch.float64)
    mean = torch.stack([x.sum(0) for x in _batches(images.train, origin)]).sum(0) / len(images.train)
    errors = {}
    for prefix, centre in (("centred_", mean), ("", origin)):
        axes = _leading(images.train, centre)
        for split, pixels in images.splits.items():
            errors[f"{prefix}{split}_mse"] = _left_over(pixels, axes, centre)
    return Optimum(axes, **errors)


def _leading(images: UInt8[Tensor, "n *image"], mean: Float64[Tensor, " input"]) -> Float64[Tensor, "input axes"]:
    """The leading axes of E[(x - mean)(x - mean)ᵀ]."""
    ranks = min(RANKS, len(images), len(mean))
    start = torch.randn(
        len(mean), min(ranks + MORE, len(mean)), generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    basis = torch.linalg.qr(start).Q
    before = torch.full((ranks + 1,), torch.inf, dtype=torch.float64)
    for _ in range(PASSES):
        image, total = torch.zeros_like(basis), 0.0  # image: of the basis under the moment
        for x in _batches(images, mean):
            image.addmm_(x.T, x @ basis)
            total += x.square().sum().item()
        energies, turn = torch.linalg.eigh(basis.T @ image)  # ascending
        axes: Tensor = (basis @ turn).flip(1)[:, :ranks]
        left = _errors(energies.flip(0)[:ranks], total)
        if ((before - left) <= TOLERANCE * left).all():
            break
        before, basis = left, torch.linalg.qr(image).Q
    return axes.contiguous()


def _left_over(
    images: UInt8[Tensor, "n *image"], axes: Float64[Tensor, "input axes"], mean: Float64[Tensor, " input"]
) -> Float64[Tensor, " ranks"]:
    """The mean squared error that the leading axes leave over."""
    energies, total = torch.zeros(axes.shape[1], dtype=torch.float64), 0.0
    for x in _batches(images, mean):
        energies += (x @ axes).square().sum(0)
        total += x.square().sum().item()
    return _errors(energies, total) / (len(images) * len(mean))


def _errors(energies: Float64[Tensor, " axes"], total: float) -> Float64[Tensor, " ranks"]:
    """Entry k: what is left of the total energy without that of the k leading axes."""
    left = total - torch.cat([energies.new_zeros(1), energies.cumsum(0)])
    return left.clamp_min(torch.finfo(left.dtype).eps * total)  # what is below is rounding


def _batches(
    images: UInt8[Tensor, "n *image"], mean: Float64[Tensor, " input"]
) -> Iterator[Float64[Tensor, "batch input"]]:
    """The scaled images, less the mean."""
    for batch in images.split(max(1, BATCH_PIXELS // images[0].numel())):
        yield scale(batch).double().sub_(mean)
