"""Gradient descent with momentum, and the type of all optimizers."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn


class SGD:
    """v ← momentum · v + gradient, weight ← weight - learning_rate · v, from v = 0: torch.optim.SGD's steps.

    With `weight_decay` the gradient is that of loss + weight_decay / 2 · Σ weight². torch's class loads torch._dynamo
    when it is made, which takes as long as loading torch.
    """

    def __init__(
        self, weights: Iterable[nn.Parameter], learning_rate: float, momentum: float, weight_decay: float = 0.0
    ) -> None:
        self.weights = list(weights)
        self.velocities = [torch.zeros_like(weight, requires_grad=False) for weight in self.weights]
        self.learning_rate, self.momentum, self.weight_decay = learning_rate, momentum, weight_decay

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for weight in self.weights:
            weight.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Follow the gradients that are there."""
        for weight, velocity in zip(self.weights, self.velocities, strict=True):
            if weight.grad is not None:
                velocity.mul_(self.momentum).add_(weight.grad)
                if self.weight_decay:
                    velocity.add_(weight, alpha=self.weight_decay)
                weight.add_(velocity, alpha=-self.learning_rate)

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` takes, in the form of torch's optimizers."""
        return {"state": {index: {"velocity": velocity} for index, velocity in enumerate(self.velocities)}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Copy the velocities. Raises KeyError or RuntimeError if they are another model's."""
        for index, velocity in enumerate(self.velocities):
            velocity.copy_(state_dict["state"][index]["velocity"])


Optimizer = torch.optim.Optimizer | SGD
