"""What it costs training that MLflow is told of it live: the default training with and without, in turn."""

import fcntl
import json
import os
import socket
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from autoencoder import numerics, params, paths
from autoencoder.data.images import Images, load_images
from autoencoder.models.saved import describe, save_model
from autoencoder.record import lock
from autoencoder.tracking import journal


def measure(rounds: int) -> dict[str, Any]:
    """`compare` in a process of its own."""
    from resume import apart

    return apart(__file__, rounds)


def compare(rounds: int) -> dict[str, Any]:
    """The default training alone, with a follower that fills a store on this disk, and with one that gets no answer."""
    images, settings, workspace = load_images(), params.load(), Path.cwd()
    description = describe(images, settings.model.model_dump())
    flat = lock.flatten(settings.model_dump())
    alone, told, unheard = [], [], []
    with tempfile.TemporaryDirectory(dir=workspace) as folder, socket.create_server(("127.0.0.1", 0)) as silent:
        os.chdir(folder)
        save_model(description.build(settings.seed), description)  # a follower hands it to MLflow at the end
        for number in range(rounds):
            alone.append(seconds(images, settings, None))
            told.append(seconds(images, settings, journal.Journal(f"{2 * number:064}", "", flat, {}, print)))
            os.environ["MLFLOW_TRACKING_URI"] = f"http://127.0.0.1:{silent.getsockname()[1]}"
            unheard.append(seconds(images, settings, journal.Journal(f"{2 * number + 1:064}", "", flat, {}, print)))
            del os.environ["MLFLOW_TRACKING_URI"]
        os.chdir(workspace)
    ratios = [with_ / without for with_, without in zip(told, alone, strict=True)]
    delays = [with_ - without for with_, without in zip(unheard, alone, strict=True)]
    return {
        "told / alone, median": median(ratios),
        "least": min(ratios),
        "most": max(ratios),
        "without an answer, seconds more than alone, median": median(delays),
        "of seconds": median(alone),
        "rounds": rounds,
    }


def seconds(images: Images, settings: params.Params, notes: journal.Journal | None) -> float:
    """Seconds of the default training, which writes the journal `notes`."""
    from resume import training

    run = training(images, settings, settings.train.epochs)
    began = time.perf_counter()
    if notes:
        with notes:
            for _ in run.run():
                notes.note(run.steps, run.history)
    else:
        for _ in run.run():
            pass
    took = time.perf_counter() - began
    if notes:
        end_of_follower(answered="MLFLOW_TRACKING_URI" not in os.environ)
    return took


def end_of_follower(*, answered: bool) -> None:
    """Wait for it. Exit if it did not carry the journal to MLflow though that `answered`, or the other way round."""
    with paths.FOLLOWER_LOCK.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
    if bool(journal.left()) == answered:
        sys.exit(f"expected {'no journal' if answered else 'a journal'} after its follower, found {journal.left()}")
    for path in journal.left():
        path.unlink()


def table(found: dict[str, Any]) -> str:
    """A line per measurement."""
    return "\n".join(f"{name:<52}{value:.4g}" for name, value in found.items())


if __name__ == "__main__":
    numerics.configure(params.load().runtime)
    print(json.dumps(compare(int(sys.argv[1]))))
