"""Carries a training's journal to MLflow while it grows: a process of its own, which never holds the training up."""

import fcntl
import json
import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoencoder import export, journal, state

if TYPE_CHECKING:
    from autoencoder.tracking import Store, Tracked

SECONDS = 0.5  # between two looks at the journal


def replay(store: "Store", path: Path, writing: Callable[[], bool] = lambda: False) -> None:
    """Make `store` say what the journal at `path` says, to its end, and remove the journal.

    `writing` tells whether its writer is alive. Raises UserError if MLflow cannot be reached; the journal stays then.
    """
    store.replay(entries(path, writing))
    path.unlink(missing_ok=True)
    Path(f"{path}.log").unlink(missing_ok=True)  # what a follower had to say; see `journal`


def reconcile(champion: str) -> "Tracked":
    """Make the store say what the workspace's record says, and what a training said that no follower followed.

    `champion` is the figure by which models are ranked. Raises UserError if something of the record is missing, or the
    store cannot be reached.
    """
    with export.begun() as exported:  # whether it is missing or not: MLflow takes as long to tell
        from autoencoder.tracking import Store

        recorded, store = state.read(), Store()
        left = journal.path(recorded.key)
        if left.exists():
            replay(store, left)
        return store.mirror(recorded, champion, exported)


def entries(path: Path, writing: Callable[[], bool]) -> Iterator[list[dict[str, Any]]]:
    """The entries of the journal at `path`, as they come, until its writer has said or met its end."""
    rest = b""
    with path.open("rb") as file:
        while True:
            more = writing()
            *lines, rest = (rest + file.read()).split(b"\n")
            new = [json.loads(line) for line in lines]
            if new:
                yield new
            if not more or (new and "status" in new[-1]):
                return
            time.sleep(SECONDS)


def follow(path: Path) -> None:
    """Follow the training whose journal is at `path`, one process at a time; not at all if another one began meanwhile.

    A training that is killed and resumed again and again thus costs one import of MLflow at a time.
    """
    with path.open() as journal_file:
        header = journal_file.readline()
        fcntl.flock(journal_file, fcntl.LOCK_EX)
        journal_file.seek(0)
        if path.exists() and journal_file.readline() == header:
            from autoencoder.tracking import Store

            replay(Store(), path, _parent_lives)


def _parent_lives() -> bool:
    """Whether the other end of this process's input is still open."""
    return not select.select([sys.stdin], [], [], 0)[0]


if __name__ == "__main__":
    os.nice(10)  # the training comes first
    follow(Path(sys.argv[1]))
