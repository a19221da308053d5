"""`mlflow run` on a clone: its run holds the results, and a second one leaves nothing behind."""

import shutil
import time
from pathlib import Path

import pytest
from conftest import run

from autoencoder import tracking

pytestmark = [  # MLflow's own
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:ResourceWarning"),
]


def runs(folder: Path) -> list[str]:
    client = tracking.MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    everywhere = [experiment.experiment_id for experiment in client.search_experiments()]
    return [run.info.run_id for run in client.search_runs(everywhere)]


def test_the_run_of_mlflow_run_is_the_run_of_the_state(clone: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(clone, tmp_path / "clone", ignore=shutil.ignore_patterns("mlflow.db", "mlruns"))
    run("git", "checkout", "-qf", "main", "--", ".", cwd=folder)
    run("mlflow", "run", ".", "--env-manager", "local", cwd=folder)
    (run_id,) = runs(folder)
    assert run_id in run("autoencoder", "which-run", cwd=folder).stdout
    done = run("mlflow", "run", ".", "--env-manager", "local", cwd=folder)
    assert "nothing new" in done.stdout
    for _ in range(300):  # the empty run is deleted after MLflow has closed it
        if runs(folder) == [run_id]:
            return
        time.sleep(0.2)
    pytest.fail(f"expected the run {run_id} alone, found {runs(folder)}")
