"""Runs one state of a sweep as a DVC experiment, in a workspace of its own that shares the cache.

The workspace is a clone: see `record.git.clone`.
"""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from autoencoder import paths
from autoencoder.errors import UserError
from autoencoder.record import content, git

POLL = 0.5  # seconds
TRAINING = re.compile(r"Running stage 'train'|Test  Epoch: (\d+) mse [^,\n]+, validation mse (\S+)")
DIVERGED = "training diverged"
# What DVC sets for its stages; and what Dask sets for its workers, to give memory back early: training would take 1.4
# times as long.
NOT_INHERITED = ("DVC_ROOT", "DVC_STAGE", "DVC_EXP", "MALLOC_TRIM_THRESHOLD_")

Note = Callable[[dict[str, Any]], None]  # is given number, epoch and validation_mse of a state in training


@dataclass(frozen=True)
class Job:
    """A state to be trained from `commit` with the flat `params`: number `number` of a sweep.

    Trainings of one `point` go on from each other; `alive` are the points that are still in the race. `again` runs the
    `targets` though the experiment is there.
    """

    sweep: str
    number: int
    point: int
    alive: frozenset[int]
    commit: str
    params: dict[str, Any]
    targets: tuple[str, ...] = ("evaluate",)
    again: bool = False

    @property
    def name(self) -> str:
        """The name of the experiment."""
        return f"{self.sweep}-{self.number}"

    @property
    def ref(self) -> str:
        """Where git has the experiment."""
        return f"refs/exps/{self.commit[:2]}/{self.commit[2:]}/{self.name}"


def run(job: Job, note: Note, publish: Callable[[Path], None] = lambda _: None) -> None:
    """Make the experiment of `job` in the current repository, unless it is there; whoever makes it now is waited for.

    Before the repository takes it over, `publish` is given the workspace with its results. Raises UserError with the
    reason if something failed; what was trained then stays for the next time.
    """
    folder = work(job.sweep) / str(job.number)
    _forget_others(job)
    with locked(Path(f"{folder}.lock")) as held:
        if git.output("rev-parse", "--verify", "--quiet", job.ref) and not job.again:
            return
        made = folder.exists() and not git.git("rev-parse", "--verify", "--quiet", job.ref, folder=folder).returncode
        if job.again or not made:
            _clone(job, folder)
            _execute(job, folder, held, note)
        publish(_project(folder))
        fetched = git.git(
            "fetch", "--quiet", "--no-auto-gc", "--no-write-fetch-head", str(folder), f"+{job.ref}:{job.ref}"
        )
        if fetched.returncode:
            raise UserError(f"{job.name}: {' '.join(fetched.stderr.decode().split())}")
        shutil.rmtree(folder)


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[IO[str]]:
    """Hold the lock `path`, which whoever inherits the file holds as well. Raises BlockingIOError unless `wait`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield file


def work(sweep: str) -> Path:
    """Where the workspaces of a sweep are, each beside its lock, its log, and the states of training by point."""
    return paths.SWEEP_WORK.absolute() / sweep


def _states(job: Job) -> Path:
    return work(job.sweep) / "states" / str(job.point)


def _forget_others(job: Job) -> None:
    """Remove the states of points that are out of the race."""
    for folder in _states(job).parent.glob("*"):
        if int(folder.name) not in job.alive:
            shutil.rmtree(folder, ignore_errors=True)


def _clone(job: Job, folder: Path) -> None:
    """Make `folder` a clone at the commit, whatever it was, with this repository's cache, remotes and user."""
    with locked(folder / paths.TRAINER_LOCK):  # a stage may outlive its DVC
        shutil.rmtree(folder)
    user = [f"user.{key}={git.output('config', f'user.{key}').decode().strip()}" for key in ("name", "email")]
    options = [option for setting in user if not setting.endswith("=") for option in ("--config", setting)]
    project = git.clone(job.commit, folder, *options)
    content.share_cache(project)
    content.write(project / paths.JOURNALS, b"")  # a file in the place of the folder: no journal, no follower


def _project(folder: Path) -> Path:
    """The project in a clone of the whole repository."""
    return folder / git.checked("rev-parse", "--show-prefix").strip()


def _execute(job: Job, folder: Path, held: IO[str], note: Note) -> None:
    """Run DVC in the clone `folder`. It inherits the lock `held`, and so holds it even when this process is killed."""
    edits = [argument for name, value in job.params.items() for argument in ("-S", f"{name}={json.dumps(value)}")]
    environment = {name: text for name, text in os.environ.items() if not name.startswith(NOT_INHERITED)}
    environment |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONUNBUFFERED": "1",
        "DVC_SITE_CACHE_DIR": str(folder / ".git" / "dvc"),
        paths.KEPT_IN: str(_states(job)),
    }
    log = Path(f"{folder}.log")
    with log.open("wb") as written:
        process = subprocess.Popen(
            [sys.executable, "-m", "dvc", "exp", "run", "--name", job.name, *edits, *job.targets],
            cwd=_project(folder),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
            pass_fds=[held.fileno()],
        )
    while process.poll() is None:
        try:
            process.wait(POLL)
        except subprocess.TimeoutExpired:
            if found := list(TRAINING.finditer(log.read_text(errors="replace"))):
                epoch, mse = found[-1].groups()
                note({"number": job.number, "epoch": int(epoch or 0), "validation_mse": float(mse) if mse else None})
    if process.returncode:
        raise UserError(f"{job.name}: {_reason(log)}")
    log.unlink()


def _reason(log: Path) -> str:
    """Why DVC failed: the last error of a stage, else of DVC."""
    lines = log.read_text(errors="replace").splitlines()
    for beginning in ("Error: ", "ERROR: "):
        if found := [line.removeprefix(beginning) for line in lines if line.startswith(beginning)]:
            return found[-1]
    return f"DVC ended without a reason; see {log}"
