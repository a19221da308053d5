"""Every state that git and DVC remember, brought back one by one into a temporary worktree. Knows no MLflow."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from autoencoder import paths
from autoencoder.errors import UserError
from autoencoder.record.git import checked, worktree

VERBS = ("checkout", "pull")  # the second is tried if the first finds something missing


class GoneError(UserError):
    """The outputs of a state are neither in DVC's cache nor in a remote."""


def states() -> list[str]:
    """The commits of all branches, tags and DVC experiments that have a dvc.lock of their own, oldest first."""
    commits = checked("rev-list", "--all", "--reverse", "--topo-order", "--full-history", "--", str(paths.LOCK)).split()
    locks: dict[str, str] = {}
    for commit in commits:
        if lock := checked("ls-tree", "--object-only", commit, str(paths.LOCK)).strip():
            locks.setdefault(lock, commit)
    return list(locks.values())


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """A worktree of `commit` with its outputs, from DVC's cache or else its remote.

    Raises GoneError if an output is in neither.
    """
    cache = _run(sys.executable, "-m", "dvc", "cache", "dir").stdout.strip()
    with worktree(commit) as folder:
        _run(sys.executable, "-m", "dvc", "cache", "dir", "--local", str(Path(cache).resolve()), cwd=folder)
        if all(_run(sys.executable, "-m", "dvc", verb, "--quiet", cwd=folder).returncode for verb in VERBS):
            raise GoneError(f"{commit[:7]}: its outputs are neither in DVC's cache nor in a remote")
        yield folder


def track(commit: str) -> None:
    """Track the state of `commit` in the store of this workspace.

    Raises GoneError if its outputs are nowhere, UserError if it could not be tracked.
    """
    root = os.environ.get("DVC_ROOT", str(Path.cwd()))
    stages = str(Path(__file__).resolve().parents[3] / "stages")
    with checked_out(commit) as folder:
        done = _run(sys.executable, stages, "track", cwd=folder, DVC_ROOT=root)
        if done.returncode:
            raise UserError(f"{commit[:7]}: {done.stderr.strip()}")


def _run(*command: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, check=False)
