"""All that the page is made of: the files of one run, read with numpy alone."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from jaxtyping import Float32, Float64, UInt8
from numpy import ndarray

from autoencoder import paths
from autoencoder.data import tensors
from autoencoder.errors import UserError
from autoencoder.files import read_csv, read_json, sha256


class Run(NamedTuple):
    """One run's record: sections of params.yaml, the model file's description of the model, and contents of files."""

    recipe: dict[str, Any]
    description: dict[str, Any]
    weights: dict[str, Float32[ndarray, "..."]]
    sha256: str  # of the model file
    train_images: int
    test: UInt8[ndarray, "n channels height width"]
    labels: UInt8[ndarray, " n"] | None
    axes: Float64[ndarray, "input axes"]
    optimum: Float64[ndarray, " ranks"]  # the test error of PCA at every rank
    evaluation: dict[str, dict[str, float]]
    history: list[dict[str, float]]
    tables: dict[str, list[dict[str, float]]]  # of metrics/family


def load(recipe: dict[str, Any]) -> Run:
    """The run of the workspace. Raises UserError if one of its files is missing or damaged."""
    weights, metadata = _read(paths.MODEL, "dvc repro train")
    description = json.loads(metadata.get("autoencoder", "{}"))
    images, _ = _read(paths.IMAGES, "dvc repro download", "test_images", "test_labels")
    with tensors.opened(paths.IMAGES, "dvc repro download", "numpy") as file:
        train_images = int(file.get_slice("train_images").get_shape()[0])
    test, found = images["test_images"], tuple(description.get("image_shape", ()))
    if test.shape[1:] != found:
        raise UserError(f"{paths.MODEL}: expected a model of {test.shape[1:]}, found {found}; dvc repro")
    errors = "test_mse" if description["model"] == "linear" else "centred_test_mse"
    optimum, _ = _read(paths.OPTIMUM, "dvc repro pca", "axes", errors)
    return Run(
        *(recipe, description, weights, sha256(paths.MODEL), train_images),
        *(test, images.get("test_labels"), optimum["axes"], optimum[errors]),
        *(read_json(paths.EVALUATION), read_csv(paths.TRAINING)),
        {path.stem: read_csv(path) for path in sorted(paths.FAMILY.glob("*.csv"))},
    )


def _read(path: Path, remedy: str, *names: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The arrays `names` that are in the file, or all of them, and its metadata."""
    with tensors.opened(path, remedy, "numpy") as file:
        present = [name for name in sorted(file.keys()) if not names or name in names]
        return {name: file.get_tensor(name) for name in present}, file.metadata() or {}
