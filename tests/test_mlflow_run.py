"""`mlflow run` on a clone: its run holds the results, and a second one leaves nothing behind."""

import shutil
import time
from pathlib import Path

import pytest
from conftest import run
from mlflow.entities import Run

from autoencoder.tracking.client import MlflowClient

pytestmark = [  # MLflow's own
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:ResourceWarning"),
]


@pytest.fixture(scope="module")
def folder(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with an empty store."""
    copy = tmp_path_factory.mktemp("mlflow") / "clone"
    shutil.copytree(clone, copy, ignore=shutil.ignore_patterns("mlflow.db", "mlruns", ".autoencoder"))
    run("git", "checkout", "-qf", "main", "--", ".", cwd=copy)
    return copy


def runs(folder: Path) -> dict[str, Run]:
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    everywhere = [experiment.experiment_id for experiment in client.search_experiments()]
    return {run.info.run_id: run for run in client.search_runs(everywhere)}


def test_the_run_of_mlflow_run_is_the_run_of_the_state(folder: Path) -> None:
    run("mlflow", "run", ".", "--env-manager", "local", cwd=folder)
    ((run_id, found),) = runs(folder).items()
    assert found.data.tags["autoencoder.started_by"] == "mlflow run"
    assert run_id in run("autoencoder", "which-run", cwd=folder).stdout
    done = run("mlflow", "run", ".", "--env-manager", "local", cwd=folder)
    assert "no new state was trained" in done.stdout
    for _ in range(300):  # the empty run is deleted after MLflow has closed it
        if list(runs(folder)) == [run_id]:
            return
        time.sleep(0.2)
    pytest.fail(f"expected the run {run_id} alone, found {list(runs(folder))}")


def test_a_wrong_parameter_is_one_line_and_changes_nothing(folder: Path) -> None:
    before = (folder / "params.yaml").read_text()
    for edit, line in {
        "train.learning_rat=1": "unknown key 'train.learning_rat' (did you mean 'learning_rate'?)",
        "train.epochs=many": "train.epochs: expected a valid integer, found 'many'",
        "seed.x=1": "unknown key 'seed.x'",
        "seed=[": "--seed: expected a value as in params.yaml, found '['",
    }.items():
        done = run("mlflow", "run", ".", "--env-manager", "local", "-P", edit, cwd=folder, check=False)
        assert done.returncode != 0
        assert line in done.stderr
        assert "Traceback" not in done.stderr
    assert (folder / "params.yaml").read_text() == before


def test_a_run_of_train_alone_ends_with_its_curves(folder: Path) -> None:
    before = runs(folder)
    run("mlflow", "run", ".", "--env-manager", "local", "-e", "train", "-P", "seed=7", cwd=folder)
    (new,) = (found for run_id, found in runs(folder).items() if run_id not in before)
    assert new.info.status == "FINISHED"
    assert new.data.params["seed"] == "7"
    assert {"train/mse", "test/mse", "train/step_mse"} <= set(new.data.metrics)


@pytest.mark.slow
def test_the_environment_of_mlflow_is_enough(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has what requirements.lock names and not this project, which the stages find beside them."""
    monkeypatch.setenv("MLFLOW_ENV_ROOT", str(tmp_path))
    monkeypatch.chdir(folder)  # a new store keeps the artifacts of its first experiment below the current folder
    before = runs(folder)
    run("mlflow", "run", ".", "--env-manager", "uv", "-P", "seed=8", cwd=folder)
    (new,) = (found for run_id, found in runs(folder).items() if run_id not in before)
    assert new.info.status == "FINISHED"
    assert new.info.run_id in run("autoencoder", "which-run", cwd=folder).stdout
