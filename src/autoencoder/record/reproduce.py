"""Bring back the state that a run has recorded: its commit, the changes on top, and its params. Knows no MLflow."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from autoencoder import paths
from autoencoder.errors import UserError
from autoencoder.record import git
from autoencoder.record.lineage import Origin
from autoencoder.record.lock import Stage, recorded


def recorded_stages(origin: Origin) -> dict[str, Stage]:
    """What the run's dvc.lock records. Raises UserError if the run's model is not the one in there."""
    stages = recorded(origin.lock.decode())
    in_lock = stages["train"].outs[str(paths.MODEL)]
    if in_lock != origin.model_md5:
        raise UserError(
            f"expected the run's model (MD5 {origin.model_md5}) in its dvc.lock, found MD5 {in_lock}; "
            "the run contradicts itself: `autoencoder track --all` mends what git and DVC still hold"
        )
    return stages


@contextmanager
def worktree(origin: Origin) -> Iterator[Path]:
    """The run's code and params in a temporary folder.

    Raises UserError if the commit is gone, or the diff does not fit it.
    """
    if git.git("cat-file", "-e", f"{origin.commit}^{{commit}}").returncode:
        raise UserError(
            f"commit {origin.commit}: expected it in this repository, found it gone; "
            "`git fetch` it from a clone that has it"
        )
    with git.checkout(origin.commit) as folder:
        if origin.diff:
            applied = git.git("apply", "--whitespace=nowarn", "-", folder=folder, stdin=origin.diff)
            if applied.returncode:
                reason = " ".join(applied.stderr.decode().split())
                raise UserError(f"expected the run's diff to fit commit {origin.commit}, found {reason}")
        (folder / paths.PARAMS).write_bytes(origin.params)
        yield folder
