"""The canary must be silent where the promise holds, quick, and must name what differs."""

import subprocess
import sys

import pytest
import torch
from conftest import ROOT

from autoencoder import numerics
from autoencoder.kernels import canary


def test_this_process_gives_the_promised_bytes() -> None:
    assert canary.found() == canary.EXPECTED
    assert numerics.differing() is None


def test_an_operation_that_gives_other_bytes_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    exp = torch.Tensor.exp
    monkeypatch.setattr(torch.Tensor, "exp", lambda x: torch.nextafter(exp(x), torch.tensor(9.0)))
    canary.different.cache_clear()
    try:
        assert numerics.differing() == "other bytes than promised from exponential on this machine"
    finally:
        canary.different.cache_clear()


def test_torch_left_alone_is_noticed() -> None:
    program = """
import sys
from autoencoder.kernels import canary
assert "sklearn" not in sys.modules
print(*canary.different(), sep="\\n")
"""
    environment = {"PATH": "/usr/bin", "ATEN_CPU_CAPABILITY": "default", "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
    assert {"matrix product", "sigmoid", "softmax, logsumexp"} <= {*done.stdout.splitlines()}


def test_the_canary_leaves_torchs_random_numbers_alone() -> None:
    before = torch.get_rng_state()
    canary.found()
    assert torch.equal(torch.get_rng_state(), before)


def test_what_a_hash_stands_for_is_all_bytes_of_all_tensors() -> None:
    x = torch.zeros(3)
    assert canary.digest(x) == canary.digest([x]) != canary.digest([x, x])
    assert canary.digest(x) != canary.digest(-x)
