"""All that the page is made of: the files of one run, read with numpy alone."""

import json
from typing import Any, NamedTuple

from jaxtyping import Float32, Float64, UInt8
from numpy import ndarray

from autoencoder import paths
from autoencoder.data import tensors
from autoencoder.errors import UserError
from autoencoder.files import read_csv, read_json, sha256

# What a model file leaves out.
DEFAULTS = {"constraint": {"name": "none"}, "corruption": {"name": "none"}, "loss": "mse", "options": {}}


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
    with tensors.opened(paths.IMAGES, "dvc repro download", "numpy") as file:
        train_images = int(file.get_slice("train_images").get_shape()[0])
        test = file.get_tensor("test_images")
        labels = file.get_tensor("test_labels") if "test_labels" in sorted(file.keys()) else None
    with tensors.opened(paths.MODEL, "dvc repro train", "numpy") as file:
        weights = {name: file.get_tensor(name) for name in sorted(file.keys())}
        description = DEFAULTS | json.loads((file.metadata() or {}).get("autoencoder", "{}"))
    if test.shape[1:] != (found := tuple(description.get("image_shape", ()))):
        raise UserError(f"{paths.MODEL}: expected a model of {test.shape[1:]}, found {found}; dvc repro")
    with tensors.opened(paths.OPTIMUM, "dvc repro pca", "numpy") as file:
        errors = "test_mse" if description["model"] == "linear" else "centred_test_mse"
        axes, optimum = file.get_tensor("axes"), file.get_tensor(errors)
    return Run(
        *(recipe, description, weights, sha256(paths.MODEL), train_images, test, labels, axes, optimum),
        *(read_json(paths.EVALUATION), read_csv(paths.TRAINING)),
        {path.stem: read_csv(path) for path in sorted(paths.FAMILY.glob("*.csv"))},
    )
