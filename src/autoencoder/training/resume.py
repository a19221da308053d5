"""Training that survives a kill: its newest state on disk, and one trainer at a time in a workspace.

A state is written beside its place, flushed and renamed (see `files`), with a checksum. The two newest are kept, so
that a damaged file costs a second of work. They lie in a git-ignored folder whose name is a hash of all that could make
the rest of the training another one.
"""

import fcntl
import hashlib
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from autoencoder import paths
from autoencoder.errors import UserError
from autoencoder.files import write_atomically
from autoencoder.training.loop import Training

SIGNALS = (signal.SIGINT, signal.SIGTERM)

# A state is written when the last one is so many seconds old, and sooner at the end of an epoch. Training asks at least
# every quarter of a second, so that a kill costs a second of work at most.
SECONDS = 0.75
EPOCH_SECONDS = 0.1


@contextmanager
def one_trainer() -> Iterator[None]:
    """Hold the workspace's lock, which dies with the process. Raises UserError if another process holds it."""
    paths.TRAINER_LOCK.parent.mkdir(exist_ok=True)
    with paths.TRAINER_LOCK.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            pid = file.read()
            raise UserError(
                f"expected no other training in this workspace, found process {pid} training; "
                f"wait until it ends, or `kill {pid}`, which keeps its state"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


class Keeper:
    """A context in which a training runs: it writes the state of `training` to disk while `keep` is called.

    `key` names data, code and params but for the epochs (`beginning` in `record.lock`), `facts` the machine and the
    versions (see `numerics`); the folder of the states is named after both, so that a training finds those of a shorter
    one. Another thread writes the states, one at a time. If a state cannot be written, `say` prints one note, and
    training goes on. SIGINT and SIGTERM are remembered until `keep` is called.
    """

    def __init__(self, training: Training, key: str, facts: dict[str, str], say: Callable[[str], None]) -> None:
        self.training, self.say = training, say
        root = Path(os.environ.get(paths.KEPT_IN, paths.RESUME))
        self.folder = root / hashlib.sha256(json.dumps([key, facts]).encode()).hexdigest()[:32]
        self.writer = ThreadPoolExecutor(max_workers=1)
        self.writing: Future[None] | None = None
        self.failed = False
        self.signal = 0

    def __enter__(self) -> "Keeper":
        self.kept_at = time.monotonic()
        self.handlers = {number: signal.signal(number, self._remember) for number in SIGNALS}
        return self

    def __exit__(self, *error: type[BaseException] | BaseException | TracebackType | None) -> None:
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        self.writer.shutdown()

    def restore(self) -> None:
        """Take training to the newest state that is whole and not beyond its end; name those that are damaged.

        Raises UserError if a whole one is not of this training.
        """
        for leftover in self.folder.glob(".*.tmp"):  # of a process that was killed while it wrote
            leftover.unlink()
        for path in sorted(self.folder.glob("*.state"), reverse=True):
            if self._is_beyond(path):
                continue
            try:
                state = read(path)
            except UserError as error:
                self.say(f"note: {error}; the file is removed")
                path.unlink()
                continue
            try:
                self.training.restore(state)
            except (KeyError, RuntimeError, TypeError, ValueError) as error:
                reason = " ".join(str(error).split())
                raise UserError(f"{path}: expected a state of this training, found {reason}; remove {path}") from None
            self.say(f"resuming after {self.training.batches_seen:,} batches")
            return

    def keep(self, *, epoch_finished: bool) -> None:
        """Write the state if it is due. After a signal, write it, and exit with status 128 + signal."""
        if self.signal:
            self._wait()
            self._write_in_background()
            self._wait()
            if not self.failed:
                self.say(f"stopped after {self.training.batches_seen:,} batches; `dvc repro` goes on from there")
            raise SystemExit(128 + self.signal)
        age = time.monotonic() - self.kept_at
        due = age >= (EPOCH_SECONDS if epoch_finished else SECONDS)
        if due and (self.writing is None or self.writing.done()):
            self._wait()
            self._write_in_background()

    def discard(self) -> None:
        """Remove the states once training is over, but for what a longer one asked for or left when it was stopped."""
        self._wait()
        if paths.KEPT_IN in os.environ:
            self._write_in_background()
            self._wait()
        elif self.folder.exists() and not any(self._is_beyond(path) for path in self.folder.glob("*.state")):
            shutil.rmtree(self.folder)

    def _is_beyond(self, path: Path) -> bool:
        """Whether the state in this file comes after the end of this training."""
        return int(path.stem) > self.training.settings.epochs * len(self.training.losses)

    def _write_in_background(self) -> None:
        self.kept_at = time.monotonic()
        path = self.folder / f"{self.training.batches_seen:012}.state"
        self.writing = self.writer.submit(write, path, self.training.state())

    def _wait(self) -> None:
        """Wait until no state is being written, and report the first of several failures to write one."""
        try:
            if self.writing:
                self.writing.result()
        except OSError as error:
            if not self.failed:
                self.say(f"note: {error}; training goes on, but could not be resumed from here")
            self.failed = True
        else:
            self.failed = False

    def _remember(self, number: int, _frame: FrameType | None) -> None:
        self.signal = number


def write(path: Path, state: dict[str, Tensor]) -> None:
    """Write a state with its SHA-256 in front, and remove all before it but the newest. Raises OSError.

    Those beyond it are of a longer training that was stopped.
    """
    content = save(state)
    write_atomically(path, hashlib.sha256(content).digest() + content)
    for old in sorted(before for before in path.parent.glob("*.state") if before < path)[:-1]:
        old.unlink()


def read(path: Path) -> dict[str, Tensor]:
    """The state of `write`. Raises UserError if the file is not as it was written."""
    content = path.read_bytes()
    expected, content = content[: hashlib.sha256().digest_size], content[hashlib.sha256().digest_size :]
    found = hashlib.sha256(content).digest()
    if found != expected:
        raise UserError(f"{path}: expected SHA-256 {expected.hex()}, found {found.hex()}")
    try:
        return load(content)
    except SafetensorError as error:
        raise UserError(f"{path}: expected a safetensors file, found {error}") from None
