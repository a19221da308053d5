"""A trained state as DVC records it: everything that a tracker is told, read from the record. Knows no MLflow."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoencoder import paths
from autoencoder.errors import UserError
from autoencoder.files import md5 as md5_of
from autoencoder.files import read_csv, read_json, read_yaml, sha256
from autoencoder.record import lock
from autoencoder.record.curves import Point, points

# The sections of params.yaml that make a trained state. The others can change without training again.
SECTIONS = ("seed", "data", "model", "train", "runtime")


@dataclass(frozen=True)
class State:
    """What the record says of the state in dvc.lock; names are dotted for params and `split/name` for figures.

    `key` names the state. `params` define it, `knobs` are those of evaluation and drawing. `data_md5` and `model_md5`
    are DVC's hashes, `model_sha256` is that of the same file. `curves` are the training's course, `figures` its final
    numbers, `files` the pictures, `documents` the text of params.yaml and dvc.lock (without `track`, which is still to
    be recorded). `code_as_recorded` is whether the workspace holds the code that made all this.
    """

    key: str
    params: dict[str, Any]
    knobs: dict[str, Any]
    data_md5: str
    model_md5: str
    model_sha256: str
    curves: list[Point]
    figures: dict[str, float]
    files: list[Path]
    documents: dict[str, str]
    code_as_recorded: bool


def read() -> State:
    """The state that dvc.lock records, with its files in the workspace; what is left of earlier states is none of it.

    Raises UserError if an output is missing or is not the recorded one.
    """
    recorded = lock.recorded()
    others = lock.stale(recorded) | {"track"}  # that one is being run, or says what an earlier state was told
    stages = {name: stage for name, stage in recorded.items() if name not in others}
    if missing := {"train", "evaluate"} - set(stages):
        raise UserError(
            f"dvc.lock: expected stages train and evaluate, {', '.join(sorted(missing))} not found; dvc repro"
        )
    train = stages["train"]
    params = lock.flatten({name: value for stage in stages.values() for name, value in stage.params.items()})
    given = lock.flatten(read_yaml(paths.PARAMS, remedy=f"git checkout {paths.PARAMS}"))
    if edited := [name for name, value in params.items() if given.get(name) != value]:
        raise UserError(
            f"{paths.PARAMS}: expected {', '.join(edited)} as dvc.lock has it, found an edit; "
            f"dvc repro, or git checkout {paths.PARAMS}"
        )
    written = {path for stage in stages.values() for path in stage.outs}
    code = {path: md5 for stage in stages.values() for path, md5 in stage.deps.items() if path not in written}
    outs = {path: md5 for stage in stages.values() for path, md5 in stage.outs.items() if path != str(paths.IMAGES)}
    for path, md5 in outs.items():
        _check(Path(path), md5)
    return State(
        key=train.key,
        params=defining(params),
        knobs={name: value for name, value in params.items() if name not in defining(params)},
        data_md5=train.deps[str(paths.IMAGES)],
        model_md5=train.outs[str(paths.MODEL)],
        model_sha256=sha256(paths.MODEL),
        curves=points(read_csv(paths.TRAINING), read_csv(paths.STEPS)),
        figures=figures(),
        files=sorted(Path(path) for path in outs if paths.FIGURES in Path(path).parents),
        code_as_recorded=all(Path(path).exists() and md5_of(Path(path)) == md5 for path, md5 in code.items()),
        documents={str(paths.PARAMS): paths.PARAMS.read_text(), str(paths.LOCK): lock.lock_without(others)},
    )


def defining(params: dict[str, Any]) -> dict[str, Any]:
    """Those of the flat `params` that make a trained state."""
    return {name: value for name, value in params.items() if name.partition(".")[0] in SECTIONS}


def figures() -> dict[str, float]:
    """The numbers of metrics/evaluation.json, its `mse` as `final_mse`: `mse` is the curve over the epochs."""
    return {
        f"{group}/{'final_mse' if name == 'mse' else name}": float(value)
        for group, values in read_json(paths.EVALUATION).items()
        for name, value in values.items()
    }


def _check(path: Path, md5: str) -> None:
    found = md5_of(path) if path.exists() else "no file"
    if found != md5:
        raise UserError(f"{path}: expected the file of dvc.lock (MD5 {md5}), found {found}; dvc repro or dvc checkout")
