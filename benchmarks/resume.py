"""What it costs to keep a state for resuming: epochs of the default training, with and without, in turn."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import torch

from autoencoder import checkpoints, params
from autoencoder import resume as resuming
from autoencoder.training import Training


def measure(pairs: int) -> dict[str, Any]:
    """The ratio of neighbouring epochs, and what the states cost: less exposed to what else the machine does."""
    images, workspace = checkpoints.load_images(), Path.cwd()
    bare, kept = training(images, pairs + 1), training(images, pairs + 1)
    spent: list[float] = []
    resuming.write = counted(resuming.write, spent)
    with tempfile.TemporaryDirectory(dir=workspace) as folder:  # on the disk that a training writes to
        os.chdir(folder)
        with resuming.Keeper(kept, "benchmark", {}, print) as keeper:
            turns = epochs(kept, keeper, counted(keeper.keep, spent)), epochs(bare, keeper, lambda **_: None)
            next(turns[0]), next(turns[1])  # warm up
            spent.clear()
            found = [(next(turns[0]), next(turns[1])) for _ in range(pairs)]
        os.chdir(workspace)
    return {
        "with / without, clock, median of pairs": median(ours / bare for ours, bare in found),
        "CPU seconds for states / seconds of training": sum(spent) / sum(ours for ours, _ in found),
        "epochs of each": pairs,
    }


def training(images: dict[str, torch.Tensor], epochs: int) -> Training:
    """The default training."""
    settings = params.load()
    model = checkpoints.describe(settings.model, images["train_images"]).build(settings.seed)
    options = settings.train.model_dump() | {"epochs": epochs}
    return Training(model, images, **options, seed=settings.seed, device=torch.device("cpu"))


def counted(work: Callable[..., None], spent: list[float]) -> Callable[..., None]:
    """`work`, which adds the CPU seconds of its thread to `spent`."""

    def call(*arguments: Any, **options: Any) -> None:
        began = time.thread_time()
        work(*arguments, **options)
        spent.append(time.thread_time() - began)

    return call


def epochs(run: Training, keeper: resuming.Keeper, keep: Callable[..., None]) -> Iterator[float]:
    """Seconds of each epoch, with the wait for what is being written at its end."""
    began = time.perf_counter()
    for progress in run.run():
        keep(epoch_finished=progress.finished is not None)
        if progress.finished:
            if keeper.writing:
                keeper.writing.result()
            yield time.perf_counter() - began
            began = time.perf_counter()


def table(found: dict[str, Any]) -> str:
    """A line per measurement."""
    return "\n".join(f"{name:<48}{value:.4g}" for name, value in found.items())
