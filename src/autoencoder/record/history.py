"""Every state that git and DVC remember, brought back one by one into a temporary clone. Knows no MLflow."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from autoencoder import paths
from autoencoder.errors import UserError
from autoencoder.record import content, git, identity, lock


class GoneError(UserError):
    """The outputs of a state are neither in DVC's cache nor in a remote."""


def states() -> list[str]:
    """The newest commit of each trained state in all branches, tags and DVC experiments, oldest first."""
    listed = git.checked("rev-list", "--all", "--reverse", "--topo-order", "--full-history", "--", str(paths.LOCK))
    commits = listed.split()
    newest = {_identity(text): commit for commit in commits if (text := _lock(commit))}
    return sorted(newest.values(), key=commits.index)


def searches(commits: list[str]) -> dict[str, list[str]]:
    """The experiments of sweeps, such as `code_and_rate-17`, by which of `commits` has the same trained state."""
    known = {_identity(_lock(commit)): commit for commit in commits}
    found: dict[str, list[str]] = {}
    for line in git.output("for-each-ref", "--format=%(refname) %(objectname)", "refs/exps").decode().splitlines():
        ref, experiment = line.split()
        name = ref.rpartition("/")[2]
        if (paths.SWEEPS / f"{name.rpartition('-')[0]}.yaml").exists():
            commit = known.get(_identity(_lock(experiment)))
            found.setdefault(commit or experiment, []).append(name)
    return found


def _lock(commit: str) -> str:
    return git.committed(paths.LOCK, commit).decode()


def recorded(commit: str) -> dict[str, lock.Stage]:
    """The stages that were run for the state at `commit`. Raises UserError if its dvc.lock is damaged."""
    return _current(lock.recorded(_lock(commit)))


def _current(stages: dict[str, lock.Stage]) -> dict[str, lock.Stage]:
    """The `stages` but `track`, and without those that an earlier state has left."""
    return {name: stage for name, stage in stages.items() if name not in lock.stale(stages) | {"track"}}


def _identity(text: str) -> tuple[str, ...]:
    """What makes the state in a dvc.lock the one that it is; its very text where that records no training."""
    try:
        stages = lock.recorded(text)
        train = stages["train"]
        return identity.key(lock.params(_current(stages)), train.deps[str(paths.IMAGES)]), train.outs[str(paths.MODEL)]
    except (UserError, KeyError):
        return (text,)


def fetch(commits: list[str]) -> None:
    """Fetch all outputs of the states at `commits` that DVC's remote has and its cache lacks, at once."""
    lacking = set()
    for commit in commits:
        with suppress(UserError):
            lacking |= not_cached(commit)
    if not lacking or not git.dvc("remote", "list").stdout.strip():
        return
    with _checkout("HEAD") as folder:
        for md5 in lacking:
            text = json.dumps({"outs": [{"md5": md5, "hash": "md5", "path": md5}]})
            content.write(folder / "outputs" / f"{md5}.dvc", text.encode())
        git.dvc("fetch", "--quiet", "--recursive", "outputs", folder=folder)


def not_cached(commit: str) -> set[str]:
    """The outputs of the state that DVC's cache lacks. Raises UserError if its dvc.lock is damaged."""
    outs = {md5 for stage in recorded(commit).values() for md5 in stage.outs.values()}
    return {md5 for md5 in outs if not content.cached(md5).exists()}


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """The files of `commit` with its outputs from DVC's cache. Raises GoneError if it lacks one; see `fetch`."""
    if not_cached(commit):
        raise GoneError("its outputs are neither in DVC's cache nor in a remote")
    with _checkout(commit) as folder:
        if git.dvc("checkout", "--quiet", *recorded(commit), folder=folder).returncode:
            raise GoneError("its outputs could not be checked out of DVC's cache")
        yield folder


@contextmanager
def _checkout(commit: str) -> Iterator[Path]:
    """The files of `commit` in a temporary folder with this repository's DVC cache, and its remotes."""
    with git.checkout(commit) as folder:
        content.share_cache(folder)
        yield folder
