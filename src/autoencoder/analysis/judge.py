"""How good a model is, as numbers from tensors; nothing here knows a stage, a file or a figure.

What has an optimum is judged against it, and what has none against principal components and raw pixels.
"""

import math
from collections.abc import Callable, Iterable

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from autoencoder.models.autoencoder import Autoencoder
from autoencoder.models.constraint import divergence
from autoencoder.training.corruption import Corruption
from autoencoder.training.objective import Objective, mse_per_image

ACTIVE_VARIANCE = 0.01  # of a mean over the images: Burda et al. 2016

Encode = Callable[[Tensor], Tensor]  # inputs [n, input] to codes [n, code]


def equivalent_rank(mse: float, mse_by_rank: Float64[Tensor, " ranks"]) -> float:
    """The rank of the PCA that is as good: where `mse` lies in `mse_by_rank`, interpolated between two whole ranks.

    Entry k of `mse_by_rank`, which falls, is the error of rank k. 0 where PCA is better with no component at all, and
    the highest rank where it is worse with all of them.
    """
    worse = int((mse_by_rank > mse).sum())  # ranks 0 … worse - 1 have a larger error
    if worse in (0, len(mse_by_rank)):
        return float(max(worse - 1, 0))
    above, below = mse_by_rank[worse - 1].item(), mse_by_rank[worse].item()
    return worse - 1 + (above - mse) / (above - below)


@torch.no_grad()
def carried(model: Autoencoder, batches: Iterable[Float[Tensor, "_ input"]]) -> tuple[Float64[Tensor, " code"], int]:
    """How many nats each unit of a variational code carries, its mean divergence, and how many units are active.

    Active units are those whose mean varies among images (Burda et al. 2016).
    """
    encoded = torch.cat([model.encoder(batch).double() for batch in batches])
    variances = model.constraint.code(encoded).var(0, correction=0)
    return divergence(encoded).mean(0), int((variances > ACTIVE_VARIANCE).sum())


@torch.no_grad()
def importance_weighted_nats(
    model: Autoencoder, objective: Objective, x: Float[Tensor, "n input"], samples: int, seed: int = 0
) -> Float64[Tensor, " n"]:
    """-log (1/S Σₛ p(x|zₛ) p(zₛ) / q(zₛ|x)) of each image, zₛ drawn from q: in the mean, tighter with every sample.

    Burda, Grosse & Salakhutdinov 2016, "Importance weighted autoencoders".
    """
    mean, log_variance = model.encoder(x).chunk(2, dim=1)
    weights = torch.empty(samples, len(x), dtype=torch.float64)
    for sample in range(samples):
        _, noise = objective.draw(len(x), x.shape[1], mean.shape[1], seed, -1 - sample)
        z = mean + (0.5 * log_variance).exp() * noise
        errors = objective.loss.error(model.decoder(z), x).double().sum(1)
        log_ratio = 0.5 * (noise.square() + log_variance - z.square()).double().sum(1)  # log p(z) - log q(z|x)
        weights[sample] = log_ratio - objective.loss.nats(errors, x.shape[1], objective.constraint.strength)
    return math.log(samples) - weights.logsumexp(0)


def activity(codes: Float[Tensor, "n code"]) -> Float64[Tensor, " code"]:
    """How often each number of the code is not zero, as a share of the images."""
    return (codes != 0).double().mean(0)


def sparse(codes: Float[Tensor, "n code"], mse: float, mean_mse: float) -> dict[str, float]:
    """How many numbers of a code are active in the mean, how many never, and what share of the variance they explain.

    `mean_mse` is the error of the mean image, which explains nothing.
    """
    active = activity(codes)
    return {
        "mean_active": active.sum().item(),
        "dead_units": float((active == 0).sum()),
        "variance_explained": 1 - mse / mean_mse,
    }


def jacobians(encode: Encode, x: Float[Tensor, "n input"]) -> Float[Tensor, "n code input"]:
    """∂code/∂x at each input, by one backward pass for each number of the code."""
    x = x.detach().requires_grad_()
    code = encode(x)
    rows = [torch.autograd.grad(code[:, unit].sum(), x, retain_graph=True)[0] for unit in range(code.shape[1])]
    return torch.stack(rows, 1)


def contraction(
    encode: Encode, x: Float[Tensor, "n input"], batch_size: int = 100
) -> tuple[float, Float64[Tensor, " code"]]:
    """The mean of ‖J‖² over images, and the means of J's singular values, largest first (Rifai et al. 2011)."""
    values = torch.cat([torch.linalg.svdvals(jacobians(encode, batch).double()) for batch in x.split(batch_size)])
    return values.square().sum(1).mean().item(), values.mean(0)


def tangents(encode: Encode, x: Float[Tensor, "1 input"], count: int) -> Float64[Tensor, "count input"]:
    """The directions of unit length in which the code of one image changes most: J's leading right singular vectors.

    The sign is chosen so that the largest entry is positive.
    """
    _, _, directions = torch.linalg.svd(jacobians(encode, x)[0].double(), full_matrices=False)
    leading = directions[:count]
    largest = leading.gather(1, leading.abs().argmax(1, keepdim=True))
    signed: Tensor = leading * largest.sign()
    return signed


@torch.no_grad()
def denoising_mse(
    model: Autoencoder, corruption: Corruption, batches: Iterable[Float[Tensor, "_ input"]], seed: int = 0
) -> float:
    """The mean squared error, on [-1, 1], of the reconstructions of corrupted inputs, against the clean inputs."""
    total, count, generator = 0.0, 0, torch.Generator().manual_seed(seed)
    for batch in batches:
        noise = corruption.draw(len(batch), batch.shape[1], generator)
        total += mse_per_image(model(corruption.apply(batch, noise)), batch, corruption.lowest).double().sum().item()
        count += len(batch)
    return total / count


Means = tuple[Float64[Tensor, " input"], Float64[Tensor, "input input"]]  # E[x], E[x xᵀ]


def denoising_optimum(corruption: Corruption, train: Means, test: Means, rank: int, affine: bool) -> float | None:
    """The test error, per pixel on [-1, 1], of the best linear map of this rank from x̃ to x of the training images.

    With C = E[x x̃ᵀ] and S = E[x̃ x̃ᵀ] it is U Uᵀ C S⁻¹, where U are the leading eigenvectors of C S⁻¹ Cᵀ: the
    Wiener filter of reduced rank (Brillinger 1981; reduced-rank regression, Izenman 1975). An `affine` map, which may
    add a constant, has covariances for moments. None where the corruption's moments are unknown.
    """
    fitted, tried = _moments_with_one(corruption, train), _moments_with_one(corruption, test)
    if fitted is None or tried is None:
        return None
    cross, corrupted = fitted[0][:, :-1], fitted[1][:-1, :-1]
    mean, corrupted_mean = fitted[0][:, -1], fitted[1][:-1, -1]
    if affine:
        cross = cross - torch.outer(mean, corrupted_mean)
        corrupted = corrupted - torch.outer(corrupted_mean, corrupted_mean)
    wiener = cross @ torch.linalg.pinv(corrupted, hermitian=True, rtol=1e-10)
    leading = torch.linalg.eigh(wiener @ cross.T).eigenvectors[:, -rank:]
    linear = leading @ (leading.T @ wiener)
    constant = affine * (mean - linear @ corrupted_mean)
    best = torch.cat([linear, constant.unsqueeze(1)], 1)
    error: Tensor = test[1].trace() - 2 * (best * tried[0]).sum() + (best @ tried[1] * best).sum()
    return error.item() / len(mean) * (2 / (1 - corruption.lowest)) ** 2


def _moments_with_one(
    corruption: Corruption, means: Means
) -> tuple[Float64[Tensor, "input input_and_one"], Float64[Tensor, "input_and_one input_and_one"]] | None:
    """E[x ỹᵀ] and E[ỹ ỹᵀ], where ỹ is x̃ with a 1 behind it."""
    if (moments := corruption.moments(*means)) is None:
        return None
    corrupted_mean, cross, corrupted = moments
    below = torch.cat([corrupted_mean, corrupted_mean.new_ones(1)])
    beside = torch.cat([corrupted, corrupted_mean.unsqueeze(1)], 1)
    return torch.cat([cross, means[0].unsqueeze(1)], 1), torch.cat([beside, below.unsqueeze(0)])
