"""Carries a training's journal, and then its model, to MLflow: a process of its own, which holds nothing up."""

import fcntl
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from autoencoder import paths
from autoencoder.files import md5
from autoencoder.record import lock as record
from autoencoder.record import state
from autoencoder.tracking import export, journal

if TYPE_CHECKING:
    from autoencoder.tracking.store import Store, Tracked


def replay(store: "Store", path: Path) -> None:
    """Make `store` say what the journal at `path` says, to its end, and remove the journal.

    Raises UserError if MLflow cannot be reached; the journal stays then.
    """
    with path.open("rb") as file:
        store.replay(journal.entries(file))
    path.unlink(missing_ok=True)
    Path(f"{path}.log").unlink(missing_ok=True)  # what a follower had to say; see `journal`


def catch_up(store: "Store") -> None:
    """Replay what trainings that have ended said while no follower followed, or no server listened."""
    for path in journal.left():
        try:
            with path.open("rb") as file:
                over = not journal.alive(file)
            if over:
                replay(store, path)
        except FileNotFoundError:
            continue  # its follower has come to its end


def reconcile() -> "Tracked":
    """Make the store say what the workspace's record says, and what trainings said that no follower followed.

    Raises UserError if params.yaml is wrong, something of the record is missing, or the store cannot be reached.
    """
    with export.begun() as exported:  # first, and whether it is missing or not: MLflow takes as long to tell
        from autoencoder import params

        champion, recorded = params.load().track.champion, state.read()

        from autoencoder.tracking.store import Store

        store = Store()
        catch_up(store)
        return store.mirror(recorded, champion, exported)


def follow(path: Path) -> None:
    """Follow the training whose journal is at `path`, behind the followers of those before, and log its model.

    A training that is killed and resumed again and again thus costs one import of MLflow at a time.
    """
    with paths.FOLLOWER_LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists():
            from autoencoder.tracking.store import Store

            store = Store()
            replay(store, path)
            if paths.MODEL.exists():
                log_model(store)


def log_model(store: "Store") -> None:
    """Log the model of the workspace to its run while `evaluate` and `render` work: `track` need not wait for it."""
    key, model_md5 = record.current("train").key, md5(paths.MODEL)
    if store.lacks_model(key, model_md5):
        with export.begun() as exported:
            program = exported()
            if md5(paths.MODEL) == model_md5:  # no other training has ended meanwhile
                store.log_model(key, model_md5, program)


if __name__ == "__main__":
    os.nice(19)  # the training comes first
    follow(Path(sys.argv[1]))
