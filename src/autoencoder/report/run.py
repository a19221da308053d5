"""All that the page is made of: the files of one run, read with numpy alone."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, UInt8
from numpy import ndarray

from autoencoder import paths
from autoencoder.data import tensors
from autoencoder.errors import UserError
from autoencoder.files import read_csv, read_json, sha256


@dataclass(frozen=True)
class Run:
    """One run's record.

    `recipe` holds the sections of params.yaml that led to it, `model` the name of the model, `image_shape` is
    (channels, height, width), `test` are the test images, one row each, and `labels` their classes, where there are
    any. `axes` and `optimum` are the principal axes and the test error at every rank. `evaluation`, `history` and
    `angles` are the contents of metrics/.
    """

    recipe: dict[str, dict[str, Any]]
    model: str
    image_shape: tuple[int, int, int]
    weights: dict[str, Float32[ndarray, "..."]]
    sha256: str
    train_images: int
    test: UInt8[ndarray, "n input"]
    labels: UInt8[ndarray, " n"] | None
    axes: Float64[ndarray, "input input"]
    optimum: Float64[ndarray, " ranks"]
    evaluation: dict[str, dict[str, float]]
    history: list[dict[str, float]]
    angles: list[dict[str, float]]

    @property
    def code_dimensions(self) -> int:
        """The length of the code."""
        return int(self.evaluation["pca"]["code_dimensions"])


def load(recipe: dict[str, dict[str, Any]]) -> Run:
    """The run of the workspace. Raises UserError if one of its files is missing or damaged."""
    weights, metadata = _read(paths.MODEL, "dvc repro train")
    images, _ = _read(paths.IMAGES, "dvc repro download", "test_images", "test_labels")
    optimum, _ = _read(paths.OPTIMUM, "dvc repro pca", "axes", "test_mse")
    description = json.loads(metadata.get("autoencoder", "{}"))
    shape = tuple(description.get("image_shape", ()))
    if images["test_images"].shape[1:] != shape:
        raise UserError(
            f"{paths.MODEL}: expected a model of {images['test_images'].shape[1:]}, found {shape}; dvc repro"
        )
    return Run(
        recipe=recipe,
        model=description["model"],
        image_shape=shape,
        weights=weights,
        sha256=sha256(paths.MODEL),
        train_images=_length(paths.IMAGES, "train_images"),
        test=images["test_images"].reshape(len(images["test_images"]), -1),
        labels=images.get("test_labels"),
        axes=optimum["axes"],
        optimum=optimum["test_mse"],
        evaluation=read_json(paths.EVALUATION),
        history=read_csv(paths.TRAINING),
        angles=read_csv(paths.ANGLES),
    )


def _read(path: Path, remedy: str, *names: str) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, str]]:
    """The tensors `names` that are in the file, or all of them, and its metadata."""
    with tensors.opened(path, remedy, "numpy") as file:
        present = [name for name in sorted(file.keys()) if not names or name in names]
        return {name: file.get_tensor(name) for name in present}, file.metadata() or {}


def _length(path: Path, name: str) -> int:
    with tensors.opened(path, "dvc repro download", "numpy") as file:
        return int(file.get_slice(name).get_shape()[0])
