"""Seconds per epoch of the article's training.

The competitors take turns, there and back: the machine's moods hit them alike.
"""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import worker

from autoencoder import article

IMAGES = Path("data/images.safetensors")
ROUNDING = 0.0001  # of the published losses


def measure(epochs: int) -> dict[str, Any]:
    """Median, minimum and maximum by competitor, after an epoch of warming up that is checked all the same."""
    names = [name for name in worker.NAMES if name != "jax" or importlib.util.find_spec("jax")]
    with workers(names) as processes:
        orders = [names[:: (-1) ** number] for number in range(1 + epochs)]
        rounds = [{name: epoch(processes[name]) for name in order} for order in orders]
    for number, (answers, expected) in enumerate(zip(rounds, article.TEST_LOSSES, strict=False), 1):
        for name, answer in answers.items():
            check(name, number, answer["test_mse"], expected)
    seconds = {name: [answers[name]["seconds"] for answers in rounds[1:]] for name in names}
    return {name: {"median": median(times), "min": min(times), "max": max(times)} for name, times in seconds.items()}


def check(name: str, epoch: int, test_mse: float | None, expected: float) -> None:
    """Exit if a competitor's test loss is not the published one within its rounding: it computes another thing."""
    if test_mse is not None and abs(test_mse / 100 - expected) > ROUNDING:
        found = f"{test_mse / 100:.6f}"
        sys.exit(f"{name}: expected a test loss of {expected} ± {ROUNDING} after epoch {epoch}, found {found}")


@contextmanager
def workers(names: list[str]) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """A process per competitor, ready to train. They are ended afterwards."""
    processes = {}
    try:
        for name in names:
            command = [sys.executable, str(Path(__file__).with_name("worker.py")), name, str(IMAGES)]
            processes[name] = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
            if processes[name].stdout.readline() != "ready\n":
                sys.exit(f"{name}: it did not start; {' '.join(command)} says why")
        yield processes
    finally:
        for process in processes.values():
            process.kill()
            process.communicate()


def epoch(process: subprocess.Popen[str]) -> dict[str, float]:
    """Have a competitor train an epoch."""
    process.stdin.write("\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def table(times: dict[str, Any]) -> str:
    """The ratios that the goals are about, below the seconds."""
    lines = [f"{'seconds per epoch':<20}{'median':>9}{'min':>9}{'max':>9}{'article / it':>15}"]
    for name, row in times.items():
        ratio = times["article"]["median"] / row["median"]
        lines.append(f"{name:<20}{row['median']:>9.3f}{row['min']:>9.3f}{row['max']:>9.3f}{ratio:>14.1f}×")
    return "\n".join(lines)
