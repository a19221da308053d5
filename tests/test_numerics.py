"""Kernels are chosen before numpy and torch are imported, so each check has an interpreter of its own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from emulated_cpus import HOSTILE

from autoencoder import numerics
from autoencoder.errors import UserError
from autoencoder.params import Runtime

PROGRAM = """
import json, os, sys
from autoencoder import numerics
from autoencoder.params import Runtime
assert not {{"numpy", "torch"}} & {{*sys.modules}}
{before}
runtime = Runtime(device="cpu", threads={threads})
try:
    notes = numerics.configure(runtime)
except Exception as error:
    print(json.dumps(dict(error=f"{{type(error).__name__}}: {{error}}")))
    sys.exit()
import torch
from autoencoder.kernels import products
print(json.dumps(dict(
    notes=notes, environment=dict(os.environ), threads=torch.get_num_threads(), facts=numerics.facts(runtime),
    capability=torch.backends.cpu.get_cpu_capability(), products=len(products.LIBRARY._op_impls),
)))
"""
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if name not in (*numerics.PINNED, *numerics.THREADS, *numerics.WAITING) and not name.startswith(numerics.REMOVED)
} | {"PYTHONPATH": str(ROOT / "src")}


def configured(before: str = "", threads: int = 1, emulator: tuple[str, ...] = (), **environment: str) -> Any:
    """What a fresh interpreter that was started in this environment reports after `configure`."""
    program = PROGRAM.format(threads=threads, before=before)
    command = [*emulator, sys.executable, "-c", program]
    done = subprocess.run(
        command, env=ENVIRONMENT | environment, capture_output=True, text=True, timeout=250, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_clean_environment_gives_the_promised_bytes_and_no_note() -> None:
    report = configured()
    assert report["notes"] == []
    assert report["facts"]["canary"] == "as promised"
    assert report["facts"]["cpu_capability"] == report["capability"] == "AVX2"
    assert report["facts"]["threads"] == "1"
    assert report["products"] > 0
    assert report["environment"].items() >= numerics.PINNED.items()


def test_the_choice_wins_over_a_hostile_environment_and_says_so() -> None:
    report = configured(**HOSTILE)
    chosen = numerics.PINNED | numerics.WAITING | dict.fromkeys(numerics.THREADS, "1")
    assert report["environment"].items() >= chosen.items()
    assert report["facts"]["canary"] == "as promised"
    assert "MKL_CBWR=AUTO is overridden by MKL_CBWR=COMPATIBLE" in report["notes"]
    assert "MKL_ENABLE_INSTRUCTIONS=SSE4_2 is overridden" in report["notes"]
    left = {name for name in HOSTILE if report["environment"].get(name) == HOSTILE[name]}
    assert not any(name.startswith(numerics.REMOVED) for name in left)


@pytest.mark.parametrize("package", ["numpy", "torch"])
def test_a_choice_that_comes_after_numpy_or_torch_is_an_error(package: str) -> None:
    error = configured(f"import {package}")["error"]
    assert error.startswith("UserError: expected numpy")
    assert "to be imported after numerics.configure" in error
    assert error.endswith("start a new process")


def test_configured_twice_is_fine() -> None:
    assert configured("numerics.configure(Runtime(device='cpu', threads=1))")["notes"] == []


@pytest.mark.parametrize(
    ("pretend", "reason"),
    [
        ('platform.machine = lambda: "aarch64"', "the same bytes are promised for x86-64 CPUs, this is aarch64"),
        (
            "numerics.has_avx2 = lambda: False",
            "the same bytes are promised for CPUs with AVX2, this one does not have it",
        ),
    ],
)
def test_a_cpu_outside_the_promise_is_named_in_one_line_and_left_alone(pretend: str, reason: str) -> None:
    report = configured(f"import platform\n{pretend}", threads=2)
    assert report["notes"] == [f"{reason}: outputs may differ from dvc.lock's in the last bits"]
    assert report["facts"]["canary"] == reason
    assert report["threads"] == 2
    assert report["products"] == 0
    assert not {*numerics.PINNED} & {*report["environment"]}


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("qemu-x86_64"), reason="no qemu-x86_64 at hand: a CPU without AVX2")
def test_on_a_cpu_without_avx2_nothing_crashes() -> None:
    report = configured(emulator=("qemu-x86_64", "-cpu", "Nehalem"))
    assert report["facts"]["canary"].startswith("the same bytes are promised for CPUs with AVX2")
    assert report["capability"] == "DEFAULT"


def test_without_glibc_avx2_is_looked_up_in_what_linux_says(monkeypatch: pytest.MonkeyPatch) -> None:
    real = numerics.has_avx2()
    monkeypatch.setattr(numerics.ctypes, "CDLL", lambda _: object())
    assert numerics.has_avx2() == real
    for text, expected in (("flags : fpu avx2 sse\n", True), ("flags : fpu avx sse\n", False)):
        monkeypatch.setattr(Path, "read_text", lambda _, text=text: text)
        assert numerics.has_avx2() == expected


def test_other_bytes_are_a_note_that_names_the_operation() -> None:
    before = "numerics.differing = lambda: 'other bytes than promised from sort on this machine'"
    (note,) = configured(before)["notes"]
    assert (
        note
        == "other bytes than promised from sort on this machine: outputs may differ from dvc.lock's in the last bits"
    )


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_named_with_those_that_are(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UserError, match=f"runtime.device: expected one of auto, cpu on this machine, found '{name}'"):
        numerics.device(Runtime(device=name, threads=1))


@pytest.mark.parametrize(
    ("cuda", "mps", "best"), [(False, False, "cpu"), (False, True, "mps"), (True, False, "cuda"), (True, True, "cuda")]
)
def test_auto_is_the_best_device_that_is_there(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, best: str
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert numerics.device(Runtime(device="auto", threads=1)).type == best
