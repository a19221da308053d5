"""The journal of a training: a file of JSON lines that training writes and another process carries to MLflow.

Training neither waits for MLflow nor imports it. The journal is git-ignored and no DVC output: it holds what differs
between two trainings of the same state, such as times and the machine. It is removed once MLflow has its content.
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

# A follower is started for a training that lasts longer; `track` reads the journal of a shorter one.
SECONDS = 1.0
POLL = 0.5  # seconds after which a reader looks for new lines
HEADER = {"key", "code", "params", "facts", "versions", "source", "began"}  # the keys of the first line


class Journal:
    """A context in which a training runs: it writes what training records and how training ended, and locks the file.

    `key` names the state (see `record.identity`), `code` its code (see `record.lock`). `params` are the flat params of
    params.yaml, `facts` those of the machine (see `numerics`). If the journal cannot be written or no follower can be
    started, `say` prints one note, and training goes on.
    """

    def __init__(
        self, key: str, code: str, params: dict[str, Any], facts: dict[str, str], say: Callable[[str], None]
    ) -> None:
        self.say = say
        self.header: dict[str, Any] = {"key": key, "code": code, "params": params, "facts": facts}
        self.header |= {"versions": lineage.versions(), "source": asdict(lineage.source())}
        self.steps = self.epochs = 0
        self.file: IO[bytes] | None = None  # open while training runs: readers see by its lock that it does
        self.followed = self.failed = False

    def __enter__(self) -> "Journal":
        self.began = time.monotonic()
        began = now()
        self.path = paths.JOURNALS / f"{began}-{self.header['key'][:32]}.jsonl"
        new = Path(f"{self.path}.new")
        try:
            paths.JOURNALS.mkdir(parents=True, exist_ok=True)
            self.file = new.open("wb", buffering=0)
            fcntl.flock(self.file, fcntl.LOCK_EX)
            self._append(self.header | {"began": began})
            if not self.failed:
                new.rename(self.path)  # only now, locked and with its header, can a reader find the file
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
        """Write the rows that were added since the last call to `steps` and `epochs`, the whole histories so far.

        After a resume the first call writes what was recorded before: no reader may have seen it.
        """
        new = points(map(asdict, epochs[self.epochs :]), map(asdict, steps[self.steps :]), now())
        self.steps, self.epochs = len(steps), len(epochs)
        if new:
            self._append({"points": [point._asdict() for point in new]})
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
        """Start the follower, once. It outlives this process, and sees by the lock when this process has ended."""
        if self.followed or self.failed:
            return
        self.followed = True
        files = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, f"{self.path}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        command = [sys.executable, "-m", "autoencoder.tracking.follower", str(self.path)]
        try:
            os.posix_spawn(sys.executable, command, with_this_library(), file_actions=files, setsid=True)
        except OSError as error:
            self._report(error)

    def _give_up(self, error: OSError) -> None:
        self.failed = True
        if self.file:
            Path(f"{self.path}.new").unlink(missing_ok=True)
        self._report(error)

    def _report(self, error: OSError) -> None:
        self.say(f"note: {error}; training goes on, and `track` reports it to MLflow when it is over")


def with_this_library() -> dict[str, str]:
    """The environment of a process that imports this very library, whatever is installed."""
    given = filter(None, [os.environ.get("PYTHONPATH")])
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *given])}


def left() -> list[Path]:
    """The journals of this workspace that are not in MLflow to their end, the oldest first."""
    return sorted(paths.JOURNALS.glob("*.jsonl"))


def entries(file: IO[bytes]) -> Iterator[list[dict[str, Any]]]:
    """The entries of the journal `file` as they come, until the writer reports its end, dies, or a line is damaged."""
    rest = b""
    while True:
        writing = alive(file)
        *lines, rest = (rest + file.read()).split(b"\n")
        new = list(_intact(lines))
        if new:
            yield new
        if not writing or len(new) < len(lines) or (new and "status" in new[-1]):
            return
        time.sleep(POLL)


def alive(file: IO[bytes]) -> bool:
    """Whether the training that writes the journal `file` lives."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(file, fcntl.LOCK_UN)
    return False


def _intact(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """The entries of `lines` up to the first line that is damaged."""
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
