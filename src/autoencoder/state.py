"""A trained state as DVC records it: everything that a tracker is told, read from the record. Knows no MLflow."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoencoder import pipeline, records
from autoencoder.errors import UserError

IMAGES = "data/images.safetensors"
MODEL = "models/autoencoder.safetensors"

# The stages whose params make a trained state. Those of later stages can change without training again.
DEFINING = ("download", "train")


@dataclass(frozen=True)
class Point:
    """One value of a curve."""

    name: str
    step: int
    value: float


@dataclass(frozen=True)
class State:
    """What the record says of the state in dvc.lock; names are dotted for params and `split/name` for figures.

    `key` names the state. `params` define it, `knobs` are those of evaluation and drawing. `data_md5` and `model_md5`
    are DVC's hashes. `curves` are the training's course, `figures` its final numbers, `files` the
    pictures, `documents` the text of params.yaml and dvc.lock (without `track`, which is still to be recorded).
    """

    key: str
    params: dict[str, Any]
    knobs: dict[str, Any]
    data_md5: str
    model_md5: str
    curves: list[Point]
    figures: dict[str, float]
    files: list[Path]
    documents: dict[str, str]


def read() -> State:
    """The state that dvc.lock records, with its files in the workspace.

    Raises UserError if an output is missing or is not the recorded one.
    """
    stages = pipeline.recorded()
    if missing := {"train", "evaluate"} - set(stages):
        raise UserError(
            f"dvc.lock: expected stages train and evaluate, {', '.join(sorted(missing))} not found; dvc repro"
        )
    train = stages["train"]
    outs = {path: md5 for stage in stages.values() for path, md5 in stage.outs.items() if path != IMAGES}
    for path, md5 in outs.items():
        _check(Path(path), md5)
    return State(
        key=train.key,
        params=_flatten({name: value for stage in DEFINING for name, value in stages[stage].params.items()}),
        knobs=_flatten(
            {
                name: value
                for stage, entry in stages.items()
                for name, value in entry.params.items()
                if stage not in DEFINING and name not in train.params
            }
        ),
        data_md5=train.deps[IMAGES],
        model_md5=train.outs[MODEL],
        curves=curves(),
        figures=figures(),
        files=sorted(Path(path) for path in outs if path.startswith("figures/")),
        documents={"params.yaml": pipeline.PARAMS.read_text(), "dvc.lock": pipeline.lock_without("track")},
    )


def curves() -> list[Point]:
    """The course of the training: `train/mse` and `test/mse` by epoch, `train/step_mse` by step."""
    epochs, steps = records.read_csv(records.TRAINING), records.read_csv(records.STEPS)
    return [
        *(Point("train/mse", int(row["epoch"]), row["train_mse"]) for row in epochs),
        *(Point("test/mse", int(row["epoch"]), row["test_mse"]) for row in epochs),
        *(Point("train/step_mse", int(row["step"]), row["mse"]) for row in steps),
    ]


def figures() -> dict[str, float]:
    """The numbers of metrics/evaluation.json, its `mse` as `final_mse`: `mse` is the curve over the epochs."""
    return {
        f"{group}/{'final_mse' if name == 'mse' else name}": float(value)
        for group, values in records.read_json(records.EVALUATION).items()
        for name, value in values.items()
    }


def _check(path: Path, md5: str) -> None:
    found = pipeline.md5(path) if path.exists() else "no file"
    if found != md5:
        raise UserError(f"{path}: expected the file of dvc.lock (MD5 {md5}), found {found}; dvc repro or dvc checkout")


def _flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flatten(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat
