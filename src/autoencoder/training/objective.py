"""The loss that training minimises: the error of the reconstruction and the penalty on the code, per pixel.

The default run minimises the same loss by `linear_sgd`, where its gradients are derived by hand.
"""

import hashlib
import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor
from torch.nn.functional import mse_loss, softplus

from autoencoder.data.images import scale
from autoencoder.models.autoencoder import Autoencoder
from autoencoder.models.constraint import Constraint, Variational, divergence
from autoencoder.models.saved import LOWEST, Description
from autoencoder.training.corruption import CORRUPTIONS, Corruption

NOTHING = torch.empty(0)
BATCH = 1_000
BOUND = -1  # the first step of the random numbers of `nats`, downwards; training's are 0 and above


class SquaredError:
    """(decoded - x)² of pixels on [-1, 1]: up to a constant, -log p(x) of normal pixels, of variance strength / 2."""

    def error(
        self, decoded: Float[Tensor, "batch input"], x: Float[Tensor, "batch input"]
    ) -> Float[Tensor, "batch input"]:
        """The error of every pixel."""
        return mse_loss(decoded, x, reduction="none")

    def nats(self, error: Float[Tensor, "*batch"], pixels: int, strength: float) -> Float[Tensor, "*batch"]:
        """-log p(x | code) of an image whose pixels have the error `error` in all, or the mean of both over images."""
        return error / strength + pixels / 2 * math.log(math.pi * strength)


class CrossEntropy:
    """-x log p - (1 - x) log (1 - p) of pixels x on [0, 1], p = sigmoid(decoded): -log p(x) of Bernoulli pixels."""

    def error(
        self, decoded: Float[Tensor, "batch input"], x: Float[Tensor, "batch input"]
    ) -> Float[Tensor, "batch input"]:
        return softplus(decoded) - x * decoded

    def nats(self, error: Float[Tensor, "*batch"], pixels: int, strength: float) -> Float[Tensor, "*batch"]:
        return error


Loss = SquaredError | CrossEntropy
LOSSES: dict[str, Loss] = {"mse": SquaredError(), "bce": CrossEntropy()}


@dataclass(frozen=True)
class Objective:
    """loss = (Σ_pixels error(decoder(code), x) + penalty) / pixels, the mean over the batch; code is that of x̃."""

    corruption: Corruption = Corruption()  # noqa: RUF009 (it is immutable, as is the next)
    constraint: Constraint = Constraint()  # noqa: RUF009
    loss: Loss = LOSSES["mse"]

    @property
    def names(self) -> tuple[str, ...]:
        """What `figures` gives: `nats` are those of -ELBO."""
        return ("mse", "nats") if isinstance(self.constraint, Variational) else ("mse",)

    def draw(self, rows: int, inputs: int, code_dimensions: int, seed: int, step: int) -> tuple[Tensor, Tensor]:
        """The step's random numbers, of the corruption and of the constraint: a function of (seed, step) alone."""
        digest = hashlib.sha256(f"{seed} {step}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:4], "little"))  # it keeps 32 bits of a seed
        return (
            self.corruption.draw(rows, inputs, generator),
            self.constraint.draw(rows, code_dimensions, generator),
        )

    def __call__(
        self,
        model: Autoencoder,
        x: Float[Tensor, "batch input"],
        noise: Float[Tensor, "..."] = NOTHING,
        code_noise: Float[Tensor, "..."] = NOTHING,
    ) -> tuple[Float[Tensor, ""], Float[Tensor, "*names"]]:
        """The loss, and the figures `names` of the batch, without gradient; a single one is a number."""
        corrupted = self.corruption.apply(x, noise)
        h = model.encoder(corrupted)
        code = self.constraint.code(h, code_noise)
        decoded = model.decoder(code)
        error = self.loss.error(decoded, x).sum() / x.numel()
        penalty = self.constraint.penalty(model.encoder, corrupted, h, code, code_noise)
        loss = error if penalty is None else error + penalty.mean() / x.shape[1]
        with torch.no_grad():
            as_is = isinstance(self.loss, SquaredError)
            mse = error if as_is else mse_per_image(model.reconstruction(decoded), x, model.lowest).mean()
            if "nats" not in self.names:
                return loss, mse.detach()
            nats = self.loss.nats(error * x.shape[1], x.shape[1], self.constraint.strength)
            return loss, torch.stack((mse, nats + divergence(h).sum(1).mean()))

    @torch.no_grad()
    def nats(self, model: Autoencoder, images: UInt8[Tensor, "n *image"]) -> float:
        """-ELBO, the bound on -log p(x), as the mean over images, with one sample of the code of each."""
        total, device = 0.0, next(model.parameters()).device
        for index, batch in enumerate(images.split(BATCH)):
            x = scale(batch.to(device), model.lowest)
            h = model.encoder(x)
            _, noise = self.draw(len(x), x.shape[1], h.shape[1] // 2, 0, BOUND - index)
            errors = self.loss.error(model.decoder(self.constraint.code(h, noise.to(device))), x).double().sum(1)
            nats = self.loss.nats(errors, x.shape[1], self.constraint.strength) + divergence(h).double().sum(1)
            total += nats.sum().item()
        return total / len(images)


def objective(description: Description) -> Objective:
    """What the described model is trained for."""
    lowest = LOWEST[description.loss]
    corruption = CORRUPTIONS[description.corruption["name"]](description.corruption.get("level", 0.0), lowest)
    return Objective(corruption, description.build().constraint, LOSSES[description.loss])


def mse_per_image(
    reconstruction: Float[Tensor, "batch input"], x: Float[Tensor, "batch input"], lowest: float
) -> Float[Tensor, " batch"]:
    """The mean over pixels of the squared error on [-1, 1], for pixels between `lowest` and 1."""
    return (reconstruction - x).square().mean(1) * (2 / (1 - lowest)) ** 2


@torch.no_grad()
def squared_errors(model: Autoencoder, images: UInt8[Tensor, "n *image"], batch_size: int) -> Float64[Tensor, " n"]:
    """Per image, the mean over its pixels of the squared error of its reconstruction, in units of [-1, 1]."""
    device = next(model.parameters()).device
    errors = torch.empty(len(images), dtype=torch.float64)  # a tensor per batch, if kept, would fragment the heap
    for found, batch in zip(errors.split(batch_size), images.split(batch_size), strict=True):
        x = scale(batch.to(device), model.lowest)
        found.copy_(mse_per_image(model(x), x, model.lowest))
    return errors


def mean_squared_error(model: Autoencoder, images: UInt8[Tensor, "n *image"], batch_size: int) -> float:
    """`squared_errors`, summed in float64 and divided once: it does not depend on the batch size beyond rounding."""
    return squared_errors(model, images, batch_size).sum().item() / len(images)
