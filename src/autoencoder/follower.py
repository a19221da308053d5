"""Carries a training's journal to MLflow while it grows: a process of its own, which never holds the training up."""

import json
import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from autoencoder.tracking import Store

SECONDS = 0.5  # between two looks at the journal


def replay(store: Store, journal: Path, writing: Callable[[], bool] = lambda: False) -> None:
    """Make `store` say what the journal says, to its end, and remove the journal.

    `writing` tells whether its writer is alive. Raises UserError if MLflow cannot be reached; the journal stays then.
    """
    store.replay(entries(journal, writing))
    journal.unlink(missing_ok=True)
    Path(f"{journal}.log").unlink(missing_ok=True)  # what a follower had to say; see `journal`


def entries(journal: Path, writing: Callable[[], bool]) -> Iterator[list[dict[str, Any]]]:
    """The entries of `journal`, those together that came together, until its writer has said or met its end."""
    rest = b""
    with journal.open("rb") as file:
        while True:
            more = writing()
            *lines, rest = (rest + file.read()).split(b"\n")
            new = [json.loads(line) for line in lines]
            if new:
                yield new
            if not more or (new and "status" in new[-1]):
                return
            time.sleep(SECONDS)


def _parent_lives() -> bool:
    """Whether the other end of this process's input is still open."""
    return not select.select([sys.stdin], [], [], 0)[0]


if __name__ == "__main__":
    os.nice(10)  # the training comes first
    replay(Store(), Path(sys.argv[1]), _parent_lives)
