"""What a training has to say while it runs, in a file that another process carries to MLflow (see `follower`).

Training neither waits for MLflow nor imports it. The journal is git-ignored and no DVC output: it holds what differs
between two trainings of the same state, such as times and the machine. It is removed once MLflow has it.
"""

import errno
import fcntl
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from autoencoder import paths
from autoencoder.files import md5
from autoencoder.record import lineage
from autoencoder.record.curves import points

# A training that is over sooner is not worth a process: `track` reads its journal.
SECONDS = 1.0
LOOK = 0.5  # seconds between two looks of a reader
HEADER = {"key", "code", "params", "facts", "versions", "source", "began"}  # what the first line says


class Journal:
    """Notes what a training records while it is entered, and how it ended; its file is locked for as long.

    `key` names the state (see `record.identity`), `code` its code (see `record.lock`). `params` are the flat params of
    params.yaml, `facts` those of the machine (see `numerics`).
    If the journal cannot be written or followed, `say` tells it once, and training goes on.
    """

    def __init__(
        self, key: str, code: str, params: dict[str, Any], facts: dict[str, str], say: Callable[[str], None]
    ) -> None:
        self.key, self.say = key, say
        self.header = {"key": key, "code": code, "params": params, "facts": facts, "versions": lineage.versions()}
        self.header["source"] = asdict(lineage.source())
        self.steps = self.epochs = 0
        self.file: IO[bytes] | None = None  # open to the end, whatever happens: its lock says that this training lives
        self.followed = self.failed = False

    def __enter__(self) -> "Journal":
        self.began = time.monotonic()
        began = now()
        self.path = paths.JOURNALS / f"{began}-{self.key[:32]}.jsonl"
        new = Path(f"{self.path}.new")
        try:
            paths.JOURNALS.mkdir(parents=True, exist_ok=True)
            self.file = new.open("wb", buffering=0)
            fcntl.flock(self.file, fcntl.LOCK_EX)
            self._append(self.header | {"began": began})
            if not self.failed:
                new.rename(self.path)  # whoever sees it sees it locked, and with its header
        except OSError as error:
            self._give_up(error)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        ended: dict[str, Any] = {"ended": now(), "seconds": round(time.monotonic() - self.began, 1)}
        if error is None:
            self._append(ended | {"status": "FINISHED", "model_md5": md5(paths.MODEL)})
        else:
            status = "FAILED" if isinstance(error, Exception) else "KILLED"
            self._append(ended | {"status": status, "error": f"{type(error).__name__}: {error}"})
            self._follow()
        if self.file:
            self.file.close()

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

    def _append(self, entry: dict[str, Any]) -> None:
        line = f"{json.dumps(entry)}\n".encode()
        try:
            if self.file and not self.failed and self.file.write(line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        except OSError as error:
            self._give_up(error)

    def _follow(self) -> None:
        """Start the follower, once. It outlives this process, and knows by the lock when that has ended."""
        if self.followed or self.failed:
            return
        self.followed = True
        source = str(Path(__file__).parents[2])
        try:
            os.posix_spawn(
                sys.executable,
                [sys.executable, "-m", "autoencoder.tracking.follower", str(self.path)],
                os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH")]))},
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 1, f"{self.path}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
                    (os.POSIX_SPAWN_DUP2, 1, 2),
                ],
                setsid=True,
            )
        except OSError as error:
            self._say(error)

    def _give_up(self, error: OSError) -> None:
        self.failed = True
        if self.file:
            Path(f"{self.path}.new").unlink(missing_ok=True)
        self._say(error)

    def _say(self, error: OSError) -> None:
        self.say(f"note: {error}; training goes on, and MLflow hears of it when it is over")


def left() -> list[Path]:
    """The journals of this workspace that MLflow has not heard to their end, the oldest first."""
    return sorted(paths.JOURNALS.glob("*.jsonl"))


def entries(file: IO[bytes]) -> Iterator[list[dict[str, Any]]]:
    """The entries of the journal `file` as they come, until its writer has said or met its end; damage is one, too."""
    rest = b""
    while True:
        writing = alive(file)
        *lines, rest = (rest + file.read()).split(b"\n")
        new = list(_intact(lines))
        if new:
            yield new
        if not writing or len(new) < len(lines) or (new and "status" in new[-1]):
            return
        time.sleep(LOOK)


def alive(file: IO[bytes]) -> bool:
    """Whether the training that writes the journal `file` lives."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(file, fcntl.LOCK_UN)
    return False


def _intact(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            return
        if not isinstance(entry, dict):
            return
        yield entry


def now() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000
