"""The program git, as this project runs it."""

import os
import subprocess
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


@contextmanager
def worktree(commit: str) -> Iterator[Path]:
    """The current folder as it is in `commit`, within a temporary worktree; no hook of the user's is run."""
    with tempfile.TemporaryDirectory() as folder:
        checked("-c", f"core.hooksPath={os.devnull}", "worktree", "add", "--quiet", "--detach", folder, commit)
        try:
            yield Path(folder, checked("rev-parse", "--show-prefix").strip())
        finally:
            checked("worktree", "remove", "--force", folder)
            checked("worktree", "prune")  # also what a process that was killed has left
