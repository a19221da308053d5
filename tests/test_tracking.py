"""The mirror in MLflow: complete, never doubled, and the same again after whatever interrupted it."""

import fcntl
import hashlib
import json
import platform
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from conftest import ROOT, small
from conftest import run as command
from PIL import Image
from servers import serving

from autoencoder import cli, paths
from autoencoder.data.images import Images, save_images, scale
from autoencoder.errors import UserError
from autoencoder.files import md5, read_yaml, write_csv, write_json
from autoencoder.models.saved import Description, load_model, save_model
from autoencoder.record import history, identity, lock
from autoencoder.record.state import read
from autoencoder.tracking import export, follower, journal, mirror, reconcile, registry, store, tags
from autoencoder.tracking.client import MlflowClient
from autoencoder.tracking.store import Store
from autoencoder.training.loop import Epoch, Step

pytestmark = [  # MLflow's own
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*:ResourceWarning"),
]

PARAMS = read_yaml(ROOT / "params.yaml", small((ROOT / "params.yaml").read_text()), remedy="")
EPOCHS = [Epoch(1, 0.5, 0.4), Epoch(2, 0.3, 0.25)]
STEPS = [Step(0, 1, 0.9), Step(20, 1, 0.6), Step(40, 1, 0.5), Step(60, 2, 0.4)]
EVALUATION = {"test": {"mse": 0.25, "ratio_to_optimum": 1.5}, "train": {"mse": 0.24}, "pca": {"compression": 2.0}}


def ten(images: Images) -> Images:
    """The first ten images of both splits."""
    fields = vars(images).items()
    return Images(**{name: None if tensor is None else tensor[:10].clone() for name, tensor in fields})


def record(images: Images, *, seed: int = 42, render: int = 10, weights: int = 0, code: str = "") -> None:
    """Write all that DVC would have recorded of a small training, `dvc.lock` included."""
    params = PARAMS | {"seed": seed, "render": {"examples": render}}
    Path("params.yaml").write_text(json.dumps(params))  # which is YAML
    save_images(images)
    description = Description("linear", 8, (1, 8, 8))
    save_model(description.build(seed + weights), description)
    write_csv(paths.TRAINING, EPOCHS)
    write_csv(paths.STEPS, STEPS)
    write_json(paths.EVALUATION, EVALUATION)
    Path("figures").mkdir(exist_ok=True)
    Image.new("L", (render, 1)).save("figures/grid.png")
    paths.REPORT.write_text("<title>The page</title>")
    Path("train.py").write_text(code)
    stages = {
        "download": stage(params={"data": params["data"]}, outs=[paths.IMAGES]),
        "train": stage(
            deps=[paths.IMAGES, Path("train.py")],
            params={"seed": seed, "train": params["train"]},
            outs=[paths.MODEL, paths.TRAINING, paths.STEPS],
        ),
        "evaluate": stage(deps=[paths.MODEL], outs=[paths.EVALUATION]),
        "render": stage(params={"render": params["render"]}, outs=[Path("figures/grid.png")]),
        "report": stage(deps=[paths.MODEL], outs=[paths.REPORT]),
    }
    Path("dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": stages}))
    inputs = {"deps": [str(paths.IMAGES), "train.py"], "params": ["seed", "train"]}
    Path("dvc.yaml").write_text(json.dumps({"stages": {"train": {"cmd": "run"} | inputs}}))


def stage(deps: Any = (), params: Any = None, outs: Any = ()) -> dict[str, Any]:
    hashed = [[{"path": str(path), "md5": md5(path)} for path in paths] for paths in (deps, outs)]
    return {"cmd": "run", "deps": hashed[0], "params": {"params.yaml": params or {}}, "outs": hashed[1]}


@pytest.fixture(scope="session")
def fresh_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database with its tables and nothing else: making one takes seconds."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_store: Path, digits: Images) -> Images:
    """In a folder with an empty store: ten digits."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(fresh_store, "mlflow.db")
    return ten(digits)


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory, digits: Images) -> Path:
    """The exported program of a model: the same for all tests that do not look at it, for it takes seconds."""
    folder = tmp_path_factory.mktemp("exported")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        record(ten(digits))
        with export.begun() as program:
            shutil.copytree(program(), folder, dirs_exist_ok=True)
    return folder


def begun(exported: Path) -> Callable[[], AbstractContextManager[Callable[[], Path]]]:
    """An `export.begun` for a model that was exported before."""
    return lambda: nullcontext(lambda: exported)


@pytest.fixture
def quick_export(monkeypatch: pytest.MonkeyPatch, exported: Path) -> None:
    monkeypatch.setattr(export, "begun", begun(exported))


def contents() -> list[dict[str, Any]]:
    """What the store of this folder holds, without times and names that MLflow invents."""
    client = MlflowClient(f"sqlite:///{Path('mlflow.db').resolve()}")
    found = []
    for experiment in client.search_experiments(order_by=["experiment_id ASC"]):
        for run in client.search_runs([experiment.experiment_id], order_by=["start_time ASC"]):
            run_id = run.info.run_id
            history = {
                name: [(metric.step, metric.value) for metric in client.get_metric_history(run_id, name)]
                for name in run.data.metrics
            }
            models = client.search_logged_models([experiment.experiment_id], f"source_run_id = '{run_id}'")
            found.append(
                {
                    "id": run_id,
                    "name": run.info.run_name,
                    "status": run.info.status,
                    "duration": run.info.end_time and run.info.end_time - run.info.start_time,
                    "params": run.data.params,
                    "tags": run.data.tags,
                    "metrics": history,
                    "datasets": [(i.dataset.name, i.dataset.digest) for i in run.inputs.dataset_inputs],
                    "files": sorted(
                        re.sub(r"timestamp\+\d+", "moment", file.path)
                        for folder in ("", "figures", "images")
                        for file in client.list_artifacts(run_id, folder)
                        if not file.is_dir
                    ),
                    "models": [(model.model_id, str(model.status)) for model in models],
                    "model params": [model.params for model in models],
                    "model metrics": {
                        (metric.key, metric.value, metric.dataset_name, metric.dataset_digest)
                        for model in models
                        for metric in model.metrics or []
                    },
                    "outputs": [model.model_id for model in run.outputs.model_outputs] if run.outputs else [],
                }
            )
    return found


@pytest.mark.usefixtures("images")
def test_runs_of_an_experiment_that_another_process_has_made_are_found() -> None:
    """Two first runs at once: a run that is not found again would get a twin, without results."""
    anywhere = f"tags.`{tags.STATE}` LIKE '%'"
    early, late = Store(), Store()
    assert not [*early.search(anywhere)]
    late.experiment()
    run = early.client.create_run(early.experiment(), tags={tags.STATE: "a"})
    assert [found.info.run_id for found in early.search(anywhere)] == [run.info.run_id]


@pytest.mark.usefixtures("quick_export")
class TestMirror:
    def test_a_run_holds_all_that_is_recorded(self, images: Images) -> None:
        record(images)
        reconcile.reconcile()
        (run,) = contents()
        assert (run["status"], run["duration"]) == ("FINISHED", 0)  # nobody has seen the training
        assert run["params"] == {
            "seed": "42",
            "data.name": "digits",
            "data.validation": "0.0",
            "data.image_size": "None",
            "data.channels": "None",
            "data.test_fraction": "0.15",
            "train.loss": "mse",
            "train.epochs": "2",
            "train.batch_size": "32",
            "train.optimizer": "sgd",
            "train.learning_rate": "0.03162277660168379",
            "train.momentum": "0.5",
            "train.weight_decay": "0.0",
            "train.log_every": "20",
        }
        assert run["metrics"] == {
            "train/mse": [(1, 0.5), (2, 0.3)],
            "test/mse": [(1, 0.4), (2, 0.25)],
            "train/step_mse": [(0, 0.9), (20, 0.6), (40, 0.5), (60, 0.4)],
            "test/final_mse": [(0, 0.25)],
            "test/ratio_to_optimum": [(0, 1.5)],
            "train/final_mse": [(0, 0.24)],
            "pca/compression": [(0, 2.0)],
        }
        assert run["datasets"] == [("digits", md5(paths.IMAGES))]
        shown = f"images/reconstructions+step+0+moment+{uuid.UUID(md5(paths.GRID))}"
        assert run["files"] == [
            "dvc.lock", "figures/grid.png", f"{shown}+compressed.webp", f"{shown}.png", "params.yaml",
            "report.html",
        ]  # fmt: skip
        assert [(run["outputs"], status) for _, status in run["models"]] == [([run["models"][0][0]], "READY")]
        assert run["model params"] == [run["params"]]
        data = ("digits", md5(paths.IMAGES))
        assert run["model metrics"] == {
            ("test/final_mse", 0.25, *data),
            ("test/ratio_to_optimum", 1.5, *data),
            ("train/final_mse", 0.24, *data),
            ("pca/compression", 2.0, *data),
        }
        assert run["tags"]["render.examples"] == "10"
        assert run["tags"][tags.MODEL_SHA256] == hashlib.sha256(paths.MODEL.read_bytes()).hexdigest()

    def test_mirroring_again_changes_nothing(self, images: Images) -> None:
        record(images)
        reconcile.reconcile()
        before = contents()
        reconcile.reconcile()
        assert contents() == before

    def test_going_back_to_a_state_goes_back_to_its_run(self, images: Images) -> None:
        for seed in (1, 2, 1):
            record(images, seed=seed)
            reconcile.reconcile()
        first, second = contents()
        assert (first["params"]["seed"], second["params"]["seed"]) == ("1", "2")
        current = [any(tag.startswith(tags.WORKSPACE) for tag in run["tags"]) for run in (first, second)]
        assert current == [True, False]

    def test_another_drawing_is_no_other_state(self, images: Images) -> None:
        record(images)
        reconcile.reconcile()
        (before,) = contents()
        record(images, render=5)
        reconcile.reconcile()
        (after,) = contents()
        assert after["id"] == before["id"]
        assert after["tags"]["render.examples"] == "5"
        assert after["files"] != before["files"]
        assert after["metrics"] == before["metrics"]

    def test_whatever_call_is_the_last_the_next_time_completes_the_run(
        self, images: Images, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        record(images)
        whole, needed = self.mirror_with(monkeypatch, calls=1000)
        assert needed > len(CHANGES)
        for calls in range(needed):
            shutil.rmtree("mlruns")
            shutil.copy(self.empty(), "mlflow.db")
            assert self.mirror_with(monkeypatch, calls=calls) == ([], calls)
            assert self.mirror_with(monkeypatch, calls=1000)[0] == whole, f"after {calls} calls"

    @staticmethod
    def empty() -> Path:
        return Path("empty.db")

    @staticmethod
    def mirror_with(monkeypatch: pytest.MonkeyPatch, calls: int) -> tuple[list[dict[str, Any]], int]:
        """Mirror, and die before the call of MLflow after `calls` ones that change the store: the runs, the calls."""
        if not Path("empty.db").exists():
            shutil.copy("mlflow.db", "empty.db")
        left = calls

        def counted(method: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any, **options: Any) -> Any:
                nonlocal left
                if not left:
                    raise KeyboardInterrupt
                left -= 1
                return method(*arguments, **options)

            return call

        with monkeypatch.context() as patch:
            for name in CHANGES:
                patch.setattr(MlflowClient, name, counted(getattr(MlflowClient, name)))
            try:
                reconcile.reconcile()
            except KeyboardInterrupt:
                return [], calls
        runs = contents()
        for run in runs:
            del run["id"]
            run["outputs"] = [str(len(run["outputs"]))]
            run["models"] = [status for _, status in run["models"]]
        return runs, calls - left

    def test_what_another_clone_makes_meanwhile_is_taken(self, images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
        record(images)
        client, known = MlflowClient, MlflowClient.get_experiment_by_name

        def by_name(self: MlflowClient, name: str) -> Any:
            if found := known(self, name):
                return found
            self.create_experiment(name, artifact_location=Path("mlruns").resolve().as_uri())
            return None

        def none_yet(self: MlflowClient, _: str) -> list[Any]:
            MlflowClient(self.tracking_uri).create_registered_model(registry.REGISTERED)
            return []

        monkeypatch.setattr(client, "get_experiment_by_name", by_name)
        monkeypatch.setattr(client, "search_registered_models", none_yet)
        reconcile.reconcile()
        (run,) = contents()
        assert run["status"] == "FINISHED"

    def test_an_edit_of_the_params_is_no_part_of_the_recorded_state(self, images: Images) -> None:
        record(images)
        Path("params.yaml").write_text("seed: 42\ntrain: {epochs: 3}\nrender: {examples: 12}\n")
        with pytest.raises(
            UserError, match=r"params.yaml: expected .*train.epochs.* as dvc.lock has it, found an edit"
        ):
            read()

    def test_an_edit_of_a_knob_is_refused_as_well(self, images: Images) -> None:
        record(images)
        given = json.loads(Path("params.yaml").read_text())
        Path("params.yaml").write_text(json.dumps(given | {"render": {"examples": 77}}))
        with pytest.raises(UserError, match=r"params.yaml: expected render.examples as dvc.lock has it, found an edit"):
            read()

    def test_without_the_code_that_made_a_state_no_commit_is_named(self, images: Images) -> None:
        record(images)
        Path("code.py").write_text("as it was\n")
        lock = json.loads(Path("dvc.lock").read_text())
        lock["stages"]["train"]["deps"].append({"path": "code.py", "md5": md5(Path("code.py"))})
        Path("dvc.lock").write_text(json.dumps(lock))
        command("git", "init", "-q", cwd=Path())
        command("git", "add", "code.py", cwd=Path())
        command("git", "commit", "-qm", "Start", cwd=Path())
        Path("code.py").write_text("edited since\n")
        reconcile.reconcile()
        assert tags.COMMIT not in contents()[0]["tags"]

    def test_a_deleted_experiment_is_one_line_that_says_how_to_restore_it(self, images: Images) -> None:
        record(images)
        reconcile.reconcile()
        client = MlflowClient(f"sqlite:///{Path('mlflow.db').resolve()}")
        client.delete_experiment(client.get_experiment_by_name(store.EXPERIMENT).experiment_id)
        with pytest.raises(UserError, match="'autoencoder' was deleted in MLflow; `mlflow experiments restore"):
            reconcile.reconcile()

    def test_track_all_tracks_the_workspace_and_names_the_states_that_could_not_be_tracked(
        self, images: Images, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(_: str) -> None:
            raise UserError("the reason")

        record(images)
        monkeypatch.setattr(history, "states", lambda: ["0123456789"])
        monkeypatch.setattr(history, "checked_out", fail)
        done = CliRunner().invoke(cli.main, ["track", "--all"])
        assert done.exit_code == 1
        said = [line for line in done.stderr.splitlines() if "INFO mlflow" not in line]
        assert said == ["0123456: the reason", "Error: 0123456: not tracked, for the reasons above"]
        assert [run["status"] for run in contents()] == ["FINISHED"]

    def test_track_all_names_in_one_line_the_states_whose_outputs_are_nowhere_and_succeeds(
        self, images: Images, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def gone(_: str) -> None:
            raise history.GoneError("nowhere")

        record(images)
        monkeypatch.setattr(history, "states", lambda: ["0123456789", "9876543210"])
        monkeypatch.setattr(history, "checked_out", gone)
        done = CliRunner().invoke(cli.main, ["track", "--all"])
        assert done.exit_code == 0
        said = [line for line in done.stderr.splitlines() if "INFO mlflow" not in line]
        assert [line.rpartition(": ")[2] for line in said] == ["0123456, 9876543"]

    def test_which_run_fails_as_long_as_no_run_is_whole(self, images: Images) -> None:
        def which_run() -> tuple[int, str]:
            done = CliRunner().invoke(cli.main, ["which-run"])
            return done.exit_code, done.output

        record(images)
        assert which_run() == (1, "Error: no MLflow run holds this state; autoencoder track\n")
        tracked = reconcile.reconcile()
        assert which_run() == (0, f"{tracked.run_id} {tracked.name!r}\n{tracked.link}\n")
        client = MlflowClient(f"sqlite:///{Path('mlflow.db').resolve()}")
        client.delete_tag(tracked.run_id, tags.NOTE)
        client.delete_registered_model(registry.REGISTERED)
        status, said = which_run()
        assert status == 1
        assert said.endswith("Error: the run lacks tags, registration; autoencoder track\n")

    def test_an_altered_output_is_refused(self, images: Images) -> None:
        record(images)
        write_json(paths.EVALUATION, {})
        with pytest.raises(UserError, match=r"^metrics/evaluation.json: expected the file of dvc.lock"):
            read()

    def test_a_dead_server_is_one_line_without_its_password(
        self, images: Images, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:1")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        with pytest.raises(UserError, match="Nothing is lost") as caught:
            Store()
        assert "secret" not in str(caught.value)
        assert "\n" not in str(caught.value)


CHANGES = [
    "create_experiment",
    "create_run",
    "restore_run",
    "set_logged_model_tags",
    "set_registered_model_tag",
    "log_batch",
    "log_inputs",
    "log_artifacts",
    "log_text",
    "set_tag",
    "create_logged_model",
    "log_model_artifacts",
    "finalize_logged_model",
    "log_outputs",
    "create_registered_model",
    "create_model_version",
    "set_registered_model_alias",
    "set_terminated",
]


def test_an_export_that_fails_is_one_line(images: Images, capfd: pytest.CaptureFixture[str]) -> None:
    record(images)
    paths.IMAGES.unlink()
    with pytest.raises(UserError, match=r"^the model could not be exported: data/images.safetensors: .*dvc repro"):
        reconcile.reconcile()
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.slow
def test_the_model_answers_in_a_process_without_this_project(images: Images) -> None:
    record(images)
    reconcile.reconcile()
    x = scale(images.test)
    np.save("x.npy", x.numpy())
    program = f"""
import sys
sys.modules["autoencoder"] = None
import mlflow, numpy
mlflow.set_tracking_uri("sqlite:///mlflow.db")
model = mlflow.pyfunc.load_model("models:/{registry.REGISTERED}@{registry.CHAMPION}")
numpy.savez("answer.npz", **model.predict(numpy.load("x.npy")))
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True)
    model, _ = load_model()
    answer = np.load("answer.npz")
    with torch.no_grad():
        np.testing.assert_allclose(answer["code"], model.encode(x), atol=1e-6)
        np.testing.assert_allclose(answer["reconstruction"], model(x), atol=1e-6)


@pytest.mark.slow
def test_the_champion_is_served_with_codes_and_reconstructions_and_says_what_is_wrong_with_bad_input(
    images: Images,
) -> None:
    record(images)
    reconcile.reconcile()
    x = scale(images.test)
    command = ["mlflow", "models", "serve", "-m", f"models:/{registry.REGISTERED}@{registry.CHAMPION}"]
    with serving([*command, "--env-manager", "local"], Path(), MLFLOW_TRACKING_URI="sqlite:///mlflow.db") as url:
        status, answer = invoke(url, {"inputs": x.tolist()})
        assert status == 200
        model, _ = load_model()
        with torch.no_grad():
            np.testing.assert_allclose(answer["predictions"]["code"], model.encode(x), atol=1e-6)
            np.testing.assert_allclose(answer["predictions"]["reconstruction"], model(x), atol=1e-6)
        for bad in ({"inputs": x[:, :5].tolist()}, {"inputs": "seven"}, {"pictures": []}):
            status, answer = invoke(url, bad)
            assert 400 <= status < 500
            assert len(answer["message"]) > 20


def invoke(url: str, body: dict[str, Any]) -> tuple[int, Any]:
    """The HTTP status and the answer of a served model."""
    headers = {"Content-Type": "application/json"}
    try:
        with urlopen(Request(f"{url}/invocations", json.dumps(body).encode(), headers), timeout=30) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        with error:
            return error.code, json.load(error)


def train(error: BaseException | None = None, epochs: int = 2, code: str | None = None) -> Path:
    """Write the journal of a training of the state in dvc.lock that ends after `epochs`, or in `error`.

    It is trained by the recorded code, or by another `code`.
    """
    stage = lock.recorded()["train"]
    params = {"seed": stage.params["seed"], "data.name": "digits", "render.examples": 10}
    params |= {f"train.{name}": value for name, value in PARAMS["train"].items()}
    key = identity.key(params, stage.deps[str(paths.IMAGES)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal.Journal, "_follow", lambda _: None)
        with (
            suppress(UserError, SystemExit),
            journal.Journal(key, code or stage.code, params, {"device": "cpu"}, print) as notes,
        ):
            for epoch in range(1, epochs + 1):
                notes.note([step for step in STEPS if step.epoch <= epoch], EPOCHS[:epoch])
            if error:
                raise error
    return notes.path


@pytest.mark.usefixtures("quick_export")
class TestReplay:
    @pytest.mark.parametrize(
        ("error", "status"),
        [(None, "FINISHED"), (UserError("training diverged"), "FAILED"), (SystemExit(143), "KILLED")],
    )
    def test_a_run_says_how_its_training_ended(self, images: Images, error: BaseException | None, status: str) -> None:
        record(images)
        path = train(error)
        reconcile.carry(Store(), path)
        (run,) = contents()
        assert run["status"] == status
        assert run["metrics"]["test/mse"] == [(1, 0.4), (2, 0.25)]
        assert run["tags"].get(tags.ERROR, "None").endswith(str(error))
        assert run["tags"]["machine.device"] == "cpu"
        assert not path.exists()

    def test_the_model_of_a_followed_training_is_logged_once(self, images: Images) -> None:
        record(images)
        follower.log_model(Store())
        assert contents() == []  # there is no run of this model
        reconcile.carry(Store(), train())
        follower.log_model(Store())
        (run,) = contents()
        assert len(run["outputs"]) == 1
        follower.log_model(Store())
        reconcile.reconcile()
        assert [found["models"] for found in contents()] == [run["models"]]

    def test_the_program_of_another_training_that_ended_meanwhile_is_not_logged(
        self, images: Images, monkeypatch: pytest.MonkeyPatch, exported: Path
    ) -> None:
        def slow() -> Path:
            record(images, weights=1)
            return exported

        record(images)
        reconcile.carry(Store(), train())
        monkeypatch.setattr(export, "begun", lambda: nullcontext(slow))
        follower.log_model(Store())
        (run,) = contents()
        assert run["models"] == []

    def test_a_run_says_where_it_comes_from(self, images: Images) -> None:
        record(images)
        command("git", "init", "-q", cwd=Path())
        Path("notes.txt").write_text("clean\n")
        command("git", "add", "notes.txt", cwd=Path())
        command("git", "commit", "-qm", "Start", cwd=Path())
        Path("notes.txt").write_text("changed, from https://me:secret@example.org/data?password=secret\n")
        Path("src").mkdir()
        Path("src/new.py").write_text("new code\n")
        Path("password.txt").write_text("secret\n")
        path = train()
        began = json.loads(path.read_text().splitlines()[0])["began"]
        reconcile.carry(Store(), path)
        reconcile.reconcile()
        client = MlflowClient(f"sqlite:///{Path('mlflow.db').resolve()}")
        (found,) = client.search_runs(["1"])
        assert found.info.start_time == began
        assert found.info.end_time >= began
        assert (
            found.data.tags.items()
            >= {
                "mlflow.source.git.commit": command("git", "rev-parse", "HEAD", cwd=Path()).stdout.strip(),
                "autoencoder.dirty": "true",
                "autoencoder.started_by": "by hand",
                "machine.device": "cpu",
                "version.python": platform.python_version(),
                "version.mlflow": metadata.version("mlflow"),
            }.items()
        )
        assert float(found.data.tags[tags.SECONDS]) >= 0
        client.download_artifacts(found.info.run_id, "uncommitted.diff", ".")
        diff = Path("uncommitted.diff").read_text()
        assert "+changed, from https://example.org/data" in diff
        assert "+new code" in diff
        assert "secret" not in diff

    def test_no_password_reaches_a_tag(self, images: Images) -> None:
        record(images)
        reconcile.carry(Store(), train(UserError("no answer from https://me:secret@host")))
        assert contents()[0]["tags"][tags.ERROR] == "UserError: no answer from https://host"

    def test_a_killed_trainings_journal_without_an_end_is_a_killed_run(self, images: Images) -> None:
        record(images)
        path = train()
        whole = path.read_text().splitlines(keepends=True)
        path.write_text("".join(whole[:-1]) + whole[-1][:20])
        reconcile.carry(Store(), path)
        assert [run["status"] for run in contents()] == ["KILLED"]

    def test_a_killed_run_whose_results_are_there_after_all_is_finished_without_an_error(self, images: Images) -> None:
        record(images)
        reconcile.carry(Store(), train(SystemExit(137)))
        reconcile.reconcile()
        (run,) = contents()
        assert run["status"] == "FINISHED"
        assert tags.ERROR not in run["tags"]

    def test_a_journal_read_later_tells_who_started_the_training_and_from_which_code(
        self, images: Images, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        record(images, seed=1)
        Path("notes.txt").write_text("clean\n")
        command("git", "init", "-q", cwd=Path())
        command("git", "add", "notes.txt", cwd=Path())
        command("git", "commit", "-qm", "Start", cwd=Path())
        Path("notes.txt").write_text("changed\n")
        with monkeypatch.context() as patch:
            patch.setenv("DVC_EXP_NAME", "wider")
            train()
        Path("notes.txt").write_text("clean\n")
        record(images, seed=2)
        monkeypatch.setenv("DVC_EXP_NAME", "later")
        reconcile.reconcile()
        runs = {run["params"]["seed"]: run["tags"] for run in contents()}
        assert {seed: found[tags.STARTED_BY] for seed, found in runs.items()} == {
            "1": "dvc exp run wider",
            "2": "dvc exp run later",
        }
        assert {seed: found[tags.DIRTY] for seed, found in runs.items()} == {"1": "true", "2": "false"}

    def test_the_journal_of_another_training_does_not_take_the_run_of_mlflow_run(
        self, images: Images, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        record(images, seed=1)
        train()
        record(images, seed=2)
        empty = MlflowClient(f"sqlite:///{Path('mlflow.db').resolve()}").create_run("0").info.run_id
        monkeypatch.setenv("MLFLOW_RUN_ID", empty)
        assert reconcile.reconcile().run_id == empty
        assert len(contents()) == 2

    def test_a_run_of_mlflow_run_that_is_in_another_store_is_not_waited_for(
        self, images: Images, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        record(images)
        monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
        reconcile.reconcile()
        assert [run["status"] for run in contents()] == ["FINISHED"]

    def test_a_resumed_training_goes_on_in_its_run(self, images: Images) -> None:
        record(images)
        reconcile.carry(Store(), train(SystemExit(143), epochs=1))
        reconcile.carry(Store(), train())
        (run,) = contents()
        assert run["status"] == "FINISHED"
        assert tags.ERROR not in run["tags"]
        assert run["metrics"]["test/mse"] == [(1, 0.4), (2, 0.25)]
        assert run["metrics"]["train/step_mse"] == [(0, 0.9), (20, 0.6), (40, 0.5), (60, 0.4)]

    def test_a_training_that_lives_is_left_to_its_follower(self, images: Images) -> None:
        record(images)
        path = train()
        with path.open() as writing:
            fcntl.flock(writing, fcntl.LOCK_EX)
            reconcile.carry_left(Store())
            assert path.exists()
            assert contents() == []
        reconcile.carry_left(Store())
        assert not path.exists()
        assert [run["status"] for run in contents()] == ["FINISHED"]

    def test_trainings_of_other_states_are_told_too(self, images: Images) -> None:
        record(images, seed=1)
        train(UserError("training diverged"))
        record(images, seed=2)
        reconcile.reconcile()
        failed, finished = contents()
        assert (failed["status"], finished["status"]) == ("FAILED", "FINISHED")
        assert journal.left() == []

    @pytest.mark.parametrize("content", [b"", b"\0" * 4096, b'{"key"', b"null\n", b'{"key": "another version"}\n'])
    def test_a_damaged_journal_says_nothing_and_is_removed(self, images: Images, content: bytes) -> None:
        record(images)
        train().write_bytes(content)
        reconcile.reconcile()
        assert len(contents()) == 1
        assert journal.left() == []

    def test_a_run_whose_killed_training_went_otherwise_is_not_continued(
        self, images: Images, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        record(images)
        with monkeypatch.context() as patch:
            patch.setitem(globals(), "EPOCHS", [Epoch(1, 0.6, 0.5)])
            reconcile.carry(Store(), train(SystemExit(137), epochs=1))
        reconcile.carry(Store(), train(SystemExit(137), epochs=1))
        reconcile.carry(Store(), train())
        reconcile.reconcile()
        first, second = contents()
        assert (first["status"], first["metrics"]["test/mse"]) == ("KILLED", [(1, 0.5)])
        assert (second["status"], second["metrics"]["test/mse"]) == ("FINISHED", [(1, 0.4), (2, 0.25)])

    def test_a_record_that_contradicts_a_killed_run_is_another_run(self, images: Images) -> None:
        record(images)
        reconcile.carry(Store(), train(SystemExit(137), epochs=1))
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(globals(), "EPOCHS", [Epoch(1, 0.6, 0.5), EPOCHS[1]])
            record(images)
        reconcile.reconcile()
        assert [run["status"] for run in contents()] == ["KILLED", "FINISHED"]
        assert contents()[1]["metrics"]["test/mse"] == [(1, 0.5), (2, 0.25)]

    def test_a_followed_training_is_completed_in_its_run(self, images: Images) -> None:
        record(images)
        reconcile.carry(Store(), train())
        reconcile.reconcile()
        (run,) = contents()
        assert run["metrics"]["train/mse"] == [(1, 0.5), (2, 0.3)]
        assert len(run["outputs"]) == 1
        assert tags.REPRODUCED not in run["tags"]

    def test_the_same_model_again_is_noted_as_reproduced(self, images: Images) -> None:
        record(images)
        reconcile.carry(Store(), train())
        reconcile.reconcile()
        (before,) = contents()
        reconcile.carry(Store(), train())
        reconcile.reconcile()
        (after,) = contents()
        assert after["tags"].pop(tags.REPRODUCED).startswith("bit for bit, 20")
        assert after == before

    @pytest.mark.parametrize("live", [True, False])
    def test_other_code_that_gives_the_same_model_is_a_proof_and_no_new_run(self, images: Images, live: bool) -> None:
        record(images)
        reconcile.carry(Store(), train())
        reconcile.reconcile()
        record(images, code="edited")
        if live:
            reconcile.carry(Store(), train())
        reconcile.reconcile()
        reconcile.reconcile()
        (run,) = contents()
        assert run["tags"][tags.CODE] == lock.recorded()["train"].code
        assert run["tags"][tags.REPRODUCED].startswith("bit for bit, 20" if live else "bit for bit, by other code")
        assert mirror.which(Store(), read())[1] == []

    @pytest.mark.parametrize("live", [True, False])
    def test_other_code_that_gives_another_model_is_a_second_run_without_a_warning(
        self, images: Images, live: bool
    ) -> None:
        record(images)
        reconcile.carry(Store(), train())
        reconcile.reconcile()
        record(images, weights=1, code="edited")
        if live:
            reconcile.carry(Store(), train())
        assert "warning" not in str(reconcile.reconcile())
        first, second = contents()
        assert first["tags"][tags.MODEL_MD5] != second["tags"][tags.MODEL_MD5]
        assert tags.DIFFERS not in first["tags"] | second["tags"]

    def test_the_same_code_that_gave_another_model_is_warned_of_from_the_record_alone(self, images: Images) -> None:
        record(images)
        first = reconcile.reconcile().run_id
        record(images, weights=1)
        warning = f"warning: another training of this state gave another model: run {first}"
        assert str(reconcile.reconcile()).startswith(warning)

    def test_a_run_of_version_1_is_taken_over(self, images: Images) -> None:
        record(images)
        run_id = reconcile.reconcile().run_id
        store = Store()
        for tag in (tags.STATE, tags.CODE):
            store.client.delete_tag(run_id, tag)
        store.client.set_tag(run_id, tags.TRAINING_KEY, "0" * 64)
        assert reconcile.reconcile().run_id == run_id
        assert len(contents()) == 1

    def test_an_interrupted_run_of_version_1_is_taken_over_by_the_next_training(self, images: Images) -> None:
        record(images)
        reconcile.carry(Store(), train(SystemExit(137), epochs=1))
        (run,) = contents()
        store = Store()
        for tag in (tags.STATE, tags.CODE):
            store.client.delete_tag(run["id"], tag)
        store.client.set_tag(run["id"], tags.TRAINING_KEY, "0" * 64)
        reconcile.carry(store, train())
        assert [(run["id"], "FINISHED")] == [(found["id"], found["status"]) for found in contents()]

    def test_the_same_journal_again_proves_nothing(self, images: Images) -> None:
        record(images)
        path = train()
        text = path.read_text()
        reconcile.carry(Store(), path)
        path.write_text(text)
        reconcile.carry(Store(), path)
        (run,) = contents()
        assert tags.REPRODUCED not in run["tags"]

    def test_another_model_of_the_same_state_is_a_new_run_and_both_say_so(
        self, images: Images, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def cut_short(*_: object) -> None:
            raise KeyboardInterrupt

        record(images)
        reconcile.carry(Store(), train())
        reconcile.reconcile()
        record(images, weights=1)
        path, store = train(), Store()
        with monkeypatch.context() as patch:
            patch.setattr(MlflowClient, "set_terminated", cut_short)
            with pytest.raises(KeyboardInterrupt):
                reconcile.carry(store, path)
        reconcile.carry(store, path)
        tracked = reconcile.reconcile()
        first, second = contents()
        assert [first["status"], second["status"]] == ["FINISHED", "FINISHED"]
        assert str(tracked).startswith(f"warning: another training of this state gave another model: run {first['id']}")
        assert first["tags"][tags.DIFFERS] == second["id"]
        assert second["tags"][tags.DIFFERS] == first["id"]
        assert first["tags"][tags.MODEL_MD5] != second["tags"][tags.MODEL_MD5]
        assert second["metrics"]["test/mse"] == [(1, 0.4), (2, 0.25)]


@pytest.mark.usefixtures("quick_export")
class TestRegistry:
    def champion(self) -> str:
        client = MlflowClient(f"sqlite:///{Path('mlflow.db').resolve()}")
        return str(client.get_model_version_by_alias(registry.REGISTERED, registry.CHAMPION).run_id)

    def test_the_champion_is_the_best_on_the_images_that_were_tracked_last(
        self, images: Images, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ids = []
        for seed, mse in ((1, 0.3), (2, 0.4), (3, 0.2), (4, 0.1)):
            monkeypatch.setitem(EVALUATION, "test", {"mse": mse})
            record(
                images if seed < 4 else replace(images, train=images.train[1:], train_labels=images.train_labels[1:]),
                seed=seed,
            )
            ids.append(reconcile.reconcile().run_id)
            assert self.champion() == ids[[0, 0, 2, 3][seed - 1]]

    def test_a_champion_whose_run_was_deleted_is_followed_by_the_best_that_is_left(
        self, images: Images, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ids = []
        for seed, mse in ((1, 0.1), (2, 0.2), (3, 0.3)):
            monkeypatch.setitem(EVALUATION, "test", {"mse": mse})
            record(images, seed=seed)
            ids.append(reconcile.reconcile().run_id)
        assert self.champion() == ids[0]
        MlflowClient(f"sqlite:///{Path('mlflow.db').resolve()}").delete_run(ids[0])
        assert mirror.which(Store(), read())[1] == ["registration"]
        reconcile.reconcile()
        assert self.champion() == ids[1]

    def test_every_set_has_its_champion_and_an_alias_that_somebody_moved_stays(
        self, images: Images, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client = MlflowClient(f"sqlite:///{Path('mlflow.db').resolve()}")

        def aliases() -> dict[str, int]:
            found = client.get_registered_model(registry.REGISTERED).aliases
            return {alias: int(version) for alias, version in found.items()}

        other = replace(images, train=images.train[1:], train_labels=images.train_labels[1:])
        for name, data, mse in (("digits", images, 0.3), ("my birds", other, 0.4), ("digits", images, 0.3)):
            monkeypatch.setitem(EVALUATION, "test", {"mse": mse})
            monkeypatch.setitem(PARAMS, "data", {"name": name})
            record(data)
            reconcile.reconcile()
        assert aliases() == {"champion": 1, "champion-digits": 1, "champion-my-birds": 2}
        client.set_registered_model_alias(registry.REGISTERED, "champion", "2")
        assert "note: champion stays at version 2, where somebody moved it" in str(reconcile.reconcile())
        assert aliases()["champion"] == 2
        client.delete_registered_model_alias(registry.REGISTERED, "champion")
        assert "note" not in str(reconcile.reconcile())
        assert aliases()["champion"] == 1

    def test_a_run_of_the_workspaces_state_is_found_with_what_it_lacks(self, images: Images) -> None:
        record(images)
        assert mirror.which(Store(), read()) == (None, [])
        reconcile.carry(Store(), train())
        run, lacking = mirror.which(Store(), read())
        assert run is not None
        assert set(lacking) == {"data", "params", "tags", "files", "figures", "model", "registration"}
        reconcile.reconcile()
        assert mirror.which(Store(), read())[1] == []
