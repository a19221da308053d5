"""A folder of 30,000 pictures: how fast it becomes images, beside Pillow alone; and its memory."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from autoencoder import paths

ROOT = Path(__file__).resolve().parent.parent
COUNT, EDGE = 30_000, 64
SIZE = (178, 218)  # that of CelebA's aligned pictures
ROUNDS = 2
# Runs in a process of its own: seconds, and the peak of all its processes' private memory above the start.
CONVERT = """
import json, os, sys, threading, time
from pathlib import Path
from autoencoder.data.decode import Wanted
from autoencoder.data.pictures import convert
import psutil
me = psutil.Process()
private = lambda p: p.memory_full_info().uss
start, peak, done = private(me), [0], threading.Event()
def watch():
    while not done.wait(1):
        total = 0
        for process in (me, *me.children(recursive=True)):
            try:
                total += private(process)
            except psutil.Error:
                pass
        peak[0] = max(peak[0], total - start)
if __name__ == "__main__":
    thread = threading.Thread(target=watch)
    thread.start()
    begin = time.perf_counter()
    convert("many", Path("data/images.safetensors"), Wanted((int(sys.argv[1]),) * 2, 3), 0.15)
    seconds = time.perf_counter() - begin
    done.set()
    thread.join()
    print(json.dumps({"seconds": seconds, "above_start_mib": peak[0] / 2**20}))
"""


def measure() -> dict[str, Any]:
    """Pictures per second of both, the best of rounds in turn; MiB above the start."""
    work = ROOT / paths.WORK  # git ignores it
    work.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=work) as name:
        folder = Path(name)
        files = make(folder / "data/sets/many")
        alone, ours = [], []
        for _ in range(ROUNDS):
            alone.append(in_processes(pillow_alone, files))
            command = [sys.executable, "-c", CONVERT, str(EDGE)]
            environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
            done = subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True)
            ours.append(json.loads(done.stdout))
    seconds = [row["seconds"] for row in ours]
    return {
        "pictures": COUNT,
        "processes": os.cpu_count(),
        "pillow_alone_per_second": COUNT / min(alone),
        "folder_per_second": COUNT / min(seconds),
        "of_pillow_alone": min(alone) / min(seconds),
        "of_pillow_alone_by_round": [a / b for a, b in zip(alone, seconds, strict=True)],
        "above_start_mib": max(row["above_start_mib"] for row in ours),
    }


def make(folder: Path) -> list[str]:
    """COUNT JPEGs of SIZE with smooth content, in ten folders."""
    for index in range(10):
        (folder / str(index)).mkdir(parents=True)
    jobs = [(str(folder), first) for first in range(0, COUNT, 1000)]
    with get_context("spawn").Pool() as pool:
        pool.starmap(_make_thousand, jobs)
    return sorted(str(path) for path in folder.rglob("*.jpg"))


def _make_thousand(folder: str, first: int) -> None:
    for index in range(first, first + 1000):
        coarse = np.random.default_rng(index).integers(0, 256, (27, 22, 3), dtype=np.uint8)
        picture = Image.fromarray(coarse).resize(SIZE, Image.Resampling.BICUBIC)
        picture.save(Path(folder, str(index % 10), f"{index:06}.jpg"), quality=90)


def in_processes(work: Callable[[list[str]], None], files: list[str]) -> float:
    """Seconds, with the start of as many processes as there are cores."""
    begin = time.perf_counter()
    with get_context("spawn").Pool() as pool:
        pool.map(work, [files[first : first + 1000] for first in range(0, len(files), 1000)], chunksize=1)
    return time.perf_counter() - begin


def pillow_alone(files: list[str]) -> None:
    """Decode and resize, and forget."""
    for file in files:
        with Image.open(file) as image:
            image.convert("RGB").resize((EDGE, EDGE), Image.Resampling.BILINEAR, (0, 20, 178, 198))


def table(found: dict[str, Any]) -> str:
    """A line per way."""
    return (
        f"{found['pictures']:,} pictures with {found['processes']} processes\n"
        f"Pillow alone, decoded and resized  {found['pillow_alone_per_second']:>8,.0f} per second\n"
        f"a folder made into images          {found['folder_per_second']:>8,.0f} per second, "
        f"{found['of_pillow_alone']:.2f} of it, {found['above_start_mib']:.0f} MiB above the start"
    )
