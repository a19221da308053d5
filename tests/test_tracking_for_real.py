"""The mirror behind the real pipeline: several at once, a team's server that dies, and what the browser shows.

The tests of this file run in their order: they share four experiments, computed once.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, read_to, run, start
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait
from servers import black_hole, free_port, postgresql, serving

from autoencoder.tracking import journal, tags, view
from autoencoder.tracking.client import MlflowClient

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),  # MLflow's own
    pytest.mark.filterwarnings("ignore:.*:ResourceWarning"),
]

RUNS = {
    "code=4": (4, 0.03162277660168379),
    "code=16 lr=0.1": (16, 0.1),
    "code=24 lr=0.05": (24, 0.05),
    "lr=0.01": (32, 0.01),
}
LONG = 1000  # epochs, whose lines are more than a pipe holds
SERVER = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}


@pytest.fixture(scope="module")
def folder(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository like a new clone."""
    path = tmp_path_factory.mktemp("real") / "repository"
    ignored = shutil.ignore_patterns("mlflow.db", "mlruns", "cache", ".autoencoder")
    return Path(shutil.copytree(clone, path, ignore=ignored))


def queue(folder: Path, prefix: str) -> None:
    """Run four experiments in DVC's queue with two workers, to their end."""
    for number, (dimensions, rate) in enumerate(RUNS.values()):
        edits = ["-S", f"model.code_dimensions={dimensions}", "-S", f"train.learning_rate={rate}"]
        run("dvc", "exp", "run", "--queue", "--name", f"{prefix}-{number}", *edits, cwd=folder)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}  # the workers keep them open
    subprocess.run(["dvc", "queue", "start", "-j", "2"], cwd=folder, check=True, **quiet)
    for _ in range(110):
        status = run("dvc", "queue", "status", cwd=folder).stdout
        if not re.search("Running|Queued", status):
            assert len(re.findall(f"{prefix}-.*Success", status)) == len(RUNS), status
            return
        time.sleep(10)  # asking costs seconds
    pytest.fail(status)


def complete(client: Any) -> dict[str, Any]:
    """The runs of a store by name, each checked to be whole."""
    everywhere = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(everywhere)
    for found in runs:
        assert found.info.status == "FINISHED"
        assert len(found.outputs.model_outputs) == 1
        assert len(client.get_metric_history(found.info.run_id, "test/mse")) == int(found.data.params["train.epochs"])
        assert found.data.metrics["test/final_mse"] > 0
        assert {file.path for file in client.list_artifacts(found.info.run_id)} >= {
            "dvc.lock",
            "figures",
            "params.yaml",
        }
    names = {
        re.sub("data=digits |epochs=2 |log_every=20", "", str(found.info.run_name)).strip(): found for found in runs
    }
    assert len(names) == len(runs)
    return names


def test_two_workers_of_dvcs_queue_make_four_complete_runs_in_one_fresh_store(folder: Path) -> None:
    queue(folder, "local")
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    assert complete(client).keys() == RUNS.keys()
    assert [experiment.artifact_location for experiment in client.search_experiments(order_by=["name ASC"])] == [
        str(folder / "mlruns" / "0"),
        (folder / "mlruns").as_uri(),
    ]


def test_an_empty_store_is_rebuilt_from_git_and_dvc_alone(folder: Path) -> None:
    def metrics(store: str, *started_by: str) -> dict[str, Any]:
        found = complete(MlflowClient(f"sqlite:///{store}"))
        assert sorted(run.data.tags[tags.STARTED_BY] for run in found.values()) == sorted(started_by)
        return {name: run.data.metrics for name, run in found.items()}

    before = metrics(f"{folder}/mlflow.db", *(f"dvc exp run local-{number}" for number in range(4)))
    run("dvc", "exp", "apply", "local-0", cwd=folder)
    for name in ("mlflow.db", "mlruns"):
        (folder / name).rename(folder.parent / name)
    done = run("autoencoder", "track", "--all", cwd=folder)
    assert done.stdout.count(": tracked\n") == len(RUNS), done.stdout
    gone = "their outputs are neither in DVC's cache nor in a remote"
    assert done.stderr.count(gone) == 1  # the clone began with one
    other_name = f"{folder}/./mlflow.db"  # MLflow keeps the first file open
    assert metrics(other_name, *["by hand"] * 4) == before
    shutil.rmtree(folder / "mlruns")
    for name in ("mlflow.db", "mlruns"):
        (folder.parent / name).rename(folder / name)
    assert run("git", "worktree", "list", cwd=folder).stdout.count("\n") == 1


def test_a_clone_that_pulls_the_results_tracks_them_without_training(folder: Path, tmp_path: Path) -> None:
    remote = ("dvc", "remote", "add", "--local", "-q", "-d", "team", str(tmp_path / "remote"))
    clone = tmp_path / "clone"
    run("dvc", "exp", "branch", "local-1", "shared", cwd=folder)
    run("git", "clone", "-q", "-b", "shared", str(folder), str(clone), cwd=tmp_path)
    run(*remote, cwd=folder)
    run("dvc", "exp", "apply", "local-1", cwd=folder)
    run("dvc", "push", "-q", cwd=folder)
    run(*remote, cwd=clone)
    run("dvc", "pull", "-q", cwd=clone)
    run("autoencoder", "track", cwd=clone)
    assert run("autoencoder", "which-run", cwd=clone).returncode == 0
    (tracked,) = complete(MlflowClient(f"sqlite:///{clone}/mlflow.db"))
    assert tracked == "code=16 lr=0.1"


@pytest.fixture
def browser() -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for argument in (
            "headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
            "disable-component-update", "disable-sync", f"user-data-dir={profile}", "window-size=1400,1400",
        ):  # fmt: skip
            options.add_argument(f"--{argument}")
        driver = webdriver.Chrome(options, webdriver.ChromeService("/usr/bin/chromedriver"))
        yield driver
        driver.quit()


def shows(browser: webdriver.Chrome, *texts: str) -> None:
    """Wait until the page shows `texts`, in their order."""

    def all_there(_: webdriver.Chrome) -> bool:
        page = browser.find_element(By.TAG_NAME, "body").text
        return re.search(".*".join(map(re.escape, texts)), page, re.DOTALL) is not None

    WebDriverWait(browser, 60).until(all_there, f"expected {texts}")


def test_the_browser_shows_the_runs_best_first_side_by_side_and_each_with_its_figures(
    folder: Path, browser: webdriver.Chrome
) -> None:
    runs = complete(MlflowClient(f"sqlite:///{folder}/mlflow.db"))
    ranked = sorted(runs.values(), key=lambda found: found.data.metrics["test/final_mse"])
    names = [str(found.info.run_name) for found in ranked]
    with serving(["autoencoder", "ui"], folder) as url:
        link = view.link(url, ranked[0].info.experiment_id)
        browser.get(link.replace("&compareRunsMode=CHART", ""))
        shows(browser, "best first", "test/final_mse", *(name[:20] for name in names))
        browser.get("about:blank")  # else the page would go on with what it shows
        browser.get(link)
        shows(browser, "test/mse", "test/final_mse", "test/ratio_to_optimum", "reconstructions")
        pictures = "img[src*='reconstructions'], img[src^='blob:']"
        WebDriverWait(browser, 60).until(lambda _: len(browser.find_elements(By.CSS_SELECTOR, pictures)) >= 2)
        browser.get(f"{url}/#/experiments/1/runs/{ranked[0].info.run_id}")
        shows(browser, names[0], "Test MSE", "times the best of its rank", "test/final_mse", "pca/directions_captured")


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with postgresql() as uri:
        yield uri


@pytest.fixture(scope="module")
def team(folder: Path, database: str) -> dict[str, Any]:
    """How to serve the database, with artifacts that go through the server."""
    command = ["mlflow", "server", "--workers", "2", "--artifacts-destination", str(folder.parent / "artifacts")]
    return {"command": command, "folder": folder.parent, "MLFLOW_BACKEND_STORE_URI": database, **SERVER}


def test_a_teams_server_holds_four_complete_runs_of_two_workers_at_once(
    folder: Path, team: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(**team) as url:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
        queue(folder, "team")
        assert complete(MlflowClient(url)).keys() == RUNS.keys()


def only_line(output: str) -> str:
    """The line of `output` that says what went wrong; there is no traceback."""
    assert "Traceback" not in output
    (line,) = [line for line in output.splitlines() if line.startswith("Error: ")]
    return line


def test_without_a_server_all_is_made_and_one_line_says_that_nothing_is_lost_and_what_to_type(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = folder / "params.yaml"
    with black_hole() as url:
        for seed, address in enumerate((url, f"http://127.0.0.1:{free_port()}")):
            monkeypatch.setenv("MLFLOW_TRACKING_URI", address.replace("//", "//me:secret@"))
            run("dvc", "exp", "apply", "local-0", cwd=folder)
            text = re.sub(r"epochs: \d+", f"epochs: {LONG}", params.read_text())
            params.write_text(re.sub(r"seed: \d+", f"seed: {seed}", text))
            repro = start("dvc", "repro", cwd=folder)
            hold_until_followed(repro)
            output, _ = repro.communicate(timeout=300)
            assert re.findall(r"Running stage '(\w+)'", output) == ["evaluate", "render", "report", "track"]
            line = only_line(output)
            assert line.startswith(f"Error: MLflow store {address}: ")
            assert line.endswith(
                "Nothing is lost: the results are in the workspace. Type `autoencoder track` when this is mended"
            )
            assert run("dvc", "status", "render", cwd=folder).stdout == "Data and pipelines are up to date.\n"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert re.findall(r"Running stage '(\w+)'", run("dvc", "repro", cwd=folder).stdout) == ["track"]
    run("dvc", "exp", "apply", "local-0", cwd=folder)


def test_a_server_that_dies_in_the_middle_of_training_costs_one_line_and_no_training(
    folder: Path, team: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    params = folder / "params.yaml"
    params.write_text(re.sub(r"epochs: \d+", f"epochs: {LONG}", params.read_text()))
    with serving(**team, port=port) as url:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
        repro = start("dvc", "repro", cwd=folder)
        hold_until_followed(repro)
        following = folder / ".autoencoder/journal"
        assert repro.stdout
        assert any(any(following.glob("*.log")) for _ in repro.stdout), "no follower was started"
        os.killpg(repro.pid, signal.SIGSTOP)  # in the middle of training; its follower goes on
        client = MlflowClient(url)
        wait_for(
            lambda: [run for run in client.search_runs(["1"]) if run.info.status == "RUNNING" and run.data.metrics]
        )
    os.killpg(repro.pid, signal.SIGCONT)
    output, _ = repro.communicate(timeout=300)
    assert repro.returncode != 0
    assert "Nothing is lost" in only_line(output)
    with serving(**team, port=port) as url:
        assert re.findall(r"Running stage '(\w+)'", run("dvc", "repro", cwd=folder).stdout) == ["track"]
        run("autoencoder", "which-run", cwd=folder)
        assert len(complete(MlflowClient(url))) == len(RUNS) + 1


def hold_until_followed(repro: "subprocess.Popen[str]") -> None:
    """Hold a training of `LONG` epochs by its full pipe until it is old enough for a follower."""
    read_to(repro, "Test  Epoch: 1 ")
    time.sleep(journal.SECONDS)


def wait_for(condition: Callable[[], object], seconds: float = 120) -> None:
    """Wait until `condition()` is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def test_a_training_alone_has_its_model_logged(clone: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(clone, tmp_path / "clone"))
    params = folder / "params.yaml"
    params.write_text(re.sub(r"epochs: \d+", f"epochs: {LONG}", params.read_text()))
    training = start("dvc", "repro", "train", cwd=folder)
    hold_until_followed(training)
    training.communicate(timeout=300)
    assert training.returncode == 0
    database = folder / "mlflow.db"
    wait_for(database.exists)
    client = MlflowClient(f"sqlite:///{database}")

    def logged() -> list[Any]:
        runs = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
        return [found for found in runs if found.outputs and found.outputs.model_outputs]

    wait_for(logged)
    (found,) = logged()
    assert found.info.status == "FINISHED"


def test_killed_reconcilers_leave_nothing_that_the_next_one_does_not_mend() -> None:
    run(sys.executable, "-W", "ignore", str(ROOT / "tests" / "kill_tracking.py"), "--kills", "3", cwd=ROOT)


@pytest.mark.parametrize("folders", ["one", "four"])
def test_four_processes_make_one_fresh_store_at_once(
    tmp_path: Path, folders: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    program = [sys.executable, "-W", "ignore", "-c", "from autoencoder.tracking.store import Store; Store()"]
    places = [tmp_path / (str(number) if folders == "four" else "one") for number in range(4)]
    for place in places:
        place.mkdir(exist_ok=True)
    processes = [subprocess.Popen(program, cwd=place) for place in places]
    assert [process.wait(120) for process in processes] == [0, 0, 0, 0]
    assert MlflowClient(f"sqlite:///{tmp_path}/mlflow.db").search_experiments()
