"""The trained model in MLflow: a program that runs without this project, and the output of its run."""

import json
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np

from autoencoder.tracking import export
from autoencoder.tracking.client import LoggedModelOutput, Model, ModelSignature, Schema, TensorSpec, pyfunc
from autoencoder.tracking.store import Store

SERVED_MODEL = Path(__file__).with_name("served_model.py")


def log_model(store: Store, run_id: str, exported: Path) -> None:
    """Log the program in the folder `exported` to the run, whose output it becomes last: a model cut short is none."""
    run = store.client.get_run(run_id)
    experiment = run.info.experiment_id
    for model in store.client.search_logged_models([experiment], f"source_run_id = '{run_id}'"):
        store.client.delete_logged_model(model.model_id)
    model = store.client.create_logged_model(experiment, "autoencoder", run_id, params=run.data.params)
    with tempfile.TemporaryDirectory() as folder:
        save_model(exported, Path(folder) / "model", Model(run_id=run_id, model_id=model.model_id))
        store.client.log_model_artifacts(model.model_id, str(Path(folder) / "model"))
    store.client.finalize_logged_model(model.model_id, "READY")
    store.client.log_outputs(run_id, [LoggedModelOutput(model.model_id, 0)])


def save_model(exported: Path, path: Path, model: Model) -> None:
    """Write the exported program as an MLflow model, loadable by `mlflow.pyfunc` and `mlflow.pytorch`, to `path`."""
    example = np.load(exported / export.EXAMPLE)
    inputs = Schema([TensorSpec(example.dtype, (-1, example.shape[1]))])
    about = json.loads((exported / export.ABOUT).read_text())
    outputs = Schema([TensorSpec(example.dtype, (-1, size), name) for name, size in about["outputs"].items()])
    pyfunc.save_model(
        str(path),
        loader_module=SERVED_MODEL.stem,
        data_path=str(exported / export.PROGRAM),
        code_paths=[str(SERVED_MODEL)],
        mlflow_model=model,
        signature=ModelSignature(inputs, outputs),
        input_example=example,
        pip_requirements=[f"{name}=={version(name).partition('+')[0]}" for name in ("mlflow", "numpy", "torch")],
    )
    model.add_flavor("pytorch", model_data="data", pytorch_version=about["torch"], code=None)
    model.save(str(path / "MLmodel"))
