"""Whatever the store has lost, `which` names it and `track` brings it back: the same run, no twin, a model that loads."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from test_tracking import (  # noqa: F401 (fixtures)
    EVALUATION,
    begun,
    contents,
    exported,
    fresh_store,
    images,
    record,
    ten,
    train,
)

from autoencoder import paths
from autoencoder.data.images import Images
from autoencoder.record.state import read
from autoencoder.tracking import artifacts, export, mirror, model, reconcile, registry, runs, tags
from autoencoder.tracking.store import Store

pytestmark = [  # MLflow's own
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*:ResourceWarning"),
]


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, digits: Images, exported: Path, fresh_store: Path) -> Path:
    """A workspace whose record is in its store, and a copy of that in `before`."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(export, "begun", begun(exported))
        shutil.copy(fresh_store, "mlflow.db")
        record(ten(digits))
        reconcile.reconcile()
    shutil.copytree(folder, folder / "before")
    return folder


@pytest.fixture
def workspace(finished: Path, monkeypatch: pytest.MonkeyPatch, exported: Path) -> Path:
    """The finished workspace, whatever the last test did to it. It stays in its place, which MLflow remembers."""
    monkeypatch.chdir(finished)
    monkeypatch.setattr(export, "begun", begun(exported))
    shutil.rmtree("mlruns", ignore_errors=True)
    shutil.copytree("before", ".", dirs_exist_ok=True)
    return finished


def sql(*statements: str) -> None:
    with closing(sqlite3.connect("mlflow.db")) as database, database:
        for statement in statements:
            database.execute(statement)


def lose_model(store: Store, run_id: str) -> None:
    logged = store.model(run_id)
    assert logged
    store.client.delete_logged_model(logged.model_id)


def truncate(pattern: str) -> None:
    (path,) = Path("mlruns").glob(pattern)
    path.write_bytes(path.read_bytes()[:-1])


def remove(pattern: str) -> None:
    for path in Path("mlruns").glob(pattern):
        path.unlink()


LOSSES: dict[str, tuple[str, Callable[[Store, str], object]]] = {
    "all artifacts": ("files", lambda *_: shutil.rmtree("mlruns")),
    "a figure": ("files", lambda *_: remove("*/artifacts/figures/reconstructions.png")),
    "the end of a figure": ("files", lambda *_: truncate("*/artifacts/figures/reconstructions.png")),
    "dvc.lock": ("files", lambda *_: remove("*/artifacts/dvc.lock")),
    "a picture of the grid": ("files", lambda *_: remove("*/artifacts/images/*.webp")),
    "a model's program": ("model", lambda *_: remove("models/*/artifacts/data/model.pt2")),
    "the end of a program": ("model", lambda *_: truncate("models/*/artifacts/data/model.pt2")),
    "the model": ("model", lose_model),
    "a param": ("params", lambda *_: sql("DELETE FROM params WHERE key = 'train.epochs'")),
    "a point": ("curves", lambda *_: sql("DELETE FROM metrics WHERE key = 'test/mse' AND step = 1")),
    "a curve": ("curves", lambda *_: sql(*(f"DELETE FROM {t} WHERE key = 'test/mse'" for t in ("metrics", "latest_metrics")))),
    "a figure's value": ("figures", lambda store, run: store.client.log_metric(run, "test/final_mse", 9.0, step=3)),
    "the model's values": ("figures", lambda *_: sql("DELETE FROM logged_model_metrics")),
    "the data": ("data", lambda *_: sql("DELETE FROM inputs WHERE source_type = 'DATASET'")),
    "the key": ("", lambda store, run: store.client.delete_tag(run, tags.STATE)),
    "another key": ("", lambda store, run: store.client.set_tag(run, tags.STATE, "0")),
    "the model's MD5": ("tags", lambda store, run: store.client.delete_tag(run, tags.MODEL_MD5)),
    "the description": ("tags", lambda store, run: store.client.set_tag(run, tags.NOTE, "mine")),
    "the end": ("end", lambda store, run: store.client.set_terminated(run, "FAILED")),
    "the run": ("its place", lambda store, run: store.client.delete_run(run)),
    "the version": ("registration", lambda store, _: store.client.delete_model_version(registry.REGISTERED, "1")),
    "the registry": ("registration", lambda store, _: store.client.delete_registered_model(registry.REGISTERED)),
    "an alias": ("registration", lambda store, _: store.client.delete_registered_model_alias(registry.REGISTERED, "champion")),
}  # fmt: skip


@pytest.mark.usefixtures("workspace")
@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_is_named_and_brought_back(loss: str) -> None:
    kind, lose = LOSSES[loss]
    store = Store()
    run, lacking = mirror.which(store, read())
    assert (run is not None, lacking) == (True, [])
    assert run
    before = json.dumps(contents(), default=sorted)
    lose(store, run.run_id)
    found, lacking = mirror.which(store, read())
    assert found
    assert (found.run_id, kind in [*lacking, ""]) == (run.run_id, True), lacking
    reconcile.reconcile()
    assert mirror.which(store, read())[1] == []
    (after,) = contents()
    assert after["id"] == run.run_id
    if kind not in ("model", "curves", "figures"):  # MLflow gives other ids and keeps what was logged twice
        assert json.dumps([after], default=sorted) == before
    client = store.client
    version = client.get_model_version_by_alias(registry.REGISTERED, registry.CHAMPION)
    logged = store.model(run.run_id)
    assert logged
    assert (version.run_id, version.source) == (run.run_id, logged.artifact_location)
    assert model.whole(store, logged)
