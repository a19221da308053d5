"""Carries a training's journal, and then its model, to MLflow: a process of its own, for which training never waits."""

import fcntl
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from autoencoder import paths
from autoencoder.files import md5
from autoencoder.tracking import export

if TYPE_CHECKING:
    from autoencoder.tracking.store import Store


def follow(path: Path) -> None:
    """Carry the journal at `path` to MLflow while its training writes it, and log the model in the end.

    One follower works at a time: a training that is killed and resumed again and again costs one import of MLflow.
    """
    with paths.FOLLOWER_LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists():
            from autoencoder.tracking import reconcile
            from autoencoder.tracking.store import Store

            store = Store()
            reconcile.carry(store, path)
            if paths.MODEL.exists():
                log_model(store)


def log_model(store: "Store") -> None:
    """Log the workspace's model to its run while `evaluate` and `render` work, so that `track` need not wait for it."""
    from autoencoder.tracking import model, tags

    model_md5 = md5(paths.MODEL)
    for run in list(store.search(f"tags.`{tags.MODEL_MD5}` = '{model_md5}'")):
        with store.lock(run.data.tags[tags.STATE]), store.errors():
            if store.model(run.info.run_id):
                continue
            with export.begun() as exported:
                program = exported()
                if md5(paths.MODEL) == model_md5:  # no other training has ended meanwhile
                    model.log_model(store, run.info.run_id, program)


if __name__ == "__main__":
    os.nice(19)  # the training comes first
    follow(Path(sys.argv[1]))
