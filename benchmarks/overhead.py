"""What the pipeline costs beside training: in a clone with a cache of its own, on the data of this workspace."""

import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from operator import sub, truediv
from pathlib import Path
from statistics import median
from typing import Any

from autoencoder import cli

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
DVC = [sys.executable, "-m", "dvc"]
AUTOENCODER = [sys.executable, "-c", "from autoencoder.cli import main; main(prog_name='autoencoder')"]
BARE_CLICK = "import click; click.command()(lambda: None)(['--help'])"
CLASSIFY = """
import time
from autoencoder import numerics, params
numerics.configure(params.load().runtime)
from autoencoder.analysis import evaluation, results
found = results.load_results()
begin = time.perf_counter()
evaluation.class_errors(found, 1, iter)
print(time.perf_counter() - begin)
"""
STAGES = ("download", "pca", "train", "evaluate", "render", "report", "track")


def measure(repeat: int) -> dict[str, Any]:
    """Seconds of an edit, of nothing to do, and of `--help`, each beside what it is compared with."""
    torch_import = [sys.executable, "-c", "import torch"]
    with tempfile.TemporaryDirectory() as folder:
        clone, empty = Path(folder, "clone"), Path(folder, "empty")
        prepare(clone)
        prepare_empty(empty)
        alternating = [
            (seconds(torch_import), edit(clone, 0.03 + 0.003 * number), classifying(clone), seconds(torch_import))
            for number in range(repeat)
        ]
        pairs = [(seconds([*DVC, "repro"], clone), seconds([*DVC, "repro"], empty)) for _ in range(3 * repeat)]
    before, edits, classes, after = zip(*alternating, strict=True)
    apart = list(map(sub, edits, classes))
    imports = [(first + second) / 2 for first, second in zip(before, after, strict=True)]
    nothing, empty_project = zip(*pairs, strict=True)
    stages = str(ROOT / "stages")
    programs = {f"autoencoder {name}": [*AUTOENCODER, name] for name in cli.main.commands}
    programs |= {f"stages {name}": [sys.executable, stages, name] for name in STAGES}
    bare = min(seconds([sys.executable, "-c", BARE_CLICK]) for _ in range(repeat))
    helps = {name: min(seconds([*p, "--help"]) for _ in range(repeat)) for name, p in programs.items()}
    return {
        "import torch": median(before + after),
        "edit of train.learning_rate, without the training": median(edits),
        "edit / import torch": median(map(truediv, edits, imports)),
        "the same, without neighbours and probes": median(apart),
        "without neighbours and probes / import torch": median(map(truediv, apart, imports)),
        "nothing to do": median(nothing),
        "nothing to do, empty DVC project": median(empty_project),
        "nothing to do / empty": median(map(truediv, nothing, empty_project)),
        "bare click --help": bare,
        "slowest --help": max(helps, key=helps.__getitem__),
        "slowest --help, more than bare click": max(helps.values()) - bare,
    }


def prepare(clone: Path) -> None:
    """A clone in which the whole pipeline has run, with the images of this workspace and a store of its own."""
    asked = subprocess.run([*DVC, "cache", "dir"], cwd=ROOT, capture_output=True, text=True, check=True)
    cache = ROOT / asked.stdout.strip()
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    if cache.exists():
        shutil.copytree(cache, clone / ".dvc" / "cache", dirs_exist_ok=True)
    subprocess.run([*DVC, "repro", "--quiet"], cwd=clone, check=True)  # what the cache does not have is made


def prepare_empty(folder: Path) -> None:
    """A DVC project with nothing in it."""
    folder.mkdir()
    for command in (["git", "init", "--quiet"], [*DVC, "init", "--quiet"]):
        subprocess.run(command, cwd=folder, check=True)
    (folder / "dvc.yaml").write_text("stages: {}\n")


def edit(clone: Path, learning_rate: float) -> float:
    """Seconds of `dvc repro` after an edit of train.learning_rate, less those that the run says training took."""
    params = clone / "params.yaml"
    lines = params.read_text().splitlines()
    changed = [f"  learning_rate: {learning_rate}" if line.startswith("  learning_rate") else line for line in lines]
    params.write_text("\n".join(changed) + "\n")
    total = seconds([*DVC, "repro"], clone)
    with sqlite3.connect(clone / "mlflow.db") as store:
        query = """select t.value from tags t join params p on p.run_uuid = t.run_uuid
                   where t.key = 'autoencoder.training_seconds' and p.key = 'train.learning_rate' and p.value = ?"""
        (training,) = store.execute(query, [str(learning_rate)]).fetchone()
    return total - float(training)


def classifying(clone: Path) -> float:
    """Seconds in which a clone's codes, and PCA's, are judged by neighbours and probes."""
    command = [sys.executable, "-c", CLASSIFY]
    return float(subprocess.run(command, cwd=clone, capture_output=True, text=True, check=True).stdout)


def seconds(command: list[str], folder: Path = ROOT) -> float:
    """Seconds that a program takes."""
    begin = time.perf_counter()
    subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begin


def table(found: dict[str, Any]) -> str:
    """A line per measurement."""
    return "\n".join(
        f"{name:<52}{value if isinstance(value, str) else f'{value:.2f}'}" for name, value in found.items()
    )
