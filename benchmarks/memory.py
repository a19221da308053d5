"""Peak memory of training above a bare `import torch`: on MNIST, on ten times MNIST, on more than memory holds."""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from speed import IMAGES

ROOT = Path(__file__).resolve().parent.parent
PIXELS = 28 * 28
MIB = 2**20
BATCHES = 500  # of a training on more than memory holds: enough to see its memory stand still

# The peak that wait4 tells is never less than that of the process that started this one.
TELL_PEAK = """
import atexit
@atexit.register
def tell_peak():
    print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
STAGE = "import runpy, sys; sys.argv = ['stages', 'train']; runpy.run_path('stages', run_name='__main__')"
# Runs in a process of its own and says what it needed: peak resident memory, of which anonymous (not the file's pages,
# which the system takes back when it wants them), and seconds per image.
TRAIN = """
import json, resource, sys, time
sys.path[:0] = ["stages", "src"]
from autoencoder import numerics, params
numerics.configure(params.Runtime(device="cpu", threads=1))
import torch
from pathlib import Path
from autoencoder.data.images import load_images
from autoencoder.models.saved import Description
from autoencoder.training.loop import Training
path, batches = Path(sys.argv[1]), int(sys.argv[2])
images = load_images(path)
settings = params.Train(
    loss="mse", epochs=1, batch_size=32, optimizer="sgd", learning_rate=10**-1.5, momentum=0.5, weight_decay=0.0,
    log_every=1000,
)
run = Training(Description("linear", 32, (1, 28, 28)).build(42), images, settings, seed=42, device=torch.device("cpu"))
begin = time.perf_counter()
for progress in run.run():
    if run.batches_seen >= batches:
        break
seconds = time.perf_counter() - begin
anonymous = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon"))
print(json.dumps({"anonymous_mib": anonymous / 1024, "images": progress.images_seen,
                  "microseconds_per_image": 1e6 * seconds / progress.images_seen}))
"""


def measure() -> dict[str, Any]:
    """MiB and µs by the number of images."""
    bare, _ = peak("import torch")
    stage = stage_train()
    found: dict[str, Any] = {"import torch": {"peak_mib": bare}, "stage train, MNIST": {"peak_mib": stage}}
    with tempfile.TemporaryDirectory(dir=ROOT) as folder:
        larger = int(1.5 * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / PIXELS)
        for name, images, batches in (
            ("MNIST", 60_000, 10**9),
            ("10 × MNIST", 600_000, 10**9),
            ("1.5 × the memory of this machine", larger, BATCHES),
        ):
            path = Path(folder, f"{images}.safetensors")
            repeat_mnist(path, images) if batches > BATCHES else sparse(path, images)
            peak_mib, answer = peak(TRAIN, str(path), str(batches))
            found[name] = {"images": images, "file_mib": path.stat().st_size / MIB, "peak_mib": peak_mib}
            found[name] |= json.loads(answer)
            path.unlink()
    for row in found.values():
        row["above_torch_mib"] = row["peak_mib"] - bare
    return found


def peak(program: str, *arguments: str, cwd: Path = ROOT) -> tuple[float, str]:
    """Peak resident memory in MiB of a Python program, and what it printed."""
    command = [sys.executable, "-c", TELL_PEAK + program, *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{program[:60]}: exit status {done.returncode}\n{done.stderr}")
    *printed, kib = done.stdout.splitlines()
    return int(kib) / 1024, "\n".join(printed)


def stage_train() -> float:
    """Peak resident memory in MiB of the stage itself, in a workspace of its own, for an epoch of MNIST."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("src", "stages", "dvc.yaml", "data"):
            Path(folder, name).symlink_to(ROOT / name)
        text = re.sub(r"epochs: \d+", "epochs: 1", (ROOT / "params.yaml").read_text())
        Path(folder, "params.yaml").write_text(text)
        return peak(STAGE, cwd=Path(folder))[0]


def header(images: int) -> bytes:
    """The head of a safetensors file of `images` training images and one test image, which follow it."""
    sizes = {"train_images": images, "test_images": 1}
    tensors, end = {}, 0
    for name, size in sizes.items():
        tensors[name] = {"dtype": "U8", "shape": [size, 1, 28, 28], "data_offsets": [end, end + size * PIXELS]}
        end += size * PIXELS
    text = json.dumps(tensors).encode()
    return len(text).to_bytes(8, "little") + text


def repeat_mnist(path: Path, images: int) -> None:
    """MNIST's training images, as often as it takes."""
    from autoencoder.data.images import load_images

    pixels = load_images(IMAGES).train.numpy().tobytes()
    with path.open("wb") as file:
        file.write(header(images))
        for _ in range(images // 60_000):
            file.write(pixels)
        file.write(pixels[:PIXELS])


def sparse(path: Path, images: int) -> None:
    """Black images, which take no space on the disk."""
    with path.open("wb") as file:
        file.write(header(images))
        file.truncate(file.tell() + (images + 1) * PIXELS)


def table(found: dict[str, Any]) -> str:
    """A line per training."""
    lines = [f"{'memory':<34}{'file MiB':>10}{'peak MiB':>10}{'above torch':>12}{'anonymous':>11}{'µs/image':>10}"]
    for name, row in found.items():
        values = [row.get(key) for key in ("file_mib", "peak_mib", "above_torch_mib", "anonymous_mib")]
        cells = [f"{value:,.0f}" if value is not None else "" for value in values]
        speed = f"{row['microseconds_per_image']:.1f}" if "microseconds_per_image" in row else ""
        lines.append(f"{name:<34}{cells[0]:>10}{cells[1]:>10}{cells[2]:>12}{cells[3]:>11}{speed:>10}")
    return "\n".join(lines)
