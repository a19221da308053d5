"""Run again what a dvc.lock records, in a scratch folder, and compare every output with its hash.

All that a stage reads there is the recorded content: code and data by their MD5, params as dvc.lock has them.
Neither workspace, DVC cache nor MLflow store is written to.
"""

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

from ruamel.yaml import YAML

from autoencoder import paths
from autoencoder.errors import UserError
from autoencoder.files import md5 as md5_of
from autoencoder.files import read_yaml
from autoencoder.record import git
from autoencoder.record.content import supply, supply_code, write
from autoencoder.record.differences import explain
from autoencoder.record.lock import Stage, put


@dataclass(frozen=True)
class Row:
    """One output: the MD5 that is recorded and that of the file that came out, and whether its stage did run."""

    stage: str
    output: Path
    expected: str
    found: str
    executed: bool


def compare(
    stages: dict[str, Stage], wanted: set[str], scratch: Path, say: Callable[[str], None], note: Callable[[str], None]
) -> bool:
    """Run the `wanted` of `stages` in the folder `scratch`, as `run` does; whether all that ran gave the same bytes.

    `say` prints a table and where outputs differ first, `note` what is done meanwhile.
    """
    rows = []
    say(f"{'output':<36}{'expected (MD5)':<38}found")
    for row in run(stages, wanted, scratch, note):
        rows.append(row)
        verdict = "the same" if row.found == row.expected else "DIFFERENT"
        say(f"{row.output!s:<36}{row.expected:<38}{row.found}  {verdict if row.executed else 'not run'}")
    executed = [row for row in rows if row.executed]
    different = [row for row in executed if row.found != row.expected]
    for row in different:
        say(f"{row.output}: {explain(row.output, row.expected, scratch)}")
    aside = f", {len(rows) - len(executed)} not run" if len(executed) < len(rows) else ""
    say(f"{len(executed) - len(different)} of {len(rows)} outputs are the same bytes as recorded{aside}")
    return bool(executed) and not different


def run(stages: dict[str, Stage], wanted: set[str], scratch: Path, say: Callable[[str], None]) -> Iterator[Row]:
    """Run the `wanted` of the recorded `stages` in the folder `scratch`, and yield a row per output.

    Inputs come from the stages before, else from `scratch`, the workspace, its commit or the DVC cache, wherever the
    recorded content is. Raises UserError if it is nowhere, or a stage fails.
    """
    for note in supply_code([stages[name] for name in wanted], scratch):
        say(note)
    _prepare(stages, scratch)
    made: set[str] = set()
    for name in filter(wanted.__contains__, in_order(stages)):
        stage = stages[name]
        for note in supply({path: md5 for path, md5 in stage.deps.items() if path not in made}, scratch):
            say(note)
        made |= stage.outs.keys()
        _write_params([stage], scratch)  # another stage may have been recorded with another value of the same param
        say(f"running {name} …")
        executed = _execute(name, stage, scratch)
        if not executed:
            say("no mirror could be reached: the recorded images are taken from here, and not fetched again")
            supply(stage.outs, scratch)
        for path, md5 in stage.outs.items():
            yield Row(name, Path(path), md5, md5_of(scratch / path), executed)


def in_order(stages: dict[str, Stage]) -> list[str]:
    """The names of the stages, each behind those whose outputs it reads."""
    makers = {path: name for name, stage in stages.items() for path in stage.outs}
    return list(
        TopologicalSorter({n: {makers[p] for p in s.deps if p in makers} for n, s in stages.items()}).static_order()
    )


def _prepare(stages: dict[str, Stage], scratch: Path) -> None:
    """Write what is recorded as the pipeline and params of `scratch`, unless it has a pipeline already."""
    if not (scratch / paths.PARAMS).exists():
        (scratch / paths.PARAMS).write_bytes(git.committed(paths.PARAMS))
    _write_params(stages.values(), scratch)
    if not (scratch / paths.PIPELINE).exists():
        described = {name: {"cmd": s.cmd, "deps": [*s.deps], "params": [*s.params]} for name, s in stages.items()}
        YAML(typ="safe", pure=True).dump({"stages": described}, scratch / paths.PIPELINE)
    # No training writes a journal for MLflow where a file is in the place of the journals' folder: this works for every
    # version of the code that a record may name.
    write(scratch / paths.JOURNALS, b"")


def _write_params(stages: Iterable[Stage], scratch: Path) -> None:
    """Give params.yaml of `scratch` the values with which `stages` were recorded; it keeps all others."""
    path = scratch / paths.PARAMS
    values = read_yaml(paths.PARAMS, path.read_text(), remedy=f"git checkout {paths.PARAMS}")
    for stage in stages:
        for name, value in stage.params.items():
            put(values, name, deepcopy(value))  # a dotted name of another stage may be put into it
    YAML(typ="safe", pure=True).dump(values, path)


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
