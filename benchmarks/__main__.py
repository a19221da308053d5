"""`make bench`, or `python benchmarks [NAME …]`: measure, print tables, and write them to docs/benchmarks.json.

Seconds are those of the machine that it runs on; ratios travel.
"""

import json
import os
import platform
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src")]  # this tree's code, whatever is installed

from autoencoder import numerics, params  # noqa: E402 (the path comes first)

RESULTS = ROOT / "docs" / "benchmarks.json"
FIGURE = ROOT / "docs" / "images" / "scaling.png"
FAMILIES = ("variational", "deep", "convolutional")
OTHERS = ("noise", "scaling", "threads", "memory", "overhead", "resume", "following", "pictures")
NAMES = ("speed", "mlp", *FAMILIES, *OTHERS)
ANOMALIES = "anomalies"  # takes seven minutes and measures no time: only if it is named


@click.command()
@click.argument("names", nargs=-1, type=click.Choice([*NAMES, ANOMALIES]))
@click.option("--epochs", default=15, show_default=True, help="Epochs of each competitor; of slow ones five are timed.")
def main(names: tuple[str, ...], epochs: int) -> None:
    """Measure all but anomalies, or what is named. Needs the images of `dvc repro download` with data.name mnist.

    A part that cannot be measured prints the reason, the others go on, and the exit status is 1.
    """
    os.chdir(ROOT)
    os.environ["PYTHONPATH"] = str(ROOT / "src")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # compiling at every start would be measured
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # dvc.yaml says `python`
    numerics.configure(params.Runtime(device="cpu", threads=1))
    import anomalies
    import following
    import memory
    import noise
    import overhead
    import pictures
    import resume
    import scaling
    import speed
    import threads

    measurements: dict[str, tuple[Callable[[], dict[str, Any]], Callable[[dict[str, Any]], str]]] = {
        "speed": (lambda: speed.measure(epochs), speed.table),
        "mlp": (lambda: speed.measure_mlp(epochs), speed.table),
        **{name: (partial(speed.measure_family, name, epochs), speed.table) for name in FAMILIES},
        "noise": (lambda: noise.measure(5), noise.table),
        "scaling": (scaling.measure, scaling.table),
        "threads": (threads.measure, threads.table),
        "memory": (memory.measure, memory.table),
        "resume": (lambda: resume.measure(10), resume.table),
        "following": (lambda: following.measure(3), following.table),
        "pictures": (pictures.measure, pictures.table),
        ANOMALIES: (anomalies.measure, anomalies.table),
        "overhead": (lambda: overhead.measure(3), overhead.table),
    }
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    failed = []
    for name in names or NAMES:
        measure, table = measurements[name]
        load, began = os.getloadavg()[0], time.monotonic()
        try:
            found = measure()
            printed = table(found)
        except (Exception, SystemExit) as error:
            failed.append(name)
            click.echo(f"\n{name}: not measured: {type(error).__name__}: {error}", err=True)
            continue
        took = {"load before": load, "load after": os.getloadavg()[0], "seconds": time.monotonic() - began}
        click.echo(f"\n{printed}\n({', '.join(f'{key} {value:.1f}' for key, value in took.items())})")
        results |= {"machine": facts(), name: found}
        results["runs"] = results.get("runs", {}) | {name: took}
        if name == "scaling":
            scaling.draw(found, FIGURE, ", ".join(f"{key} {value}" for key, value in facts().items()))
        RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    if failed:
        sys.exit(f"not measured: {', '.join(failed)}")


def facts() -> dict[str, str]:
    """What a reader has to know of the machine."""
    models = [line.partition(":")[2].strip() for line in cpu_lines() if line.startswith("model name")]
    found = {"cpu": models[0] if models else platform.processor(), "cores": str(os.cpu_count())}
    found["python"] = platform.python_version()
    for package in ("torch", "jax", "mlflow", "dvc"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def cpu_lines() -> list[str]:
    """Linux tells its CPU here."""
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main(prog_name="benchmarks")
