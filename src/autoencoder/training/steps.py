"""The ways to take a step of gradient descent, and the choice among them."""

from collections.abc import Callable
from typing import cast

from jaxtyping import Float
from torch import Tensor

from autoencoder.models.autoencoder import Autoencoder
from autoencoder.models.linear import LinearAutoencoder
from autoencoder.training.linear_sgd import linear_sgd
from autoencoder.training.objective import Objective
from autoencoder.training.optimizers import SGD, Optimizer

# Takes one step of gradient descent on a batch of scaled images, with the random numbers of `Objective.draw`; returns
# the figures of `Objective.names` as they were before the step.
Learn = Callable[..., Float[Tensor, "..."]]

MEAN_SQUARED_ERROR = Objective()


def derived_by_hand(model: Autoencoder, optimizer: Optimizer, objective: Objective = MEAN_SQUARED_ERROR) -> bool:
    """Whether the gradients of `objective` are derived by hand for `model` and `optimizer`, in `linear_sgd`."""
    plain = type(optimizer) is SGD and not optimizer.weight_decay
    return type(model) is LinearAutoencoder and plain and objective == MEAN_SQUARED_ERROR


def learner(model: Autoencoder, optimizer: Optimizer, objective: Objective = MEAN_SQUARED_ERROR) -> Learn:
    """The fastest way to take steps of `optimizer` on `model` towards `objective`."""
    if derived_by_hand(model, optimizer, objective):
        return linear_sgd(cast(LinearAutoencoder, model), cast(SGD, optimizer))
    return autograd(model, optimizer, objective)


def autograd(model: Autoencoder, optimizer: Optimizer, objective: Objective = MEAN_SQUARED_ERROR) -> Learn:
    """Steps of any optimizer on any model."""

    def learn(x: Float[Tensor, "batch input"], *noise: Float[Tensor, "..."]) -> Float[Tensor, " figures"]:
        loss, figures = objective(model, x, *noise)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return figures

    return learn
