"""SGD and Adam are checked against torch.optim.SGD and torch.optim.Adam, bit by bit."""

import copy
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from conftest import ROOT
from torch import Tensor, nn

from autoencoder.training.optimizers import SGD, Adam

PAIRS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "sgd": (lambda w: SGD(w, 0.1, 0.0), lambda w: torch.optim.SGD(w, 0.1)),
    "momentum": (lambda w: SGD(w, 0.1, 0.9), lambda w: torch.optim.SGD(w, 0.1, 0.9)),
    "sgd, decay": (lambda w: SGD(w, 0.1, 0.9, 0.01), lambda w: torch.optim.SGD(w, 0.1, 0.9, weight_decay=0.01)),
    "adam": (lambda w: Adam(w, 0.01), lambda w: torch.optim.Adam(w, 0.01, fused=True)),
    "adam, decay": (lambda w: Adam(w, 0.01, 0.1), lambda w: torch.optim.Adam(w, 0.01, weight_decay=0.1, fused=True)),
}


def model() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(20, 7), nn.Tanh(), nn.Linear(7, 20))


def step(network: nn.Module, optimizer: Any, x: Tensor) -> None:
    optimizer.zero_grad()
    (network(x) - x).square().mean().backward()
    optimizer.step()


def inputs(n: int) -> Tensor:
    return torch.rand(n, 8, 20, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", PAIRS)
def test_the_steps_are_torchs(name: str) -> None:
    ours = model()
    theirs = copy.deepcopy(ours)
    a, b = PAIRS[name][0](ours.parameters()), PAIRS[name][1](theirs.parameters())
    for x in inputs(30):
        step(ours, a, x)
        step(theirs, b, x)
        assert all(map(torch.equal, ours.parameters(), theirs.parameters()))


@pytest.mark.parametrize("name", PAIRS)
def test_a_restored_state_goes_on_with_the_same_steps(name: str) -> None:
    first = model()
    a = PAIRS[name][0](first.parameters())
    for x in inputs(10):
        step(first, a, x)
    second = copy.deepcopy(first)
    b = PAIRS[name][0](second.parameters())
    state = {key: value.clone() for key, value in a.state().items()}
    assert state.keys() == b.state().keys()
    for key, value in b.state().items():
        value.copy_(state[key])
    for x in inputs(10):
        step(first, a, x)
        step(second, b, x)
    assert all(map(torch.equal, first.parameters(), second.parameters()))


@pytest.mark.parametrize("name", PAIRS)
def test_a_weight_without_gradient_stays_as_it_is(name: str) -> None:
    network = model()
    unused = nn.Parameter(torch.ones(3))
    before = network[0].weight.detach().clone()
    optimizer = PAIRS[name][0]([*network.parameters(), unused])
    step(network, optimizer, inputs(1)[0])
    assert unused.tolist() == [1, 1, 1]
    assert not torch.equal(network[0].weight, before)
    optimizer.zero_grad()
    after = network[0].weight.detach().clone()
    optimizer.step()
    assert torch.equal(network[0].weight, after)


def test_making_them_does_not_load_what_is_as_slow_to_load_as_torch() -> None:
    program = """
import sys, torch
from autoencoder.training.optimizers import SGD, Adam
weight = torch.nn.Parameter(torch.ones(3))
for optimizer in (SGD([weight], 0.1, 0.9), Adam([weight], 0.1)):
    weight.grad = torch.ones(3)
    optimizer.step()
sys.exit("torch._dynamo" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT / "src", check=True, timeout=120)
