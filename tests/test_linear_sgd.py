"""The gradients by hand are autograd's, checked in float64, and nobody has to guess which way of stepping runs."""

import copy
import sys

import pytest
import torch
from conftest import ROOT, run
from torch import Tensor, nn

from autoencoder.models.linear import LinearAutoencoder
from autoencoder.models.saved import Description
from autoencoder.training.linear_sgd import linear_sgd
from autoencoder.training.optimizers import SGD, Adam
from autoencoder.training.replay import Replayed
from autoencoder.training.steps import autograd, learner

LEARNING_RATE = 10**-1.5


def linear(inputs: int, code: int) -> LinearAutoencoder:
    return Description("linear", code, (1, 1, inputs)).build(3)


def sgd(model: nn.Module, momentum: float = 0.5, weight_decay: float = 0.0) -> SGD:
    return SGD(model.parameters(), LEARNING_RATE, momentum, weight_decay)


def batches(count: int, size: int, inputs: int) -> Tensor:
    return torch.rand(count, size, inputs, generator=torch.Generator().manual_seed(0)) * 2 - 1


def relative_error(found: Tensor, expected: Tensor) -> float:
    return ((found.double() - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize(("inputs", "code", "batch"), [(784, 32, 32), (784, 1, 7), (64, 63, 1), (64, 10, 300)])
def test_gradients_by_hand_are_autograds(inputs: int, code: int, batch: int) -> None:
    model = linear(inputs, code)
    (x,) = batches(1, batch, inputs)
    exact = copy.deepcopy(model).double()
    exact_loss = nn.functional.mse_loss(exact(x.double()), x.double())
    exact_loss.backward()
    optimizer = sgd(model)
    loss = linear_sgd(model, optimizer)(x)
    assert loss.item() == pytest.approx(exact_loss.item(), rel=1e-6)
    for velocity, weight in zip(optimizer.velocities, exact.parameters(), strict=True):
        assert weight.grad is not None
        gradient = velocity.double() / LEARNING_RATE  # in the first step
        assert relative_error(gradient, weight.grad) < 2e-6


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_many_steps_by_hand_stay_within_rounding_of_autograd_in_float64(momentum: float) -> None:
    model = linear(64, 10)
    exact = copy.deepcopy(model).double()
    by_hand, reference = linear_sgd(model, sgd(model, momentum)), autograd(exact, sgd(exact, momentum))
    shorter = [batch[: 32 - number % 3] for number, batch in enumerate(batches(60, 32, 64))]
    for x in shorter:
        assert by_hand(x).item() == pytest.approx(reference(x.double()).item(), rel=1e-5)
    for weight, expected in zip(model.parameters(), exact.parameters(), strict=True):
        assert relative_error(weight.detach(), expected.detach()) < 1e-5


def test_a_wrong_gradient_would_be_noticed() -> None:
    right = torch.ones(4, dtype=torch.float64)
    assert relative_error(right.float() * (1 + 1e-5), right) > 2e-6


def test_losses_of_earlier_steps_stay_as_they_were() -> None:
    model = linear(64, 10)
    step = linear_sgd(model, sgd(model))
    losses = [step(x) for x in batches(5, 32, 64)]
    assert len({loss.item() for loss in losses}) == 5


def test_only_plain_sgd_on_the_linear_model_is_done_by_hand() -> None:
    class Other(LinearAutoencoder):
        """A model of which nobody has derived the gradients."""

    model, other = linear(9, 2), Other(9, 2)
    assert learner(model, sgd(model)).__qualname__.startswith("linear_sgd")
    assert isinstance(learner(model, Adam(model.parameters(), 0.1)), Replayed)
    assert isinstance(learner(model, sgd(model, weight_decay=0.1)), Replayed)
    assert isinstance(learner(other, sgd(other)), Replayed)
    elsewhere = Other(9, 2).to("meta")
    assert learner(elsewhere, sgd(elsewhere)).__qualname__.startswith("autograd")


def test_training_does_not_load_what_is_as_slow_to_load_as_torch() -> None:
    program = """
import sys
import torch
from autoencoder.data.images import Images
from autoencoder.models.saved import Description
from autoencoder.params import Train
from autoencoder.training import loop, resume
pixels = torch.zeros(64, 1, 8, 8, dtype=torch.uint8)
for optimizer in ("sgd", "adam"):
    settings = Train(
        loss="mse", epochs=1, batch_size=8, optimizer=optimizer, learning_rate=0.1, momentum=0.5, weight_decay=0.0,
        log_every=1,
    )
    model = Description("linear", 5, (1, 8, 8)).build(0)
    run = loop.Training(model, Images(pixels, pixels), settings, seed=0, device=torch.device("cpu"))
    run.restore(run.state())
    for _ in run.run():
        pass
sys.exit("torch._dynamo" in sys.modules)
"""
    run(sys.executable, "-c", program, cwd=ROOT / "src")
