"""What it costs training that MLflow is told of it live: the default training with and without, in turn."""

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from autoencoder import checkpoints, journal, numerics, params, pipeline

TOLD = 60  # seconds within which the follower is to have told all


def measure(pairs: int) -> dict[str, Any]:
    """`compare` in a process of its own."""
    from resume import apart

    return apart(__file__, pairs)


def compare(pairs: int) -> dict[str, Any]:
    """The ratios of neighbouring trainings; each follower starts, imports MLflow and fills a store on this disk."""
    images, settings, workspace = checkpoints.load_images(), params.load(), Path.cwd()
    model, description = checkpoints.load_model()
    with tempfile.TemporaryDirectory(dir=workspace) as folder:
        os.chdir(folder)
        checkpoints.save_model(model, description)
        ratios, flat = [], pipeline.flatten(settings.model_dump())
        for number in range(pairs):
            notes = journal.Journal(f"{number:064}", flat, {}, print)
            ratios.append(seconds(images, settings, notes) / seconds(images, settings, None))
        os.chdir(workspace)
    return {
        "with / without, clock, median of pairs": median(ratios),
        "least": min(ratios),
        "most": max(ratios),
        "pairs": pairs,
    }


def seconds(images: dict[str, Any], settings: params.Params, notes: journal.Journal | None) -> float:
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
    deadline = time.monotonic() + TOLD
    while journal.left():
        if time.monotonic() > deadline:
            raise SystemExit(f"expected the follower to be through {TOLD} s after training, found {journal.left()}")
        time.sleep(0.2)
    return took


def table(found: dict[str, Any]) -> str:
    """A line per measurement."""
    return "\n".join(f"{name:<48}{value:.4g}" for name, value in found.items())


if __name__ == "__main__":
    numerics.configure(params.load().runtime)
    print(json.dumps(compare(int(sys.argv[1]))))
