"""What more threads bring: seconds per epoch of four models with one thread, and with as many as there are cores."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from families import BATCH, LEARNING_RATE, SHAPE, description
from worker import ENDLESS

SAMPLE = 12_800  # images that are trained on; a result is that of 60,000
EPOCHS = 3  # the fastest counts


def measure() -> dict[str, Any]:
    """Seconds per epoch by model and number of threads, which a process takes when it starts."""
    found: dict[str, dict[str, float]] = {}
    for threads in sorted({1, os.cpu_count() or 1}):
        done = subprocess.run([sys.executable, __file__, str(threads)], stdout=subprocess.PIPE, check=True)
        for name, seconds in json.loads(done.stdout).items():
            found.setdefault(name, {})[str(threads)] = seconds
    return found


def epochs(images: Any) -> dict[str, float]:
    """The fastest epoch of each model, as long as one of 60,000 images would take."""
    from autoencoder.models.saved import Description

    adam = {"optimizer": "adam", "batch_size": BATCH, "learning_rate": LEARNING_RATE}
    others = ("variational", "deep", "convolutional")
    linear = {"linear": fastest(images, Description("linear", 32, SHAPE))}
    return linear | {name: fastest(images, description(name), **adam) for name in others}


def fastest(images: Any, asked: Any, **changes: Any) -> float:
    """Seconds of the fastest epoch of the article's settings with `changes`."""
    import torch

    from autoencoder.params import Train
    from autoencoder.training.loop import Training
    from autoencoder.training.objective import objective

    settings = {"epochs": ENDLESS, "batch_size": 32, "optimizer": "sgd", "learning_rate": 10**-1.5, "momentum": 0.5}
    settings |= {"weight_decay": 0.0, "log_every": 1_000, "loss": asked.loss} | changes
    run = Training(asked.build(42), images, Train(**settings), objective(asked), seed=42, device=torch.device("cpu"))
    progress, times = run.run(), []
    for _ in range(EPOCHS):
        begin = time.perf_counter()
        next(item for item in progress if item.finished)
        times.append(time.perf_counter() - begin)
    return min(times) * 60_000 / SAMPLE


def table(found: dict[str, Any]) -> str:
    """A line per model."""
    lines = [f"{'seconds per epoch':<20}" + "".join(f"{n + ' threads':>12}" for n in found["linear"]) + "  as fast"]
    for name, times in found.items():
        seconds = [*times.values()]
        cells = "".join(f"{each:>12.2f}" for each in seconds)
        lines.append(f"{name:<20}{cells}{seconds[0] / seconds[-1]:>8.2f}×")
    return "\n".join(lines)


def main() -> None:
    """Print what this number of threads takes."""
    from autoencoder import numerics, params

    numerics.configure(params.Runtime(device="cpu", threads=int(sys.argv[1])))
    from speed import IMAGES

    from autoencoder.data.images import Images, load_images

    images = load_images(Path(IMAGES))
    print(json.dumps(epochs(Images(images.train[:SAMPLE], images.test[:1]))))


if __name__ == "__main__":
    main()
