"""Seconds per epoch of the article's training, and of an MLP's.

The competitors take turns, epoch by epoch, there and back: what else the machine does hits them alike, and a ratio is
the median of the ratios of neighbours.
"""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import worker

from autoencoder import article, numerics, paths

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / paths.IMAGES
ROUNDING = 0.0001  # of the published losses
SAME = 0.02  # test losses of competitors that began alike, relative
SLOW = 2.0  # seconds of an epoch from which fewer are timed
FEW = 5
ENOUGH = 100.0  # seconds after which no further round begins
PORTABLE = "f39da10"  # the last commit in which equal bytes came from MKL's oldest kernels
Rounds = list[dict[str, dict[str, Any]]]


def measure(epochs: int) -> dict[str, Any]:
    """Seconds by competitor, each epoch's test loss compared with the published one."""
    if not importlib.util.find_spec("jax"):
        print("speed: jax is not installed here, and left out: pip install 'jax>=0.10'")
    names = ["general", "default", *(["jax"] if importlib.util.find_spec("jax") else []), "products", "article"]
    rounds = turns(names, epochs)
    for number, (answers, expected) in enumerate(zip(rounds, article.TEST_LOSSES, strict=False), 1):
        for name, answer in answers.items():
            check(name, number, answer["test_mse"], expected)
    return summary(rounds, ["article", "jax", "products"])


def measure_mlp(epochs: int) -> dict[str, Any]:
    """Seconds of the MLP with Adam, now and as of PORTABLE; both must come to the same test loss."""
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(["git", "archive", PORTABLE, "src"], cwd=ROOT, capture_output=True, check=False)
        if archive.returncode:
            raise LookupError(f"commit {PORTABLE} is not in this clone: {archive.stderr.decode().strip()}")
        subprocess.run(["tar", "x", "-C", folder], input=archive.stdout, check=True)
        rounds = turns(["mlp", "portable mlp"], min(epochs, FEW), {"portable mlp": f"{folder}/src"})
    agree(rounds)
    return summary(rounds, ["portable mlp"]) | {"portable": PORTABLE}


def measure_family(name: str, epochs: int) -> dict[str, Any]:
    """Seconds of the example `name` beside those of others; all must come to the same on test images."""
    others = ["eager"] if name != "variational" else ["as published", "jax"]
    if not importlib.util.find_spec("jax"):
        others = [other for other in others if other != "jax"]
    names = [name, *(f"{name} {other}" for other in others)]
    rounds = turns(names, min(epochs, FEW))
    agree(rounds)
    return summary(rounds, names[1:])


def agree(rounds: Rounds) -> None:
    """Exit if the competitors do not come to the same on test images within SAME after the first epoch."""
    found = {name: answer["test_mse"] for name, answer in rounds[0].items()}
    if max(found.values()) > (1 + SAME) * min(found.values()):
        sys.exit(f"expected the same on test images within {SAME:.0%} after the first epoch, found {found}")


def turns(names: list[str], epochs: int, sources: dict[str, str] | None = None) -> Rounds:
    """The answers of an epoch to warm up, which is checked all the same, and of `epochs` more, or FEW of slow ones.

    On a busy machine there are fewer: no round begins after ENOUGH seconds.
    """
    rounds: Rounds = []
    began = time.monotonic()
    with workers(names, sources or {}) as processes:
        for number in range(1 + epochs):
            if number > 1 and time.monotonic() - began > ENOUGH:
                break
            slow = [name for name in names if number > FEW and rounds[-1].get(name, {}).get("seconds", SLOW) >= SLOW]
            order = [name for name in names if name not in slow][:: (-1) ** number]
            rounds.append({name: epoch(processes[name]) for name in order})
    return rounds


def summary(rounds: Rounds, references: list[str]) -> dict[str, Any]:
    """By competitor: seconds by the clock, CPU seconds, and how many times as fast as each of `references` it is."""
    found: dict[str, Any] = {}
    for name in rounds[0]:
        times = [answers[name]["seconds"] for answers in rounds[1:] if name in answers]
        cpu = median(answers[name]["cpu"] for answers in rounds[1:] if name in answers)
        found[name] = {"median": median(times), "min": min(times), "max": max(times), "cpu": cpu, "epochs": len(times)}
        for reference in references:
            both = [answers for answers in rounds[1:] if name in answers and reference in answers]
            if both:
                ratios = [answers[reference]["seconds"] / answers[name]["seconds"] for answers in both]
                found[name][f"{reference} / it"] = median(ratios)
    return found


def check(name: str, epoch: int, test_mse: float | None, expected: float) -> None:
    """Exit if a competitor's test loss is not the published one within its rounding: it computes another thing."""
    if test_mse is not None and abs(test_mse / article.DIVISOR - expected) > ROUNDING:
        found = f"{test_mse / article.DIVISOR:.6f}"
        sys.exit(f"{name}: expected a test loss of {expected} ± {ROUNDING} after epoch {epoch}, found {found}")


@contextmanager
def workers(names: list[str], sources: dict[str, str]) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """A process per competitor, ready to train, until the context ends; `sources` are other folders for PYTHONPATH."""
    processes = {}
    try:
        for name in names:
            command = [sys.executable, str(Path(__file__).with_name("worker.py")), name, str(IMAGES)]
            environment = os.environ | {"PYTHONPATH": sources.get(name, str(ROOT / "src"))}
            if name in worker.LEFT_ALONE:
                chosen = numerics.PINNED | numerics.WAITING
                environment = {key: value for key, value in environment.items() if key not in chosen}
            processes[name] = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            if processes[name].stdout.readline() != "ready\n":
                sys.exit(
                    f"{name}: it did not start; PYTHONPATH={environment['PYTHONPATH']} {' '.join(command)} says why"
                )
        yield processes
    finally:
        for process in processes.values():
            process.kill()
            process.communicate()


def epoch(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Have a competitor train an epoch."""
    process.stdin.write("\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def table(found: dict[str, Any]) -> str:
    """Seconds and ratios."""
    rows = {name: row for name, row in found.items() if isinstance(row, dict)}
    ratios = [key for key in next(iter(rows.values())) if key.endswith(" / it")]
    lines = [
        f"{'seconds per epoch':<20}{'median':>9}{'min':>9}{'max':>9}{'CPU':>9}"
        + "".join(f"{key:>20}" for key in ratios)
    ]
    for name, row in rows.items():
        cells = "".join(f"{row[key]:>19.2f}×" if key in row else f"{'':>20}" for key in ratios)
        lines.append(f"{name:<20}{row['median']:>9.3f}{row['min']:>9.3f}{row['max']:>9.3f}{row['cpu']:>9.3f}{cells}")
    return "\n".join(lines)
