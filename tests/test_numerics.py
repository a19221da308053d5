"""The numeric profile is chosen before torch is imported, so each check has an interpreter of its own."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from conftest import ROOT

from autoencoder import numerics
from autoencoder.errors import UserError
from autoencoder.params import Runtime

PROGRAM = """
import json, os, sys
from autoencoder import numerics
from autoencoder.params import Runtime
assert "torch" not in sys.modules
{before}
notes = numerics.configure(Runtime(device="cpu", numerics={numerics!r}, threads={threads}))
import torch
print(json.dumps(dict(
    notes=notes, environment=dict(os.environ), threads=torch.get_num_threads(),
    capability=torch.backends.cpu.get_cpu_capability(),
)))
"""


def configured(numerics: str, threads: int, before: str = "", **environment: str) -> dict[str, Any]:
    """What a fresh interpreter that was started in this environment reports after `configure`."""
    names = ("MKL_CBWR", "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "CUBLAS_WORKSPACE_CONFIG", "OMP_NUM_THREADS",
             "MKL_NUM_THREADS")  # fmt: skip
    clean = {name: value for name, value in os.environ.items() if name not in names}
    program = PROGRAM.format(numerics=numerics, threads=threads, before=before)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=clean | {"PYTHONPATH": str(ROOT / "src")} | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_the_portable_profile_wins_over_the_callers_environment_and_says_so() -> None:
    report = configured("portable", 1, ATEN_CPU_CAPABILITY="default", MKL_CBWR="AVX2", OMP_NUM_THREADS="7")
    assert report["environment"].items() >= numerics.PORTABLE.items()
    assert report["threads"] == 1
    assert report["capability"] == "AVX2"
    for name, (old, new) in {
        "ATEN_CPU_CAPABILITY": ("default", "avx2"),
        "MKL_CBWR": ("AVX2", "COMPATIBLE"),
        "OMP_NUM_THREADS": ("7", "1"),
    }.items():
        assert any(f"{name}={old} is overridden by {name}={new}" in note for note in report["notes"])
    assert len(report["notes"]) == 3


def test_fast_leaves_torch_as_it_is_but_for_the_threads() -> None:
    report = configured("fast", 2, ATEN_CPU_CAPABILITY="default")
    assert report["capability"] != "AVX2"
    assert report["threads"] == 2
    assert report["notes"] == []
    assert not report["environment"].keys() & (numerics.PORTABLE.keys() - {"ATEN_CPU_CAPABILITY"})


def test_a_profile_that_comes_after_torch_is_an_error() -> None:
    before = """
import torch
try:
    numerics.configure(Runtime(device="cpu", numerics="portable", threads=1))
except Exception as error:
    print(json.dumps(dict(error=f"{type(error).__name__}: {error}")))
    sys.exit()
"""
    error = configured("portable", 1, before)["error"]
    assert error.startswith("UserError: runtime.numerics: portable must be set before torch is imported")


@pytest.mark.parametrize(
    ("pretend", "reason"),
    [
        ('platform.machine = lambda: "aarch64"', "portable numerics are promised for x86-64 CPUs, this is aarch64"),
        ("torch.cpu.get_capabilities = lambda: dict(avx2=False)", "portable numerics need AVX2"),
    ],
)
def test_a_cpu_outside_the_promise_is_told_in_one_line_and_spared_avx2(pretend: str, reason: str) -> None:
    before = f"import platform, torch\n{pretend}"
    report = configured("portable", 1, before, **numerics.PORTABLE, OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    (note,) = report["notes"]
    assert note.startswith(reason)
    assert note.endswith("outputs may differ from dvc.lock's in the last bits")
    assert report["capability"] == "DEFAULT"


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_named_with_those_that_are(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UserError, match=f"runtime.device: expected one of auto, cpu on this machine, found '{name}'"):
        numerics.device(Runtime(device=name, numerics="portable", threads=1))


@pytest.mark.parametrize(
    ("cuda", "mps", "best"), [(False, False, "cpu"), (False, True, "mps"), (True, False, "cuda"), (True, True, "cuda")]
)
def test_auto_is_the_best_device_that_is_there(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, best: str
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert numerics.device(Runtime(device="auto", numerics="portable", threads=1)).type == best
