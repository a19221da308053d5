"""What it costs to keep a state for resuming: the default training with and without, in turn."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import torch

from autoencoder import numerics, params
from autoencoder.data.images import Images, load_images
from autoencoder.models.saved import describe
from autoencoder.training import resume as resuming
from autoencoder.training.loop import Training

BLOCK = 3  # epochs


def measure(blocks: int) -> dict[str, Any]:
    """`compare` in a process of its own."""
    return apart(__file__, blocks)


def apart(program: str, repeat: int) -> dict[str, Any]:
    """What `program` finds in a process of its own."""
    done = subprocess.run([sys.executable, program, str(repeat)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(
            f"{Path(program).name}: exit status {done.returncode}: {done.stderr.strip().splitlines()[-1:]}"
        )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def compare(blocks: int) -> dict[str, Any]:
    """The ratio of neighbouring blocks, and what the states cost: less exposed to what else the machine does."""
    images, workspace = load_images(), Path.cwd()
    bare, kept = (training(images, params.load(), (blocks + 1) * BLOCK) for _ in range(2))
    spent: list[float] = []
    resuming.write = counted(resuming.write, spent)
    with tempfile.TemporaryDirectory(dir=workspace) as folder:  # on the disk that a training writes to
        os.chdir(folder)
        with resuming.Keeper(kept, "benchmark", {}, print) as keeper:
            turns = seconds(kept, keeper, counted(keeper.keep, spent)), seconds(bare, keeper, lambda **_: None)
            next(turns[0]), next(turns[1])  # warm up
            spent.clear()
            found = [(next(turns[0]), next(turns[1])) for _ in range(blocks)]
        os.chdir(workspace)
    return {
        "with / without, clock, median of pairs": median(ours / bare for ours, bare in found),
        "CPU seconds for states / seconds of training": sum(spent) / sum(ours for ours, _ in found),
        "epochs of each": blocks * BLOCK,
    }


def training(images: Images, settings: params.Params, epochs: int) -> Training:
    """The training of `settings`, for `epochs`."""
    model = describe(images, settings.model.model_dump()).build(settings.seed)
    train = settings.train.model_copy(update={"epochs": epochs})
    return Training(model, images, train, seed=settings.seed, device=torch.device("cpu"))


def counted(work: Callable[..., None], spent: list[float]) -> Callable[..., None]:
    """`work`, which adds the CPU seconds of its thread to `spent`."""

    def call(*arguments: Any, **options: Any) -> None:
        began = time.thread_time()
        work(*arguments, **options)
        spent.append(time.thread_time() - began)

    return call


def seconds(run: Training, keeper: resuming.Keeper, keep: Callable[..., None]) -> Iterator[float]:
    """Seconds of each block of epochs, with the wait for what is being written at its end."""
    while True:
        began = time.perf_counter()
        for progress in run.run():
            keep(epoch_finished=progress.finished is not None)
            if progress.finished and progress.epoch % BLOCK == 0:
                break
        if keeper.writing:
            keeper.writing.result()
        yield time.perf_counter() - began


def table(found: dict[str, Any]) -> str:
    """A line per measurement."""
    return "\n".join(f"{name:<48}{value:.4g}" for name, value in found.items())


if __name__ == "__main__":
    numerics.configure(params.load().runtime)
    print(json.dumps(compare(int(sys.argv[1]))))
