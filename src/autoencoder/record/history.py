"""Every state that git and DVC remember, brought back one by one into a temporary worktree. Knows no MLflow."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from autoencoder import paths
from autoencoder.errors import UserError
from autoencoder.record import content, identity, lock
from autoencoder.record.git import checked, committed, output, worktree


class GoneError(UserError):
    """The outputs of a state are neither in DVC's cache nor in a remote."""


def states() -> list[str]:
    """The newest commit of each trained state in all branches, tags and DVC experiments, oldest first."""
    commits = checked("rev-list", "--all", "--reverse", "--topo-order", "--full-history", "--", str(paths.LOCK)).split()
    newest = {_identity(text): commit for commit in commits if (text := committed(paths.LOCK, commit).decode())}
    return sorted(newest.values(), key=commits.index)


def searches(commits: list[str]) -> dict[str, list[str]]:
    """The experiments of sweeps, such as `code_and_rate-17`, by which of `commits` has the same trained state."""
    known = {_identity(committed(paths.LOCK, commit).decode()): commit for commit in commits}
    found: dict[str, list[str]] = {}
    for line in output("for-each-ref", "--format=%(refname) %(objectname)", "refs/exps").decode().splitlines():
        ref, experiment = line.split()
        name = ref.rpartition("/")[2]
        if (paths.SWEEPS / f"{name.rpartition('-')[0]}.yaml").exists():
            commit = known.get(_identity(committed(paths.LOCK, experiment).decode()))
            found.setdefault(commit or experiment, []).append(name)
    return found


def _identity(text: str) -> tuple[str, ...]:
    """What makes the state in a dvc.lock the one that it is; its very text where that records no training."""
    try:
        stages = lock.recorded(text)
        train = stages["train"]
        stale = lock.stale(stages)  # of a state before this one, with its params
        current = [stage for name, stage in stages.items() if name not in stale]
        params = lock.flatten({name: value for stage in current for name, value in stage.params.items()})
        return identity.key(params, train.deps[str(paths.IMAGES)]), train.outs[str(paths.MODEL)]
    except (UserError, KeyError):
        return (text,)


def fetch(commits: list[str]) -> None:
    """Fetch all outputs of the states at `commits` that DVC's remote has and its cache lacks, at once."""
    lacking = {md5 for commit in commits for md5 in _outputs(commit) if not content.cached(md5).exists()}
    if not lacking or not _dvc("remote", "list").stdout.strip():
        return
    with _worktree("HEAD") as folder:
        for md5 in lacking:
            text = json.dumps({"outs": [{"md5": md5, "hash": "md5", "path": md5}]})
            content.write(folder / "outputs" / f"{md5}.dvc", text.encode())
        _dvc("fetch", "--quiet", "--recursive", "outputs", folder=folder)


def _outputs(commit: str) -> list[str]:
    try:
        stages = lock.recorded(committed(paths.LOCK, commit).decode())
    except UserError:
        return []
    return [md5 for name, stage in stages.items() if name != "track" for md5 in stage.outs.values()]


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """A worktree of `commit` with its outputs from DVC's cache. Raises GoneError if it lacks one; see `fetch`."""
    lock.recorded(committed(paths.LOCK, commit).decode())  # raises the error of a damaged one
    if not all(content.cached(md5).exists() for md5 in _outputs(commit)):
        raise GoneError("its outputs are neither in DVC's cache nor in a remote")
    with _worktree(commit) as folder:
        if _dvc("checkout", "--quiet", folder=folder).returncode:
            raise GoneError("its outputs could not be checked out of DVC's cache")
        yield folder


@contextmanager
def _worktree(commit: str) -> Iterator[Path]:
    """The files of `commit` in a temporary folder with this repository's DVC cache, and its remotes."""
    with worktree(commit) as folder:
        if (local := Path(".dvc/config.local")).exists():
            content.write(folder / local, local.read_bytes())
        _dvc("cache", "dir", "--local", str(content.cache_folder()), folder=folder)
        yield folder


def _dvc(*arguments: str, folder: Path | None = None) -> "subprocess.CompletedProcess[bytes]":
    command = [sys.executable, "-m", "dvc", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False)
