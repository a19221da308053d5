"""What more threads bring: seconds per epoch of four models with one thread, and with as many as there are cores."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

MODELS = ("default", "variational", "deep", "convolutional")  # this project's competitors in `worker`
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


def epochs() -> dict[str, float]:
    """The fastest epoch of each model, as long as one of 60,000 images would take."""
    from speed import IMAGES
    from worker import competitor

    from autoencoder.data.images import Images, load_images, save_images

    images, found = load_images(IMAGES), {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "sample.safetensors")
        save_images(Images(images.train[:SAMPLE], images.test[:1]), path)
        for name in MODELS:
            trained = competitor(name)(path)
            found[name] = min(next(trained)[0][0] for _ in range(EPOCHS)) * 60_000 / SAMPLE
    return found


def table(found: dict[str, Any]) -> str:
    """A line per model."""
    lines = [f"{'seconds per epoch':<20}" + "".join(f"{n + ' threads':>12}" for n in found["default"]) + "  as fast"]
    for name, times in found.items():
        seconds = [*times.values()]
        cells = "".join(f"{each:>12.2f}" for each in seconds)
        lines.append(f"{name:<20}{cells}{seconds[0] / seconds[-1]:>8.2f}×")
    return "\n".join(lines)


if __name__ == "__main__":
    from autoencoder import numerics, params

    numerics.configure(params.Runtime(device="cpu", threads=int(sys.argv[1])))
    print(json.dumps(epochs()))
