"""Constraints on the code. `h` is what the encoder puts out; penalties are per image, as are sums over its pixels."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

POINTWISE = (nn.ReLU, nn.GELU, nn.Tanh, nn.Sigmoid)


@dataclass(frozen=True)
class Constraint:
    """The constraint `none`, by which the code is what the encoder puts out, and the base class of all others."""

    strength: float = 1.0
    active: int = 16

    def width(self, code_dimensions: int) -> int:
        """How many numbers the encoder must put out."""
        return code_dimensions

    def draw(self, rows: int, code_dimensions: int, generator: torch.Generator) -> Float[Tensor, "..."]:
        """The random numbers that `code` and `penalty` need for so many inputs; fresh ones are drawn for every step."""
        return torch.empty(0)

    def code(
        self, h: Float[Tensor, "batch width"], noise: Float[Tensor, "..."] | None = None
    ) -> Float[Tensor, "batch code"]:
        """The code; without `noise` the one by which a model is evaluated and served."""
        return h

    def penalty(
        self,
        encoder: nn.Module,
        x: Float[Tensor, "batch input"],
        h: Float[Tensor, "batch width"],
        code: Float[Tensor, "batch code"],
        noise: Float[Tensor, "..."],
    ) -> Float[Tensor, " batch"] | None:
        """What each image adds to the loss, if anything; `h` is `encoder(x)`."""
        return None


class L1(Constraint):
    """Few active numbers, by their price: code = max(h, 0), penalty = strength · Σ code.

    Olshausen & Field 1996; with the rectifier, which makes zeros exact, Ng 2011, "Sparse autoencoder", and Cunningham
    et al. 2023. A decoder with large weights would do with a small code at no price: give `weight_decay` with it.
    """

    def code(
        self, h: Float[Tensor, "batch code"], noise: Float[Tensor, "..."] | None = None
    ) -> Float[Tensor, "batch code"]:
        return h.relu()

    def penalty(
        self,
        encoder: nn.Module,
        x: Float[Tensor, "batch input"],
        h: Float[Tensor, "batch code"],
        code: Float[Tensor, "batch code"],
        noise: Float[Tensor, "..."],
    ) -> Float[Tensor, " batch"]:
        return self.strength * code.sum(1)


class TopK(Constraint):
    """The `active` largest numbers of h are the code, all others are zero.

    Makhzani & Frey 2014, "k-sparse autoencoders"; Gao et al. 2024, "Scaling and evaluating sparse autoencoders".
    """

    def code(
        self, h: Float[Tensor, "batch code"], noise: Float[Tensor, "..."] | None = None
    ) -> Float[Tensor, "batch code"]:
        values, places = h.topk(self.active)
        return torch.zeros_like(h).scatter(1, places, values)


class Contractive(Constraint):
    """A code that changes little with the input: penalty = strength · ‖J‖², J = ∂h/∂x, squared entries summed.

    Rifai et al. 2011, "Contractive auto-encoders". Of an encoder s(W x + b) this is exactly Σⱼ s'(aⱼ)² ‖Wⱼ‖², which
    without s is weight decay of the encoder. For deeper ones it is estimated without bias from one backward pass:
    E‖Jᵀ v‖² = ‖J‖² for v of random signs (Hutchinson 1990).
    """

    def draw(self, rows: int, code_dimensions: int, generator: torch.Generator) -> Float[Tensor, "batch code"]:
        return torch.randint(2, (rows, code_dimensions), generator=generator).mul_(2).sub_(1).float()

    def penalty(
        self,
        encoder: nn.Module,
        x: Float[Tensor, "batch input"],
        h: Float[Tensor, "batch code"],
        code: Float[Tensor, "batch code"],
        noise: Float[Tensor, "batch code"],
    ) -> Float[Tensor, " batch"]:
        layer, *others = (module for module in encoder.modules() if not list(module.children()))
        if isinstance(layer, nn.Linear) and all(type(other) in POINTWISE for other in others):
            sums = layer(x)
            (slopes,) = torch.autograd.grad(nn.Sequential(*others)(sums).sum(), sums, create_graph=True)
            norms: Tensor = slopes.square() @ layer.weight.square().sum(1)
            return self.strength * norms
        x = x.detach().requires_grad_()
        (projected,) = torch.autograd.grad(encoder(x), x, noise, create_graph=True)
        return self.strength * projected.square().sum(1)


class Variational(Constraint):
    """A code that is a sample of a normal distribution, whose divergence from the standard normal is the penalty.

    Kingma & Welling 2014, "Auto-encoding variational Bayes". h holds the means μ and the logarithms of the variances
    σ²; code = μ + σ · noise; penalty = strength · KL(N(μ, σ²) ‖ N(0, 1)) in nats. `strength` is the β of Higgins et al.
    2017: with 1 and the loss `bce`, the objective is -ELBO (the evidence lower bound); with the loss `mse` it is
    strength · -ELBO, for normal pixels of variance strength / 2. Without noise the code is μ.
    """

    def width(self, code_dimensions: int) -> int:
        return 2 * code_dimensions

    def draw(self, rows: int, code_dimensions: int, generator: torch.Generator) -> Float[Tensor, "batch code"]:
        return torch.randn(rows, code_dimensions, generator=generator)

    def code(
        self, h: Float[Tensor, "batch width"], noise: Float[Tensor, "batch code"] | None = None
    ) -> Float[Tensor, "batch code"]:
        mean, log_variance = h.chunk(2, dim=1)
        return mean if noise is None else mean + (0.5 * log_variance).exp() * noise

    def penalty(
        self,
        encoder: nn.Module,
        x: Float[Tensor, "batch input"],
        h: Float[Tensor, "batch width"],
        code: Float[Tensor, "batch code"],
        noise: Float[Tensor, "batch code"],
    ) -> Float[Tensor, " batch"]:
        return self.strength * divergence(h).sum(1)


def divergence(h: Float[Tensor, "batch width"]) -> Float[Tensor, "batch code"]:
    """KL(N(μ, σ²) ‖ N(0, 1)) of every number of the code, in nats."""
    mean, log_variance = h.chunk(2, dim=1)
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)


CONSTRAINTS: dict[str, type[Constraint]] = {
    "none": Constraint,
    "l1": L1,
    "top_k": TopK,
    "contractive": Contractive,
    "variational": Variational,
}
