"""Time per epoch against images, code_dimensions, batch size and threads, with the limit of the products beside it."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

DEFAULT = {"images": 60_000, "code_dimensions": 32, "batch_size": 32, "threads": 1}
SWEEPS = {
    "images": (7_500, 15_000, 30_000, 60_000, 120_000, 240_000),
    "code_dimensions": (8, 16, 32, 64, 128, 256, 512),
    "batch_size": (8, 16, 32, 64, 128, 256, 512),
    "threads": tuple(range(1, (os.cpu_count() or 1) + 1)),
}
SAMPLE = 15_000  # images that are timed, of however many there are
REPEAT = 3  # the fastest counts


def five_products(images: int, batch: int, inputs: int, code: int) -> float:
    """Seconds for the products of an epoch's steps: into and out of the code, back, and the two gradients."""
    import numpy as np

    draw = np.random.default_rng(0)
    x, error, encoder = (draw.random((n, inputs), dtype=np.float32) for n in (batch, batch, code))
    h, error_of_code, decoder = (draw.random((n, code), dtype=np.float32) for n in (batch, batch, inputs))
    gradients = np.empty_like(encoder), np.empty_like(decoder)
    begin = time.perf_counter()
    for _ in range(-(-images // batch)):
        np.matmul(x, encoder.T, h)
        np.matmul(h, decoder.T, error)
        np.matmul(error, decoder, error_of_code)
        np.matmul(error_of_code.T, x, gradients[0])
        np.matmul(error.T, h, gradients[1])
    return time.perf_counter() - begin


def measure() -> dict[str, Any]:
    """Seconds per epoch, ours and the limit's, by knob and value; the other knobs have their defaults.

    Each number of threads has a process of its own: OpenBLAS takes it when it is loaded.
    """
    found: dict[str, Any] = {}
    for threads in SWEEPS["threads"]:
        command = [sys.executable, __file__, str(threads)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        for knob, rows in json.loads(done.stdout).items():
            found.setdefault(knob, {}).update(rows)
    return found


def sweep(threads: int) -> dict[str, Any]:
    """The sweep of all knobs for one thread, and for more of `threads` alone."""
    import torch

    images = torch.randint(0, 256, (max(SWEEPS["images"]), 1, 28, 28), dtype=torch.uint8)
    knobs = SWEEPS | {"threads": (threads,)} if threads == 1 else {"threads": (threads,)}
    return {knob: {str(value): point(images, DEFAULT | {knob: value}) for value in knobs[knob]} for knob in knobs}


def point(images: Any, settings: dict[str, int]) -> dict[str, float]:
    """The least seconds per epoch of the training and of its products, in turn."""
    pairs = [(training(images, settings), limit(settings)) for _ in range(REPEAT)]
    ours, products = (min(times) for times in zip(*pairs, strict=True))
    return {"training": ours, "products": products}


def training(images: Any, settings: dict[str, int]) -> float:
    """Seconds per epoch of this project's training, from a part of an epoch."""
    import torch

    from autoencoder.data.images import Images
    from autoencoder.models.saved import Description
    from autoencoder.params import Train
    from autoencoder.training.loop import Training

    batch_size = settings["batch_size"]
    options = Train(
        epochs=2,
        batch_size=batch_size,
        optimizer="sgd",
        learning_rate=0.01,
        momentum=0.5,
        log_every=1_000,
        loss="mse",
        weight_decay=0.0,
    )
    model = Description("linear", settings["code_dimensions"], (1, 28, 28)).build(42)
    part = Images(images[: settings["images"]], images[:1])
    run = Training(model, part, options, seed=42, device=torch.device("cpu"))
    progress = run.run()
    next(progress)
    before = run.batches_seen
    begin = time.perf_counter()
    while (run.batches_seen - before) * batch_size < min(SAMPLE, settings["images"]):
        next(progress)
    seen = (run.batches_seen - before) * batch_size
    return (time.perf_counter() - begin) / seen * settings["images"]


def limit(settings: dict[str, int]) -> float:
    """Seconds per epoch of the five products alone."""
    sample = min(SAMPLE, settings["images"])
    seconds = five_products(sample, settings["batch_size"], 784, settings["code_dimensions"])
    return seconds / sample * settings["images"]


def draw(found: dict[str, Any], path: Path, facts: str) -> None:
    """One panel per knob: seconds per epoch against its value."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FixedLocator, NullLocator

    from autoencoder.analysis import layout

    with layout.style():
        drawn, panels = plt.subplots(1, len(found), figsize=(13, 3.4), layout="constrained", sharey=True)
        for panel, (knob, rows) in zip(panels, found.items(), strict=True):
            values = [int(value) for value in rows]
            panel.plot(values, [row["training"] for row in rows.values()], "o-", label="training")
            panel.plot(values, [row["products"] for row in rows.values()], "o--", label="its five products alone")
            panel.set_xscale("log", base=2)
            panel.set_yscale("log")
            panel.xaxis.set_major_locator(FixedLocator(values))
            panel.xaxis.set_minor_locator(NullLocator())
            panel.set_xticklabels([f"{value / 1000:g}k" if knob == "images" else str(value) for value in values])
            panel.set_xlabel(knob)
        panels[0].set_ylabel("seconds per epoch")
        panels[0].legend()
        drawn.suptitle(facts, fontsize="small")
        drawn.savefig(path, dpi=110, metadata={"Software": None})
        plt.close(drawn)


def table(found: dict[str, Any]) -> str:
    """A line per point of the figure."""
    lines = [f"{'seconds per epoch':<28}{'training':>10}{'products':>10}{'ratio':>8}"]
    for knob, rows in found.items():
        for value, row in rows.items():
            ratio = row["training"] / row["products"]
            name = f"{knob} {value}"
            lines.append(f"{name:<28}{row['training']:>10.3f}{row['products']:>10.3f}{ratio:>8.2f}")
    return "\n".join(lines)


if __name__ == "__main__":
    from autoencoder import numerics, params

    numerics.configure(params.Runtime(device="cpu", threads=int(sys.argv[1])))
    print(json.dumps(sweep(int(sys.argv[1]))))
