"""The two ways to take a step must be the same step, and nobody may have to guess which of them runs."""

import copy

import pytest
import torch
from torch import Tensor, nn

from autoencoder.models import LinearAutoencoder, build, scale
from autoencoder.training import Learn, autograd, learner, linear_sgd


def sgd(model: nn.Module, momentum: float = 0.5) -> torch.optim.SGD:
    return torch.optim.SGD(model.parameters(), 10**-1.5, momentum)


def momenta(model: nn.Module, optimizer: torch.optim.SGD) -> dict[str, Tensor]:
    return {name: optimizer.state[weight]["momentum_buffer"] for name, weight in model.named_parameters()}


def relative_error(found: Tensor, expected: Tensor) -> float:
    return ((found.double() - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize(("inputs", "code", "batch"), [(784, 32, 32), (784, 1, 7), (64, 63, 1), (64, 10, 300)])
def test_gradients_by_hand_are_autograds(inputs: int, code: int, batch: int) -> None:
    torch.manual_seed(3)
    model = build("linear", input_dimensions=inputs, code_dimensions=code, seed=3)
    x = torch.rand(batch, inputs) * 2 - 1
    exact = copy.deepcopy(model).double()
    exact_loss = nn.functional.mse_loss(exact(x.double()), x.double())
    exact_loss.backward()
    optimizer = sgd(model)
    loss = linear_sgd(model, optimizer)(x)  # the first step's momentum is the gradient itself
    assert loss.item() == pytest.approx(exact_loss.item(), rel=1e-6)
    for (name, gradient), weight in zip(momenta(model, optimizer).items(), exact.parameters(), strict=True):
        assert weight.grad is not None
        assert relative_error(gradient, weight.grad) < 2e-6, name


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_many_steps_by_hand_stay_within_rounding_of_autograd_in_float64(
    digits: dict[str, Tensor], momentum: float
) -> None:
    model = build("linear", input_dimensions=64, code_dimensions=10, seed=1)
    exact = copy.deepcopy(model).double()
    by_hand = linear_sgd(model, sgd(model, momentum))
    reference = autograd(exact, sgd(exact, momentum))
    for x in scale(digits["train_images"]).split(32):
        assert by_hand(x).item() == pytest.approx(reference(x.double()).item(), rel=1e-5)
    for weight, expected in zip(model.parameters(), exact.parameters(), strict=True):
        assert relative_error(weight.detach(), expected.detach()) < 1e-5


def test_a_wrong_gradient_would_be_noticed() -> None:
    right = torch.ones(4, dtype=torch.float64)
    assert relative_error(right.float() * (1 + 1e-5), right) > 2e-6


def name_of(learn: Learn) -> str:
    return learn.__qualname__.split(".")[0]


def test_only_plain_sgd_on_the_linear_model_is_done_by_hand() -> None:
    class Other(LinearAutoencoder):
        """A model of which nobody has derived the gradients."""

    model, other = build("linear", input_dimensions=9, code_dimensions=2, seed=0), Other(9, 2)
    assert name_of(learner(model, sgd(model))) == "linear_sgd"
    assert name_of(learner(model, torch.optim.Adam(model.parameters()))) == "autograd"
    assert name_of(learner(other, sgd(other))) == "autograd"
