"""The two ways to take a step must be the same step, and nobody may have to guess which of them runs."""

import copy
import sys

import pytest
import torch
from conftest import ROOT, run
from torch import Tensor, nn

from autoencoder.data.images import Images, scale
from autoencoder.models.linear import LinearAutoencoder
from autoencoder.models.saved import Description
from autoencoder.training.corruption import Masking
from autoencoder.training.linear_sgd import linear_sgd
from autoencoder.training.objective import Objective
from autoencoder.training.optimizers import SGD
from autoencoder.training.steps import Learn, autograd, learner


def sgd(model: nn.Module, momentum: float = 0.5) -> SGD:
    return SGD(model.parameters(), 10**-1.5, momentum)


def relative_error(found: Tensor, expected: Tensor) -> float:
    return ((found.double() - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize(("inputs", "code", "batch"), [(784, 32, 32), (784, 1, 7), (64, 63, 1), (64, 10, 300)])
def test_gradients_by_hand_are_autograds(inputs: int, code: int, batch: int) -> None:
    torch.manual_seed(3)
    model = Description("linear", code, (1, 1, inputs)).build(3)
    x = torch.rand(batch, inputs) * 2 - 1
    exact = copy.deepcopy(model).double()
    exact_loss = nn.functional.mse_loss(exact(x.double()), x.double())
    exact_loss.backward()
    optimizer = sgd(model)
    loss = linear_sgd(model, optimizer)(x)  # the first step's velocity is the gradient itself
    assert loss.item() == pytest.approx(exact_loss.item(), rel=1e-6)
    for gradient, weight in zip(optimizer.velocities, exact.parameters(), strict=True):
        assert weight.grad is not None
        assert relative_error(gradient, weight.grad) < 2e-6


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_many_steps_by_hand_stay_within_rounding_of_autograd_in_float64(digits: Images, momentum: float) -> None:
    model = Description("linear", 10, (1, 1, 64)).build(1)
    exact = copy.deepcopy(model).double()
    by_hand = linear_sgd(model, sgd(model, momentum))
    reference = autograd(exact, torch.optim.SGD(exact.parameters(), 10**-1.5, momentum))
    for x in scale(digits.train).split(32):
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

    model, other = Description("linear", 2, (1, 1, 9)).build(0), Other(9, 2)
    assert name_of(learner(model, sgd(model))) == "linear_sgd"
    assert name_of(learner(model, torch.optim.Adam(model.parameters()))) == "autograd"
    assert name_of(learner(other, sgd(other))) == "autograd"
    assert name_of(learner(model, SGD(model.parameters(), 0.1, 0.5, weight_decay=0.1))) == "autograd"
    assert name_of(learner(model, sgd(model), Objective(Masking(0.1)))) == "autograd"


@pytest.mark.parametrize(("momentum", "decay"), [(0.0, 0.0), (0.9, 0.0), (0.9, 0.01)])
def test_sgd_takes_torchs_steps(momentum: float, decay: float) -> None:
    ours = Description("linear", 3, (1, 1, 20)).build(0)
    theirs = copy.deepcopy(ours)
    a, b = (
        autograd(ours, SGD(ours.parameters(), 10**-1.5, momentum, decay)),
        autograd(theirs, torch.optim.SGD(theirs.parameters(), 10**-1.5, momentum, weight_decay=decay)),
    )
    for x in torch.rand(30, 8, 20, generator=torch.Generator().manual_seed(0)):
        assert torch.equal(a(x), b(x))
    assert all(map(torch.equal, ours.parameters(), theirs.parameters()))


def test_training_by_sgd_does_not_load_what_is_as_slow_to_load_as_torch() -> None:
    program = """
import sys
import torch
from autoencoder.data.images import Images
from autoencoder.models.saved import Description
from autoencoder.params import Train
from autoencoder.training import loop, resume
images = Images(*torch.zeros(2, 64, 1, 8, 8, dtype=torch.uint8))
settings = Train(
    loss="mse", weight_decay=0.0, epochs=1, batch_size=32, optimizer="sgd", learning_rate=0.1,
    momentum=0.5, log_every=1
)
model = Description("linear", 5, (1, 1, 64)).build(0)
run = loop.Training(model, images, settings, seed=0, device=torch.device("cpu"))
run.restore(run.state())
for _ in run.run():
    pass
sys.exit("torch._dynamo" in sys.modules)
"""
    run(sys.executable, "-c", program, cwd=ROOT / "src")
