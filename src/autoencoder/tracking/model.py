"""The trained model in MLflow: a program that runs without this project, and the output of its run."""

import json
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np

from autoencoder.tracking import contents, export, tags
from autoencoder.tracking.client import entities, models, pyfunc, types
from autoencoder.tracking.store import Store

SERVED_MODEL = Path(__file__).with_name("served_model.py")


def log_model(store: Store, run_id: str, exported: Path) -> None:
    """Log the program in the folder `exported` to the run, whose output it becomes last: a model cut short is none.

    A model that is there, but damaged, gets its files again.
    """
    there = store.model(run_id)
    model = there or _create(store, run_id)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        save_model(exported, path, models.Model(run_id=run_id, model_id=model.model_id))
        files = contents.hashes_of_folder(path)
        store.client.log_model_artifacts(model.model_id, str(path))
    store.client.set_logged_model_tags(model.model_id, {tags.FILES: json.dumps(files)})
    if not there:
        store.client.finalize_logged_model(model.model_id, "READY")
        store.client.log_outputs(run_id, [entities.LoggedModelOutput(model.model_id, 0)])


def _create(store: Store, run_id: str) -> entities.LoggedModel:
    """A new model of the run, in the place of those that were cut short."""
    run = store.client.get_run(run_id)
    discard(store, run)
    return store.client.create_logged_model(run.info.experiment_id, "autoencoder", run_id, params=run.data.params)


def discard(store: Store, run: entities.Run) -> None:
    """Delete the models of the run."""
    condition = f"source_run_id = '{run.info.run_id}'"
    for model in store.client.search_logged_models([run.info.experiment_id], condition):
        store.client.delete_logged_model(model.model_id)


def whole(store: Store, model: entities.LoggedModel | None) -> bool:
    """Whether there is a model, and every file that was logged for it is there as it was logged."""
    if not model or tags.FILES not in model.tags:
        return False
    expected = json.loads(model.tags[tags.FILES])
    return bool(expected.items() <= contents.hashes(store, model.artifact_location).items())


def save_model(exported: Path, path: Path, model: models.Model) -> None:
    """Write the exported program as an MLflow model, loadable by `mlflow.pyfunc` and `mlflow.pytorch`, to `path`."""
    example = np.load(exported / export.EXAMPLE)
    about = json.loads((exported / export.ABOUT).read_text())
    inputs = types.Schema([types.TensorSpec(example.dtype, (-1, example.shape[1]))])
    outputs = types.Schema([types.TensorSpec(example.dtype, (-1, n), name) for name, n in about["outputs"].items()])
    pyfunc.save_model(
        str(path),
        loader_module=SERVED_MODEL.stem,
        data_path=str(exported / export.PROGRAM),
        code_paths=[str(SERVED_MODEL)],
        mlflow_model=model,
        signature=models.ModelSignature(inputs, outputs),
        input_example=example,
        pip_requirements=[f"{name}=={version(name).partition('+')[0]}" for name in ("mlflow", "numpy", "torch")],
    )
    model.add_flavor("pytorch", model_data="data", pytorch_version=about["torch"], code=None)
    model.save(str(path / "MLmodel"))
