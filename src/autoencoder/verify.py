"""Run again what a dvc.lock records, in a scratch folder, and compare every output with its hash.

All that a stage reads there is the recorded content: code and data by their MD5, params as dvc.lock has them.
What the workspace holds otherwise has no influence, and neither workspace, DVC cache nor MLflow store is written to.
"""

import hashlib
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from autoencoder import paths, pipeline, records
from autoencoder.errors import UserError
from autoencoder.pipeline import Stage


@dataclass(frozen=True)
class Row:
    """One output: the MD5 that is recorded and that of the file that came out, and whether its stage did run."""

    stage: str
    output: Path
    expected: str
    found: str
    executed: bool


def run(stages: dict[str, Stage], wanted: set[str], scratch: Path, say: Callable[[str], None]) -> Iterator[Row]:
    """Run the `wanted` of the recorded `stages` in the folder `scratch`, and yield a row per output.

    Inputs come from the stages before, else from `scratch`, the workspace, its commit or the DVC cache, wherever the
    recorded content is. Raises UserError if it is nowhere, or a stage fails.
    """
    _prepare(stages, scratch)
    made: set[str] = set()
    for name in in_order(stages):
        if name not in wanted:
            continue
        stage = stages[name]
        for note in _supply({path: md5 for path, md5 in stage.deps.items() if path not in made}, scratch):
            say(note)
        made |= stage.outs.keys()
        say(f"running {name} …")
        executed = _execute(name, stage, scratch)
        if not executed:
            say("no mirror could be reached: the recorded images are taken from here, and not fetched again")
            _supply(stage.outs, scratch)
        for path, md5 in stage.outs.items():
            yield Row(name, Path(path), md5, pipeline.md5(scratch / path), executed)


def in_order(stages: dict[str, Stage]) -> list[str]:
    """The names of the stages, each behind those whose outputs it reads."""
    makers = {path: name for name, stage in stages.items() for path in stage.outs}
    return list(
        TopologicalSorter({n: {makers[p] for p in s.deps if p in makers} for n, s in stages.items()}).static_order()
    )


def params(stages: Iterable[Stage], text: str) -> dict[str, Any]:
    """params.yaml as dvc.lock records it, dotted names unfolded; what none of `stages` reads is that of `text`."""
    values = pipeline.load(paths.PARAMS, text, remedy=f"git checkout {paths.PARAMS}")
    for stage in stages:
        for name, value in stage.params.items():
            pipeline.put(values, name, value)
    return values


def recorded_content(path: str, md5: str) -> bytes:
    """The content of `path` that has the MD5: the workspace's, its commit's, or that of the DVC cache."""
    if _is(Path(path), md5):
        return Path(path).read_bytes()
    committed = _committed(path)
    if hashlib.md5(committed, usedforsecurity=False).hexdigest() == md5:
        return committed
    cached = _cache_folder() / md5[:2] / md5[2:]
    if _is(cached, md5):
        return cached.read_bytes()
    raise UserError(
        f"{path}: expected the content that dvc.lock records (MD5 {md5}) in the workspace, the commit or the DVC "
        "cache, found it nowhere; `dvc repro` records the present one, `git checkout` or `dvc pull` brings it back"
    )


def explain(row: Row, scratch: Path) -> str:
    """Where the output of a row whose MD5 differs first departs from the recorded one: the step, or the tensor."""
    try:
        content = recorded_content(str(row.output), row.expected)
    except UserError:
        return "the recorded file is not at hand to compare with"
    recorded = scratch / "recorded" / row.output
    _write(recorded, content)
    if row.output.suffix == ".csv":
        return first_row(recorded, scratch / row.output)
    if row.output.suffix == ".safetensors":
        return first_tensor(recorded, scratch / row.output)
    return "the files differ"


def first_row(expected: Path, found: Path) -> str:
    """The first row in which two CSV files of `records` differ, named by its first column: a step or an epoch."""
    old, new = records.read_csv(expected), records.read_csv(found)
    for a, b in zip(old, new, strict=False):
        if a != b:
            values = ", ".join(f"{name} {a[name]!r} → {b.get(name)!r}" for name in a if a[name] != b.get(name))
            name = next(iter(a))
            return f"first at {name} {a[name]:g}: {values}"
    return f"{len(old)} rows → {len(new)} rows"


def first_tensor(expected: Path, found: Path) -> str:
    """The first tensor, by name, in which two safetensors files differ, and by how much."""
    import numpy as np
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        old, new = load_file(expected), load_file(found)
    except SafetensorError as error:
        raise UserError(f"{expected.name}: expected two safetensors files to compare, found {error}") from None
    for name in sorted(old.keys() | new.keys()):
        a, b = old.get(name), new.get(name)
        if a is None or b is None or (a.shape, a.dtype) != (b.shape, b.dtype):
            return f"first tensor {name}: another shape or type, or there in one alone"
        if (different := np.flatnonzero(a != b)).size:
            largest = np.abs(a.astype(float) - b.astype(float)).max()
            return f"first tensor {name}: {different.size:,} of {a.size:,} values differ, by at most {largest:.3g}"
    return "the tensors are equal, their description is not"


def _prepare(stages: dict[str, Stage], scratch: Path) -> None:
    """Write what is recorded as the pipeline and params of `scratch`, unless it has a pipeline already."""
    if not (scratch / paths.PARAMS).exists():
        (scratch / paths.PARAMS).write_bytes(_committed(str(paths.PARAMS)))
    files = {paths.PARAMS: params(stages.values(), (scratch / paths.PARAMS).read_text())}
    if not (scratch / paths.PIPELINE).exists():
        described = {name: {"cmd": s.cmd, "deps": [*s.deps], "params": [*s.params]} for name, s in stages.items()}
        files[paths.PIPELINE] = {"stages": described}
    for path, content in files.items():
        with (scratch / path).open("w") as file:
            YAML(typ="safe", pure=True).dump(content, file)
    _write(scratch / paths.JOURNALS, b"")  # a file in the folder's place: this training has nothing to tell MLflow


def _supply(files: dict[str, str], scratch: Path) -> list[str]:
    """Make each of `files` in `scratch` the one with its MD5; tell which of them the workspace holds otherwise."""
    notes = []
    for path, md5 in files.items():
        if not _is(scratch / path, md5):
            _write(scratch / path, recorded_content(path, md5))
            if Path(path).exists() and not _is(Path(path), md5):
                notes.append(f"note: {path} is not what dvc.lock records; the recorded content is taken")
    return notes


def _execute(name: str, stage: Stage, scratch: Path) -> bool:
    """Run the command of a stage; False if its mirror was not there. Raises UserError if it failed otherwise."""
    own = ("DVC_ROOT", "DVC_STAGE", "DVC_EXP_NAME", "MLFLOW_RUN_ID")
    environment = {key: value for key, value in os.environ.items() if key not in own}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    environment["MLFLOW_TRACKING_URI"] = f"sqlite:///{scratch.resolve() / 'mlflow.db'}"
    (scratch / paths.NO_MIRROR).unlink(missing_ok=True)
    command = shlex.split(stage.cmd)
    done = subprocess.run(command, cwd=scratch, env=environment, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return True
    if (scratch / paths.NO_MIRROR).exists():
        return False
    reason = (done.stderr.strip() or "no message").splitlines()[-1]
    raise UserError(f"stage {name}: expected exit status 0, found {done.returncode}: {reason}")


def _committed(path: str) -> bytes:
    """The content of `path` in the commit; empty if it has none."""
    return subprocess.run(["git", "show", f"HEAD:./{path}"], capture_output=True, check=False).stdout


def _is(path: Path, md5: str) -> bool:
    return path.exists() and pipeline.md5(path) == md5


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@cache
def _cache_folder() -> Path:
    dvc = Path(sys.executable).with_name("dvc")
    done = subprocess.run([dvc, "cache", "dir"], capture_output=True, text=True, check=False)
    return Path(done.stdout.strip()) / "files" / "md5"
