"""The steps of torch's SGD and Adam. torch.optim's classes would load torch._dynamo, which takes as long as torch."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn


class SGD:
    """v ← momentum · v + gradient, weight ← weight - learning_rate · v, from v = 0: torch.optim.SGD's steps.

    With `weight_decay` the gradient is that of loss + weight_decay / 2 · Σ weight².
    """

    def __init__(
        self, weights: Iterable[nn.Parameter], learning_rate: float, momentum: float, weight_decay: float = 0.0
    ) -> None:
        self.weights = list(weights)
        self.velocities = zeros_like(self.weights)
        self.learning_rate, self.momentum, self.weight_decay = learning_rate, momentum, weight_decay

    def zero_grad(self) -> None:
        """Forget the gradients."""
        forget_gradients(self.weights)

    @torch.no_grad()
    def step(self) -> None:
        """Follow the gradients that are there."""
        for weight, velocity in zip(self.weights, self.velocities, strict=True):
            if weight.grad is not None:
                velocity.mul_(self.momentum)
                if self.weight_decay:
                    velocity.add_(weight.grad.add(weight, alpha=self.weight_decay))
                else:
                    velocity.add_(weight.grad)
                weight.add_(velocity, alpha=-self.learning_rate)

    def state(self) -> dict[str, Tensor]:
        """The tensors that the next steps depend on, by name; to copy other values into them is to restore a state."""
        return named({"velocity": self.velocities})


class Adam:
    """Kingma & Ba 2015, "Adam: a method for stochastic optimization": the steps of torch.optim.Adam(…, fused=True).

    With `weight_decay` the gradient is that of loss + weight_decay / 2 · Σ weight².
    """

    BETAS, EPSILON = (0.9, 0.999), 1e-8

    def __init__(self, weights: Iterable[nn.Parameter], learning_rate: float, weight_decay: float = 0.0) -> None:
        self.weights = list(weights)
        self.means, self.squares = zeros_like(self.weights), zeros_like(self.weights)
        self.steps = [torch.zeros((), device=weight.device) for weight in self.weights]
        self.learning_rate, self.weight_decay = learning_rate, weight_decay

    def zero_grad(self) -> None:
        """Forget the gradients."""
        forget_gradients(self.weights)

    @torch.no_grad()
    def step(self) -> None:
        """Follow the gradients that are there."""
        found = zip(self.weights, self.means, self.squares, self.steps, strict=True)
        rows = [(weight, weight.grad, *state) for weight, *state in found if weight.grad is not None]
        if not rows:
            return
        weights, gradients, means, squares, steps = map(list, zip(*rows, strict=True))
        torch._foreach_add_(steps, 1)
        torch._fused_adam_(
            weights,
            gradients,
            means,
            squares,
            [],
            steps,
            lr=self.learning_rate,
            beta1=self.BETAS[0],
            beta2=self.BETAS[1],
            weight_decay=self.weight_decay,
            eps=self.EPSILON,
            amsgrad=False,
            maximize=False,
        )

    def state(self) -> dict[str, Tensor]:
        """The tensors that the next steps depend on, by name; to copy other values into them is to restore a state."""
        return named({"mean": self.means, "square": self.squares, "step": self.steps})


Optimizer = SGD | Adam


def zeros_like(weights: list[nn.Parameter]) -> list[Tensor]:
    """A buffer of zeros for each of the weights."""
    return [torch.zeros_like(weight, requires_grad=False) for weight in weights]


def forget_gradients(weights: list[nn.Parameter]) -> None:
    """Free the gradients, so that the next backward pass makes new ones."""
    for weight in weights:
        weight.grad = None


def named(buffers: dict[str, list[Tensor]]) -> dict[str, Any]:
    """Buffers of the same kind by `index.kind`."""
    return {f"{index}.{kind}": tensor for kind, tensors in buffers.items() for index, tensor in enumerate(tensors)}
