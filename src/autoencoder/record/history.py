"""Every state that git and DVC remember, brought back one by one into a temporary worktree. Knows no MLflow."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from autoencoder import paths
from autoencoder.errors import UserError
from autoencoder.record import content, identity, lock
from autoencoder.record.git import checked, committed, worktree


class GoneError(UserError):
    """The outputs of a state are neither in DVC's cache nor in a remote."""


def states() -> list[str]:
    """The newest commit of each trained state in all branches, tags and DVC experiments, oldest first."""
    commits = checked("rev-list", "--all", "--reverse", "--topo-order", "--full-history", "--", str(paths.LOCK)).split()
    newest = {_identity(text): commit for commit in commits if (text := committed(paths.LOCK, commit).decode())}
    return sorted(newest.values(), key=commits.index)


def _identity(text: str) -> tuple[str, ...]:
    """What makes the state in a dvc.lock the one that it is; its very text where that records no training."""
    try:
        stages = lock.recorded(text)
        train = stages["train"]
        params = lock.flatten({name: value for stage in stages.values() for name, value in stage.params.items()})
        return identity.key(params, train.deps[str(paths.IMAGES)]), train.outs[str(paths.MODEL)]
    except (UserError, KeyError):
        return (text,)


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """A worktree of `commit` with its outputs, from DVC's cache or else its remote.

    Raises GoneError if an output is in neither.
    """
    stages = lock.recorded(committed(paths.LOCK, commit).decode())
    outs = [md5 for name, stage in stages.items() if name != "track" for md5 in stage.outs.values()]
    cached = all(content.cached(md5).exists() for md5 in outs)
    if not cached and not _has_remote():
        raise GoneError("its outputs are not in DVC's cache, and there is no remote")
    with worktree(commit) as folder:
        _dvc("cache", "dir", "--local", str(content.cache_folder()), folder=folder)
        if _dvc("checkout" if cached else "pull", "--quiet", folder=folder).returncode:
            raise GoneError("its outputs are neither in DVC's cache nor in a remote")
        yield folder


@cache
def _has_remote() -> bool:
    return bool(_dvc("remote", "list").stdout.strip())


def _dvc(*arguments: str, folder: Path | None = None) -> "subprocess.CompletedProcess[bytes]":
    command = [sys.executable, "-m", "dvc", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False)
