"""The ways to take a step of gradient descent, and the choice among them."""

from typing import cast

from jaxtyping import Float
from torch import Tensor

from autoencoder.models.autoencoder import Autoencoder
from autoencoder.models.linear import LinearAutoencoder
from autoencoder.training.linear_sgd import linear_sgd
from autoencoder.training.objective import Objective
from autoencoder.training.optimizers import SGD, Optimizer
from autoencoder.training.replay import Replayed, Step

MEAN_SQUARED_ERROR = Objective()


def derived_by_hand(model: Autoencoder, optimizer: Optimizer, objective: Objective = MEAN_SQUARED_ERROR) -> bool:
    """Whether the gradients of `objective` are derived by hand for `model` and `optimizer`, in `linear_sgd`."""
    plain = type(optimizer) is SGD and not optimizer.weight_decay and on_cpu(model)
    return type(model) is LinearAutoencoder and plain and objective == MEAN_SQUARED_ERROR


def on_cpu(model: Autoencoder) -> bool:
    """Whether the weights of `model` are in the memory of the CPU."""
    return next(model.parameters()).device.type == "cpu"


def learner(model: Autoencoder, optimizer: Optimizer, objective: Objective = MEAN_SQUARED_ERROR) -> Step:
    """The fastest way to take steps of `optimizer` on `model` towards `objective`.

    A step takes a batch of scaled images and the random numbers of `Objective.draw`; it returns the figures of
    `Objective.names` as they were before the step.
    """
    if derived_by_hand(model, optimizer, objective):
        return linear_sgd(cast(LinearAutoencoder, model), cast(SGD, optimizer))
    step = autograd(model, optimizer, objective)
    return Replayed(step, model) if on_cpu(model) else step


def autograd(model: Autoencoder, optimizer: Optimizer, objective: Objective = MEAN_SQUARED_ERROR) -> Step:
    """Steps of any optimizer on any model."""
    one = next(model.parameters()).new_ones(())  # the gradient of the loss, made once

    def step(x: Float[Tensor, "batch input"], *noise: Float[Tensor, "..."]) -> Float[Tensor, "*figures"]:
        loss, figures = objective(model, x, *noise)
        optimizer.zero_grad()
        loss.backward(one)
        optimizer.step()
        return figures

    return step
