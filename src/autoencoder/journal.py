"""What a training has to say while it runs, in a file that another process carries to MLflow (see `follower`).

Training neither waits for MLflow nor imports it. The journal is git-ignored and no DVC output: it holds what differs
between two trainings of the same state, such as times and the machine. It is removed once MLflow has it.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from autoencoder import lineage, pipeline

FOLDER = Path(".autoencoder/journal")
MODEL = Path("models/autoencoder.safetensors")

# A training that is over sooner is not worth a process: `track` reads its journal.
SECONDS = 1.0


@dataclass(frozen=True)
class Point:
    """One value of a curve; `time` is in milliseconds since 1970, or None if it is not known."""

    name: str
    step: int
    value: float
    time: int | None = None


class Journal:
    """Notes what a training records while it is entered, and how it ended.

    `key` names the state (see `pipeline`), `params` are the flat params, `facts` those of the machine (see `numerics`).
    If the journal cannot be written, `say` tells it once, and training goes on.
    """

    def __init__(self, key: str, params: dict[str, Any], facts: dict[str, str], say: Callable[[str], None]) -> None:
        self.path, self.say = path(key), say
        self.header = {"key": key, "params": params, "facts": facts, "versions": lineage.versions()}
        self.steps = self.epochs = 0
        self.broken = False
        self.lifeline: int | None = None

    def __enter__(self) -> "Journal":
        self.began = time.monotonic()
        self._append(self.header | {"began": now()}, mode="w")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        ended: dict[str, Any] = {"ended": now(), "seconds": round(time.monotonic() - self.began, 1)}
        if error is None:
            self._append(ended | {"status": "FINISHED", "model_md5": pipeline.md5(MODEL)})
        else:
            status = "FAILED" if isinstance(error, Exception) else "KILLED"
            self._append(ended | {"status": status, "error": f"{type(error).__name__}: {error}"})
            self._follow()
        if self.lifeline is not None:
            os.close(self.lifeline)

    def note(self, steps: Sequence[Any], epochs: Sequence[Any]) -> None:
        """Write down what came since the last call. Both are whole: rows of metrics/steps.csv and metrics/training.csv.

        After a resume the first call has the past in it, which the follower may not have seen.
        """
        new = points(map(asdict, epochs[self.epochs :]), map(asdict, steps[self.steps :]), now())
        self.steps, self.epochs = len(steps), len(epochs)
        if new:
            self._append({"points": [asdict(point) for point in new]})
        if time.monotonic() - self.began > SECONDS:
            self._follow()

    def _append(self, entry: dict[str, Any], mode: str = "a") -> None:
        if self.broken:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open(mode) as file:
                file.write(json.dumps(entry) + "\n")
        except OSError as error:
            self.broken = True
            self.say(f"note: {error}; training goes on, and MLflow hears of it when it is over")

    def _follow(self) -> None:
        """Start the follower, once. It outlives this process, and knows by the end of its input when that has died."""
        if self.lifeline is not None or self.broken:
            return
        reader, self.lifeline = os.pipe()
        source = str(Path(__file__).parent.parent)
        os.posix_spawn(
            sys.executable,
            [sys.executable, "-m", "autoencoder.follower", str(self.path)],
            os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH")]))},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, reader, 0),
                (os.POSIX_SPAWN_OPEN, 1, f"{self.path}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
        )
        os.close(reader)


def path(key: str) -> Path:
    """The journal of the training that `key` names."""
    return FOLDER / f"{key[:32]}.jsonl"


def points(
    epochs: Iterable[dict[str, float]], steps: Iterable[dict[str, float]], moment: int | None = None
) -> list[Point]:
    """The curves' points in rows of metrics/training.csv and metrics/steps.csv."""
    return [
        *(
            Point(name, int(row["epoch"]), row[column], moment)
            for row in epochs
            for name, column in (("train/mse", "train_mse"), ("test/mse", "test_mse"))
        ),
        *(Point("train/step_mse", int(row["step"]), row["mse"], moment) for row in steps),
    ]


def now() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000
