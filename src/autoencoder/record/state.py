"""A trained state as DVC records it: everything that a tracker needs, read from the record. Knows no MLflow."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoencoder import paths
from autoencoder.errors import UserError
from autoencoder.files import has_md5, read_csv, read_json, read_yaml, sha256
from autoencoder.record import identity, lock
from autoencoder.record.curves import Point, points

SHOWN = (str(paths.FIGURES), str(paths.FAMILY), str(paths.REPORT))  # outputs that a run shows as they are
USED = (str(paths.MODEL), str(paths.TEST_ERRORS))  # what it takes to use the model elsewhere
CURVES = ("mse", "nats")
CHAMPION = "test/final_mse"  # decides where params.yaml, of an earlier version, names no figure


@dataclass(frozen=True)
class State:
    """What the record holds of the state in dvc.lock; names are dotted for params and `split/name` for figures."""

    key: str  # of the state
    code: str  # the hash of the code that trained it
    params: dict[str, Any]  # those that define the state
    knobs: dict[str, Any]  # those of evaluation and drawing
    data_md5: str
    model_md5: str
    model_sha256: str
    curves: list[Point]
    figures: dict[str, float]
    champion: str  # the figure that decides
    files: list[Path]  # the pictures, the page, and what it takes to use the model
    documents: dict[str, str]  # the texts of params.yaml and of dvc.lock (without `track`, which is not recorded yet)
    code_as_recorded: bool  # whether the workspace holds the code that made all this


def read() -> State:
    """The state that dvc.lock records, with its files in the workspace; what is left of earlier states is none of it.

    Raises UserError if an output is missing or is not the recorded one, or params.yaml was edited since.
    """
    recorded = lock.recorded()
    others = lock.stale(recorded) | {"track"}  # `track` is running now, or has mirrored an earlier state
    stages = {name: stage for name, stage in recorded.items() if name not in others}
    if missing := {"train", "evaluate"} - set(stages):
        raise UserError(
            f"dvc.lock: expected stages train and evaluate, {', '.join(sorted(missing))} not found; dvc repro"
        )
    params = lock.params(stages)
    given = lock.flatten(read_yaml(paths.PARAMS, remedy=f"git checkout {paths.PARAMS}"))
    if edited := [name for name, value in params.items() if given.get(name) != value]:
        raise UserError(
            f"{paths.PARAMS}: expected {', '.join(edited)} as dvc.lock has it, found an edit; "
            f"dvc repro, or git checkout {paths.PARAMS}"
        )
    outs = {path: md5 for stage in stages.values() for path, md5 in stage.outs.items() if path != str(paths.IMAGES)}
    for path, md5 in outs.items():
        if not has_md5(Path(path), md5):
            raise UserError(
                f"{path}: expected the file of dvc.lock (MD5 {md5}), found another or none; dvc repro or dvc checkout"
            )
    written = {path for stage in stages.values() for path in stage.outs}
    read = {path: md5 for stage in stages.values() for path, md5 in stage.deps.items() if path not in written}
    train = stages["train"]
    defining, data_md5 = identity.defining(params), train.deps[str(paths.IMAGES)]
    return State(
        key=identity.key(defining, data_md5),
        code=train.code,
        params=defining,
        knobs={name: value for name, value in params.items() if name not in defining},
        data_md5=data_md5,
        model_md5=train.outs[str(paths.MODEL)],
        model_sha256=sha256(paths.MODEL),
        curves=points(read_csv(paths.TRAINING), read_csv(paths.STEPS)),
        figures=figures(read_json(paths.EVALUATION)),
        champion=given.get("track.champion", CHAMPION),
        files=sorted(file for path in outs if path.startswith((*SHOWN, *USED)) for file in _files(Path(path))),
        documents={
            str(paths.PARAMS): paths.PARAMS.read_text(encoding="utf-8"),
            str(paths.LOCK): lock.lock_without(others),
        },
        code_as_recorded=all(has_md5(Path(path), md5) for path, md5 in read.items()),
    )


def figures(evaluation: dict[str, dict[str, float]]) -> dict[str, float]:
    """The numbers of metrics/evaluation.json, its `mse` as `final_mse`: `mse` is a curve over the epochs."""
    return {
        f"{group}/{f'final_{name}' if name in CURVES else name}": float(value)
        for group, values in evaluation.items()
        for name, value in values.items()
    }


def _files(output: Path) -> list[Path]:
    return [file for file in output.rglob("*") if file.is_file()] if output.is_dir() else [output]
