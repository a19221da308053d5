"""The programs git and DVC, as this project runs them."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from autoencoder.errors import UserError


def git(
    *arguments: str, folder: Path | None = None, stdin: bytes | None = None
) -> "subprocess.CompletedProcess[bytes]":
    """Run git in `folder`, by default the current one; the caller looks at its exit status."""
    return subprocess.run(["git", *arguments], cwd=folder, input=stdin, capture_output=True, check=False)


def dvc(*arguments: str, folder: Path | None = None) -> "subprocess.CompletedProcess[bytes]":
    """Run DVC in `folder`, by default the current one; the caller looks at its exit status."""
    return subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=folder, capture_output=True, check=False)


def output(*arguments: str) -> bytes:
    """What git prints; nothing if it fails, as it does outside a repository."""
    return git(*arguments).stdout


def checked(*arguments: str) -> str:
    """What git prints. Raises UserError with git's reason if it fails."""
    done = git(*arguments)
    if done.returncode:
        raise UserError(f"git {' '.join(arguments)}: {' '.join(done.stderr.decode().split())}")
    return done.stdout.decode()


def committed(path: Path | str, commit: str = "HEAD") -> bytes:
    """The content of `path`, relative to the current folder, in `commit`; empty if the commit does not have it."""
    return output("show", f"{commit}:./{path}")


def clone(commit: str, folder: Path, *options: str) -> Path:
    """Make `folder` a clone of the repository at `commit`; return where in it the current folder is.

    The clone has no objects of its own, and no hook of the user's is run. It is no `git worktree`: DVC does not work in
    one of a submodule, and worktrees share the refs in which DVC keeps the params of the experiment that it runs.
    """
    own = ("-c", f"core.hooksPath={os.devnull}")
    top = checked("rev-parse", "--show-toplevel").removesuffix("\n")
    checked(*own, "clone", "--quiet", "--shared", "--no-tags", "--no-checkout", *options, top, str(folder))
    checked(*own, "-C", str(folder), "checkout", "--quiet", "--detach", commit)
    return folder / checked("rev-parse", "--show-prefix").removesuffix("\n")


@contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """The current folder as it is in `commit`, within a temporary clone."""
    with tempfile.TemporaryDirectory() as folder:
        yield clone(commit, Path(folder))
