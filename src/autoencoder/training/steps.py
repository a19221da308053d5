"""The ways to take a step of gradient descent, and the choice among them."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from autoencoder.models.linear import LinearAutoencoder
from autoencoder.training.linear_sgd import linear_sgd
from autoencoder.training.optimizers import SGD, Optimizer
from autoencoder.training.replay import Replayed, Step


def learner(model: nn.Module, optimizer: Optimizer) -> Step:
    """The fastest way to take steps of `optimizer` on `model`: they take a batch of scaled images."""
    if next(model.parameters()).device.type != "cpu":
        return autograd(model, optimizer)
    if type(model) is LinearAutoencoder and type(optimizer) is SGD and not optimizer.weight_decay:
        return linear_sgd(model, optimizer)  # derived by hand
    return Replayed(autograd(model, optimizer), model)


def autograd(model: nn.Module, optimizer: Optimizer) -> Step:
    """Steps of any optimizer on any model; they return the loss as it was before the step."""

    def step(x: Float[Tensor, "batch input"]) -> Float[Tensor, ""]:
        loss = mse_loss(model(x), x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step
