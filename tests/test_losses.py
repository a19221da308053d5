"""Whatever the store has lost, `which` names it and `track` brings it back: the same run, no twin, a whole model."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED
from requests import HTTPError
from test_tracking import (  # noqa: F401 (fixtures)
    CHANGES,
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
from track import track

from autoencoder import cli, paths
from autoencoder.data.images import Images
from autoencoder.record import lineage
from autoencoder.record.state import read
from autoencoder.tracking import export, mirror, model, reconcile, registry, runs, server, tags
from autoencoder.tracking.client import MlflowClient, MlflowException
from autoencoder.tracking.store import Store

pytestmark = [  # MLflow's own
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*:ResourceWarning"),
]


@pytest.fixture(scope="session")
def finished(
    tmp_path_factory: pytest.TempPathFactory,
    digits: Images,
    exported: Path,  # noqa: F811
    fresh_store: Path,  # noqa: F811
) -> Path:
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
def workspace(
    finished: Path,
    monkeypatch: pytest.MonkeyPatch,
    exported: Path,  # noqa: F811
) -> Path:
    """The finished workspace, whatever the last test did to it. It stays in its place, which MLflow remembers."""
    monkeypatch.chdir(finished)
    monkeypatch.setattr(export, "begun", begun(exported))
    shutil.rmtree("mlruns", ignore_errors=True)
    shutil.copytree("before", ".", dirs_exist_ok=True)
    return finished


def sql(*statements: str) -> None:
    with closing(sqlite3.connect("mlflow.db")) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def lose_model(store: Store, run_id: str) -> None:
    logged = store.model(run_id)
    assert logged
    store.client.delete_logged_model(logged.model_id)


def lose_alias(store: Store, _: str) -> None:
    store.client.delete_registered_model_alias(registry.REGISTERED, registry.CHAMPION)


def lose_curve(*_: object) -> None:
    sql("DELETE FROM metrics WHERE key = 'test/mse'", "DELETE FROM latest_metrics WHERE key = 'test/mse'")


def truncate(pattern: str) -> None:
    (path,) = Path("mlruns").glob(pattern)
    path.write_bytes(path.read_bytes()[:-1])


def remove(pattern: str) -> None:
    for path in Path("mlruns").glob(pattern):
        path.unlink()


LOSSES: dict[str, tuple[str, Callable[[Store, str], object]]] = {
    "all artifacts": ("files", lambda *_: shutil.rmtree("mlruns")),
    "a figure": ("files", lambda *_: remove("*/artifacts/figures/grid.png")),
    "the end of a figure": ("files", lambda *_: truncate("*/artifacts/figures/grid.png")),
    "dvc.lock": ("files", lambda *_: remove("*/artifacts/dvc.lock")),
    "a picture of the grid": ("files", lambda *_: remove("*/artifacts/images/*.webp")),
    "a model's program": ("model", lambda *_: remove("models/*/artifacts/data/model.pt2")),
    "the end of a program": ("model", lambda *_: truncate("models/*/artifacts/data/model.pt2")),
    "the model": ("model", lose_model),
    "a param": ("params", lambda *_: sql("DELETE FROM params WHERE key = 'train.epochs'")),
    "a point": ("curves", lambda *_: sql("DELETE FROM metrics WHERE key = 'test/mse' AND step = 1")),
    "a curve": ("curves", lose_curve),
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
    "the version's place": ("registration", lambda *_: sql("UPDATE model_versions SET source = '/elsewhere'")),
    "the registry": ("registration", lambda store, _: store.client.delete_registered_model(registry.REGISTERED)),
    "an alias": ("registration", lose_alias),
}  # fmt: skip


@pytest.mark.usefixtures("workspace")
@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_is_named_and_brought_back(loss: str) -> None:
    kind, lose = LOSSES[loss]
    store = Store()
    run, lacking = mirror.which(store, read())
    assert (run is not None, lacking) == (True, [])
    assert run
    before = json.dumps(contents(), default=sorted, sort_keys=True)
    lose(store, run.run_id)
    found, lacking = mirror.which(store, read())
    assert found
    assert (found.run_id, kind in [*lacking, ""]) == (run.run_id, True), lacking
    reconcile.reconcile()
    assert mirror.which(store, read())[1] == []
    assert registry.moved_by_hand(store, read()) == []
    (after,) = contents()
    assert after["id"] == run.run_id
    if kind not in ("model", "curves", "figures", "end"):  # MLflow gives other ids and keeps what was logged twice
        assert json.dumps([after], default=sorted, sort_keys=True) == before
    client = store.client
    version = client.get_model_version_by_alias(registry.REGISTERED, registry.CHAMPION)
    logged = store.model(run.run_id)
    assert logged
    assert (version.run_id, version.source) == (run.run_id, logged.artifact_location)
    assert model.whole(store, logged)


@pytest.mark.usefixtures("workspace")
def test_what_an_earlier_drawing_left_in_a_run_is_removed(monkeypatch: pytest.MonkeyPatch, digits: Images) -> None:
    """Ten examples, twelve with an edit that is not committed, and ten again."""
    drawings = ((12, "an edit"), (10, ""))
    before = contents()[0]["files"]
    for render, diff in drawings:
        source = lineage.Source("0" * 40, diff, "by hand", {}, None)
        monkeypatch.setattr(lineage, "source", lambda source=source: source)
        record(ten(digits), render=render)
        reconcile.reconcile()
        (run,) = contents()
        assert run["tags"][tags.DIRTY] == str(bool(diff)).lower()
        assert ("uncommitted.diff" in run["files"]) == bool(diff)
        assert len([name for name in run["files"] if name.startswith("images/")]) == 2
    assert contents()[0]["files"] == before


@pytest.mark.usefixtures("workspace")
def test_a_lost_patch_is_named_and_logged_again(monkeypatch: pytest.MonkeyPatch) -> None:
    source = lineage.Source("0" * 40, "an edit", "by hand", {}, None)
    monkeypatch.setattr(lineage, "source", lambda: source)
    monkeypatch.setattr(lineage, "commit", lambda: source.commit)
    remove("*/artifacts/dvc.lock")
    reconcile.reconcile()
    remove("*/artifacts/uncommitted.diff")
    assert mirror.which(Store(), read())[1] == ["code"]
    reconcile.reconcile()
    assert mirror.which(Store(), read())[1] == []
    assert "uncommitted.diff" in contents()[0]["files"]


@pytest.mark.usefixtures("workspace")
def test_a_value_that_somebody_added_to_a_curve_is_named() -> None:
    (run,) = contents()
    Store().client.log_metric(run["id"], "test/mse", 9.0, step=2)
    assert "note: test/mse has values that somebody added" in str(reconcile.reconcile())
    assert mirror.which(Store(), read())[1] == []


@pytest.mark.usefixtures("workspace")
def test_of_two_runs_of_one_model_the_older_is_left_with_one_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """As two workspaces make them, each before the other's is in the store; also a run that is restored later."""
    (first,) = contents()
    with monkeypatch.context() as patch:
        patch.setattr(runs, "of_state", lambda *_: [])
        second = reconcile.reconcile().run_id
    for _ in range(2):
        assert {run["id"] for run in contents()} == {first["id"], second}
        reconcile.reconcile()
        assert [run["id"] for run in contents()] == [first["id"]]
        client = Store().client
        assert [version.run_id for version in client.search_model_versions()] == [first["id"]]
        assert client.get_model_version_by_alias(registry.REGISTERED, registry.CHAMPION).run_id == first["id"]
        client.restore_run(second)


@pytest.mark.usefixtures("workspace")
def test_a_training_that_another_workspace_tracked_is_completed_by_its_own_journal() -> None:
    (run,) = contents()
    path = train()
    header, _, rest = path.read_text().partition("\n")
    header = json.dumps(json.loads(header) | {"began": run_start(run["id"]) - 5000})
    path.write_text(f"{header}\n{rest}")
    reconcile.carry(Store(), path)
    reconcile.reconcile()
    (after,) = contents()
    assert (after["id"], after["status"]) == (run["id"], "FINISHED")
    assert tags.REPRODUCED not in after["tags"]
    assert tags.SECONDS in after["tags"]
    assert any(name.startswith(tags.MACHINE) for name in after["tags"])


def run_start(run_id: str) -> int:
    return int(Store().client.get_run(run_id).info.start_time)


@pytest.mark.usefixtures("workspace")
def test_a_workspace_that_was_moved_finds_its_artifacts(tmp_path: Path) -> None:
    """Also from and to a name that an address has to encode. A copy is a workspace of its own."""
    moved = Path("before")
    for name in ("перенесено", "it's #1 & `x`", "again"):
        moved = Path(shutil.copytree(moved, tmp_path / name))
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(moved)
            server.check_database()
            found = sql_all("SELECT artifact_location FROM experiments UNION SELECT artifact_uri FROM runs UNION "
                            "SELECT artifact_location FROM logged_models UNION SELECT source FROM model_versions UNION "
                            "SELECT storage_location FROM model_versions")  # fmt: skip
        assert len(found) == 4
        assert all(location.startswith((moved.as_uri(), str(moved))) for location in found), found


REFUSALS = [
    MlflowException("Permission denied", PERMISSION_DENIED),  # of a server with passwords
    MlflowException("(sqlite3.OperationalError) attempt to write a readonly database\n[SQL: …]"),
    HTTPError("403 Client Error", response=SimpleNamespace(status_code=403)),  # of a proxy before the server
]


@pytest.mark.usefixtures("workspace")
@pytest.mark.parametrize("refusal", REFUSALS, ids=str)
def test_who_may_only_read_can_run_the_pipeline(refusal: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise refusal

    lose_alias(Store(), "")
    for name in CHANGES:
        monkeypatch.setattr(MlflowClient, name, refuse)
    by_dvc, by_hand = (CliRunner().invoke(command, words) for command, words in ((track, []), (cli.main, ["track"])))
    assert (by_dvc.exit_code, by_dvc.stdout, by_dvc.stderr.count("\n")) == (0, "", 1)
    assert by_dvc.stderr.startswith("note: MLflow store sqlite:")
    assert paths.TRACKED.exists()
    assert by_hand.exit_code == 1
    assert by_hand.stderr.endswith("You may not write there, and what is lacking was not tracked\n")


@pytest.mark.usefixtures("workspace")
def test_nothing_is_overlooked_in_a_store_with_more_than_a_page_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of one run and one experiment, of which there are several before those of the workspace."""
    (run,) = contents()
    store = Store()
    for number in range(3):
        other = store.client.create_experiment(f"other {number}")
        store.client.set_tag(store.client.create_run(other).info.run_id, tags.STATE, run["tags"][tags.STATE])
    search = store.client.search_experiments
    monkeypatch.setattr(MlflowClient, "search_experiments", lambda _, **options: search(**options | {"max_results": 1}))
    monkeypatch.setattr("autoencoder.tracking.store.PAGE", 1)
    assert reconcile.reconcile().run_id == run["id"]
    assert len({found.info.run_id for found in Store().search("")}) == 4


def sql_all(query: str) -> list[str]:
    with closing(sqlite3.connect("mlflow.db")) as connection:
        return [str(value) for (value,) in connection.execute(query)]


@pytest.mark.parametrize("damage", ["cut", "other content", "a folder"])
@pytest.mark.usefixtures("workspace")
def test_a_damaged_database_is_one_line_that_says_what_to_do(damage: str) -> None:
    """The last test of this file: MLflow keeps the database open that was there before."""
    path = Path("mlflow.db")
    content = path.read_bytes()
    try:
        if damage == "a folder":
            path.unlink()
            path.mkdir()
        else:
            path.write_bytes(content[: len(content) // 2] if damage == "cut" else b"no database" * 1000)
        for command in (["track"], ["which-run"], ["ui"]):
            done = CliRunner().invoke(cli.main, command)
            assert done.exit_code == 1
            assert done.output.count("\n") == 1
            assert "expected MLflow's database" in done.output
            assert "move it away" in done.output
    finally:
        if path.is_dir():
            path.rmdir()
        path.write_bytes(content)
