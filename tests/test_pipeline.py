"""The whole pipeline through the real git and dvc, on digits, in a repository of its own.

The tests of this file run in their order: each starts from the state that the one before has left.
"""

import json
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from conftest import run

ALL = ["download", "pca", "train", "evaluate", "render", "report", "track"]


class Repository:
    """The temporary clone, as a user at its command line sees it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.params = folder / "params.yaml"

    def dvc(self, *arguments: str, check: bool = True) -> str:
        done = run("dvc", *arguments, cwd=self.folder, check=check)
        return done.stdout + done.stderr

    def repro(self, *arguments: str) -> dict[str, str]:
        """What `dvc repro` did with each stage: run, restored (from the run-cache) or skipped."""
        output = self.dvc("repro", *arguments)
        done = dict.fromkeys(re.findall(r"Stage '(\w+)' didn't change, skipping", output), "skipped")
        done |= dict.fromkeys(re.findall(r"Running stage '(\w+)'", output), "run")
        done |= dict.fromkeys(re.findall(r"Stage '(\w+)' is cached - skipping run", output), "restored")
        return done

    def edit(self, old: str, new: str) -> None:
        text = self.params.read_text()
        assert old in text
        self.params.write_text(text.replace(old, new))

    def runs(self) -> dict[str, dict[str, str]]:
        """The tags of each run in the MLflow store."""
        found: dict[str, dict[str, str]] = {}
        with closing(sqlite3.connect(self.folder / "mlflow.db")) as store:  # MLflow would keep a deleted one open
            for run_id, name, value in store.execute("select run_uuid, key, value from tags"):
                found.setdefault(run_id, {})[name] = value
        return found

    def contents(self) -> dict[str, bytes]:
        folders = ("data", "models", "metrics", "figures")
        paths = [path for folder in folders for path in (self.folder / folder).rglob("*") if path.is_file()]
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def repository(clone: Path) -> Repository:
    return Repository(clone)


@pytest.fixture(scope="module")
def first(repository: Repository) -> dict[str, bytes]:
    """The results of the first run, which is committed."""
    assert repository.repro() == dict.fromkeys(ALL, "run")
    run("git", "commit", "-qam", "First results", cwd=repository.folder)
    return repository.contents()


def test_the_first_run_leaves_nothing_that_git_would_have_to_know(
    repository: Repository, first: dict[str, bytes]
) -> None:
    assert {"models/autoencoder.safetensors", "metrics/evaluation.json", "figures/reconstructions.png"} <= first.keys()
    assert run("git", "status", "--porcelain", cwd=repository.folder).stdout == ""


def test_a_model_with_a_version_is_brought_from_another_folder(
    repository: Repository, first: dict[str, bytes], tmp_path: Path
) -> None:
    run("git", "tag", "-a", "autoencoder@v1.0.0", "-m", "The first", cwd=repository.folder)
    run("dvc", "artifacts", "get", str(repository.folder), "autoencoder", cwd=tmp_path)
    assert (tmp_path / "autoencoder.safetensors").read_bytes() == first["models/autoencoder.safetensors"]


def test_nothing_changed_runs_nothing(repository: Repository, first: dict[str, bytes]) -> None:
    assert repository.repro() == dict.fromkeys(ALL, "skipped")
    assert repository.contents() == first


@pytest.mark.slow
def test_running_everything_again_gives_the_same_bytes_and_the_run_says_so(
    repository: Repository, first: dict[str, bytes]
) -> None:
    assert repository.repro("--force", "--no-run-cache") == dict.fromkeys(ALL, "run")
    assert repository.contents() == first
    (tags,) = repository.runs().values()
    assert tags["autoencoder.reproduced"].startswith("bit for bit")
    assert run("git", "status", "--porcelain", cwd=repository.folder).stdout == ""


@pytest.mark.usefixtures("first")
def test_a_workspace_whose_tracking_was_removed_tracks_again_and_nothing_else(repository: Repository) -> None:
    shutil.rmtree(repository.folder / "mlruns")
    (repository.folder / "mlflow.db").unlink()
    assert repository.repro() == dict.fromkeys(ALL, "skipped") | {"track": "run"}
    ((run_id, tags),) = repository.runs().items()
    assert tags["autoencoder.started_by"] == "dvc repro"
    assert run_id in run("autoencoder", "which-run", cwd=repository.folder).stdout
    assert run("git", "status", "--porcelain", cwd=repository.folder).stdout == ""


def test_a_figures_knob_draws_and_tracks_again_and_trains_nothing(
    repository: Repository, first: dict[str, bytes]
) -> None:
    repository.edit("examples: 10", "examples: 12")
    rerun = {"render": "run", "track": "run"}
    assert repository.repro() == dict.fromkeys(ALL, "skipped") | rerun
    changed = {path for path, content in repository.contents().items() if content != first[path]}
    assert "figures/reconstructions.png" in changed
    assert all(path.startswith("figures/") for path in changed)
    repository.edit("examples: 12", "examples: 10")


def test_going_back_to_params_that_were_run_restores_their_results_and_their_run(
    repository: Repository, first: dict[str, bytes]
) -> None:
    repository.edit("learning_rate: 0.03162277660168379", "learning_rate: 0.1")
    assert repository.repro() == {
        "download": "skipped", "pca": "skipped", "train": "run", "evaluate": "run", "render": "run", "report": "run",
        "track": "run",
    }  # fmt: skip
    assert repository.contents()["models/autoencoder.safetensors"] != first["models/autoencoder.safetensors"]
    difference = json.loads(repository.dvc("metrics", "diff", "--json"))
    assert difference["metrics/evaluation.json"]["test.mse"]["diff"] < 0
    repository.edit("learning_rate: 0.1", "learning_rate: 0.03162277660168379")
    restored = repository.repro()
    assert restored.pop("track") == "run"  # nothing restores it: the store is to say what is true
    assert restored == {
        "download": "skipped", "pca": "skipped", "train": "restored", "evaluate": "restored", "render": "restored",
        "report": "restored",
    }  # fmt: skip
    assert repository.contents() == first
    assert len(repository.runs()) == 2


def test_a_state_that_differs_in_its_code_alone_is_tracked_as_well(
    repository: Repository, first: dict[str, bytes]
) -> None:
    path, lock = (repository.folder / name for name in ("src/autoencoder/training/steps.py", "dvc.lock"))
    code = path.read_text()
    edited = f"{code}# another training key\n"
    path.write_text(edited)
    assert repository.repro() == dict.fromkeys(ALL, "skipped") | {"train": "run", "track": "run"}
    assert repository.contents() == first
    run("autoencoder", "which-run", cwd=repository.folder)
    recorded = lock.read_text()
    path.write_text(code)
    repository.repro()
    path.write_text(edited)
    lock.write_text(recorded)  # as `git pull` brings it, together with the code
    assert repository.repro() == dict.fromkeys(ALL, "skipped") | {"track": "run"}
    path.write_text(code)
    repository.repro()


def test_a_failed_edit_loses_nothing(repository: Repository, first: dict[str, bytes]) -> None:
    repository.edit("learning_rate: 0.03162277660168379", "learning_rate: 1000")
    output = repository.dvc("repro", check=False)
    assert "Error: training diverged: expected a finite loss" in output
    assert "Traceback" not in output
    repository.edit("learning_rate: 1000", "learning_rate: 0.03162277660168379")
    repository.dvc("checkout")
    assert repository.contents() == first


def test_an_experiment_runs_with_the_params_it_is_given(repository: Repository, first: dict[str, bytes]) -> None:
    repository.dvc("exp", "run", "-n", "wider", "-S", "model.code_dimensions=40", "-S", "train.epochs=1", "render")
    description = json.loads(repository.dvc("exp", "diff", "--json", "main", "wider"))
    assert description["params"]["params.yaml"]["model.code_dimensions"]["new"] == 40
    assert description["metrics"]["metrics/evaluation.json"]["pca.code_dimensions"]["new"] == 40
    run("git", "checkout", "-q", "params.yaml", "dvc.lock", cwd=repository.folder)
    repository.dvc("checkout")
    assert repository.contents() == first


def test_metrics_plots_and_the_graph_are_shown(repository: Repository, first: dict[str, bytes]) -> None:
    metrics = json.loads(repository.dvc("metrics", "show", "--json"))
    shown = metrics[""]["data"]["metrics/evaluation.json"]["data"]
    assert shown == json.loads(first["metrics/evaluation.json"])
    assert (repository.folder / repository.dvc("plots", "show").strip().removeprefix("file://")).is_file()
    graph = repository.dvc("dag", "--mermaid")
    assert all(stage in graph for stage in ALL)
