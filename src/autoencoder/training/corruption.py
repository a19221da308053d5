"""What is done to an input before it is encoded; the input as it was is to be reconstructed.

Vincent et al. 2008, "Extracting and composing robust features with denoising autoencoders". Random numbers are drawn
apart from their use, so that a training step is a function of tensors. `lowest` is the scale's black; white is 1.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor

Moments = tuple[Float64[Tensor, " input"], Float64[Tensor, "input input"], Float64[Tensor, "input input"]]


@dataclass(frozen=True)
class Corruption:
    """The corruption `none`, by which the input is encoded as it is, and the base class of all others."""

    level: float = 0.0
    lowest: float = -1.0

    def draw(self, rows: int, inputs: int, generator: torch.Generator) -> Float[Tensor, "..."]:
        """The random numbers that `apply` needs for so many inputs; fresh ones are drawn for every step."""
        return torch.empty(0)

    def apply(self, x: Float[Tensor, "batch input"], noise: Float[Tensor, "..."]) -> Float[Tensor, "batch input"]:
        """x̃, what is encoded instead of x."""
        return x

    def moments(self, mean: Float64[Tensor, " input"], moment: Float64[Tensor, "input input"]) -> Moments | None:
        """E[x̃], E[x x̃ᵀ] and E[x̃ x̃ᵀ], given E[x] and E[x xᵀ]; None where nobody has derived them."""
        return (mean, moment, moment) if type(self) is Corruption else None


@dataclass(frozen=True)
class Gaussian(Corruption):
    """Normal noise whose standard deviation is the share `level` of the distance from black to white."""

    def draw(self, rows: int, inputs: int, generator: torch.Generator) -> Float[Tensor, "batch input"]:
        return torch.randn(rows, inputs, generator=generator)

    def apply(
        self, x: Float[Tensor, "batch input"], noise: Float[Tensor, "batch input"]
    ) -> Float[Tensor, "batch input"]:
        return x + self.level * (1 - self.lowest) * noise

    def moments(self, mean: Float64[Tensor, " input"], moment: Float64[Tensor, "input input"]) -> Moments:
        variance = (self.level * (1 - self.lowest)) ** 2
        return mean, moment, moment + variance * torch.eye(len(mean), dtype=moment.dtype)


@dataclass(frozen=True)
class Masking(Corruption):
    """Each pixel turns black with the probability `level`."""

    def draw(self, rows: int, inputs: int, generator: torch.Generator) -> Float[Tensor, "batch input"]:
        return torch.rand(rows, inputs, generator=generator)

    def apply(
        self, x: Float[Tensor, "batch input"], noise: Float[Tensor, "batch input"]
    ) -> Float[Tensor, "batch input"]:
        return torch.where(noise < self.level, self.lowest, x)

    def moments(self, mean: Float64[Tensor, " input"], moment: Float64[Tensor, "input input"]) -> Moments:
        return _replaced(mean, moment, self.level, self.lowest, self.lowest**2)


@dataclass(frozen=True)
class SaltAndPepper(Corruption):
    """Each pixel turns black or white, either with the probability `level` / 2."""

    def draw(self, rows: int, inputs: int, generator: torch.Generator) -> Float[Tensor, "batch input"]:
        return torch.rand(rows, inputs, generator=generator)

    def apply(
        self, x: Float[Tensor, "batch input"], noise: Float[Tensor, "batch input"]
    ) -> Float[Tensor, "batch input"]:
        salted = torch.where(noise < self.level, 1.0, x)
        return torch.where(noise < self.level / 2, self.lowest, salted)

    def moments(self, mean: Float64[Tensor, " input"], moment: Float64[Tensor, "input input"]) -> Moments:
        return _replaced(mean, moment, self.level, (self.lowest + 1) / 2, (self.lowest**2 + 1) / 2)


def _replaced(
    mean: Float64[Tensor, " input"], moment: Float64[Tensor, "input input"], level: float, first: float, second: float
) -> Moments:
    """`Corruption.moments` where a share `level` of pixels is replaced independently by r, with E[r] and E[r²] given.

    x̃ᵢ is xᵢ with probability q = 1 - level, so that E[x̃|x] = q x + level E[r], and only on the diagonal, where both
    factors are kept or replaced together, E[x̃ᵢ²|x] = q xᵢ² + level E[r²].
    """
    kept, offset = 1 - level, level * first
    cross = kept * moment + offset * mean.unsqueeze(1)
    corrupted = kept * cross + offset * (kept * mean + offset)
    return kept * mean + offset, cross, corrupted.diagonal_scatter(kept * moment.diagonal() + level * second)


CORRUPTIONS: dict[str, type[Corruption]] = {
    "none": Corruption,
    "gaussian": Gaussian,
    "masking": Masking,
    "salt_and_pepper": SaltAndPepper,
}
