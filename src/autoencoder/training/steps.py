"""The ways to take a step of gradient descent, and the choice among them."""

from collections.abc import Callable
from typing import cast

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from autoencoder.models.linear import LinearAutoencoder
from autoencoder.training.linear_sgd import linear_sgd
from autoencoder.training.optimizers import SGD, Optimizer

# Takes one step of gradient descent on a batch of scaled images; returns the loss as it was before the step.
Learn = Callable[[Float[Tensor, "batch input"]], Float[Tensor, ""]]


def derived_by_hand(model: nn.Module, optimizer: Optimizer) -> bool:
    """Whether the gradients of `model` are derived by hand for `optimizer`, in `linear_sgd`."""
    return type(model) is LinearAutoencoder and type(optimizer) is SGD


def learner(model: nn.Module, optimizer: Optimizer) -> Learn:
    """The fastest way to take steps of `optimizer` on `model`."""
    if derived_by_hand(model, optimizer):
        return linear_sgd(cast(LinearAutoencoder, model), cast(SGD, optimizer))
    return autograd(model, optimizer)


def autograd(model: nn.Module, optimizer: Optimizer) -> Learn:
    """Steps of any optimizer on any model."""

    def learn(x: Float[Tensor, "batch input"]) -> Float[Tensor, ""]:
        loss = mse_loss(model(x), x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return learn
