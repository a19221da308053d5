"""Bring back the state that a run has recorded: its commit, the changes on top, and its params. Knows no MLflow."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from autoencoder import history, paths, pipeline
from autoencoder.errors import UserError
from autoencoder.lineage import Origin
from autoencoder.pipeline import Stage


def stages(origin: Origin) -> dict[str, Stage]:
    """What the run's dvc.lock records. Raises UserError if the run's model is not the one in there."""
    recorded = pipeline.recorded(origin.lock.decode())
    in_lock = recorded["train"].outs[str(paths.MODEL)]
    if in_lock != origin.model_md5:
        raise UserError(
            f"expected the run's model (MD5 {origin.model_md5}) in its dvc.lock, found MD5 {in_lock}; "
            "the run contradicts itself: `autoencoder track --all` mends what git and DVC still hold"
        )
    return recorded


@contextmanager
def worktree(origin: Origin) -> Iterator[Path]:
    """The run's code and params in a temporary folder.

    Raises UserError if the commit is gone, or the diff does not fit it.
    """
    if _git("cat-file", "-e", f"{origin.commit}^{{commit}}").returncode:
        raise UserError(
            f"commit {origin.commit}: expected it in this repository, found it gone; "
            "`git fetch` it from a clone that has it"
        )
    with history.worktree(origin.commit) as folder:
        if origin.diff:
            applied = _git("apply", "--whitespace=nowarn", "-", cwd=folder, patch=origin.diff)
            if applied.returncode:
                reason = " ".join(applied.stderr.decode().split())
                raise UserError(f"expected the run's diff to fit commit {origin.commit}, found {reason}")
        (folder / paths.PARAMS).write_bytes(origin.params)
        yield folder


def _git(*arguments: str, cwd: Path | None = None, patch: bytes | None = None) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(["git", *arguments], cwd=cwd, input=patch, capture_output=True, check=False)
