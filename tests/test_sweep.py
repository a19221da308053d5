"""Sweeps: what a file may ask for, what is known of a search that was stopped, and searches through the real dvc."""

import os
import re
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from conftest import ROOT, run

from autoencoder.errors import UserError
from autoencoder.sweep import description, engine, runner, study
from autoencoder.sweep.progress import Progress
from autoencoder.sweep.study import State

needs_optuna = pytest.mark.skipif(
    not (find_spec("optuna") and find_spec("distributed")), reason="requirements-sweep.lock is not installed"
)

GRID = """
method: grid
objective: validation/final_mse
set: {data: {name: digits}, train: {batch_size: 32, log_every: 20}}
search:
  model.code_dimensions: [4, 16]
  train.learning_rate: [0.01, 0.1]
rungs: {1: 4, 3: 1}
"""
RANDOM = """
method: random
objective: validation/final_mse
set: {data: {name: digits}}
search:
  model.code_dimensions: [4, 8, 16]
  train.learning_rate: {low: 0.001, high: 0.1, log: true}
states: 6
"""


def sweep(text: str) -> description.Sweep:
    Path("sweeps").mkdir(exist_ok=True)
    Path("sweeps/some.yaml").write_text(text)
    return description.load(Path("sweeps/some.yaml"))


@pytest.mark.parametrize("path", sorted((ROOT / "sweeps").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_sweeps_of_this_repository_are_right(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    loaded = description.load(path)
    assert path.read_text().startswith("# ")
    assert loaded.base["data.validation"] == 0.1


@pytest.mark.usefixtures("workspace")
@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "validation/final_mse",
            "test/final_mse",
            r"expected a figure under validation/, found 'test/final_mse': what is",
        ),
        ("method: grid", "method: grit", r"method: expected 'grid', 'random' or 'tpe', found 'grit' \(did you mean"),
        (
            "train.learning_rate:",
            "train.learning_rat:",
            r"search: expected params of params.yaml .*, train.learning_rat$",
        ),
        ("train.learning_rate:", "train.epochs:", r"search: expected params of params.yaml \(rungs have the epochs\)"),
        ("[0.01, 0.1]", "{low: 0.01, high: 0.1}", "grid expects a list"),
        ("rungs: {1: 4, 3: 1}", "states: 3", "as many states as the lists of values give, 4, found 3"),
        ("rungs: {1: 4, 3: 1}", "rungs: {1: 1, 3: 4}", "expected fewer states for more epochs"),
        ("rungs: {1: 4, 3: 1}", "rungs: {1: 4}\nstates: 4", "expected either states, rungs"),
        ("[4, 16]", "[4, a]", "model.code_dimensions: expected a valid integer, found 'a'"),
        ("name: digits", "nam: digits", "unknown key 'data.nam'"),
    ],
)
def test_a_wrong_sweep_is_one_line(old: str, new: str, expected: str) -> None:
    assert old in GRID
    with pytest.raises(UserError, match=expected) as error:
        sweep(GRID.replace(old, new))
    assert "\n" not in str(error.value)


@pytest.mark.usefixtures("workspace")
def test_a_grid_is_numbered_by_its_points_on_every_rung() -> None:
    first, second = sweep(GRID).ladder
    assert (list(first.numbers), list(second.numbers)) == ([1, 2, 3, 4], [5, 6, 7, 8])
    assert sweep(GRID).grid[2] == {"model.code_dimensions": 16, "train.learning_rate": 0.01}
    assert sweep(GRID).rung(7).epochs == 3


def test_without_optuna_one_line_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(
        UserError, match=r"^expected optuna, .*; uv pip install --require-hashes -r requirements-sweep.lock$"
    ):
        study.package()


def found(number: int, point: dict[str, object], value: float) -> State:
    return State(number, point, 2, value)


@needs_optuna
@pytest.mark.usefixtures("workspace")
@pytest.mark.parametrize("method", ["random", "tpe"])
def test_a_search_that_is_started_again_proposes_nothing_twice(method: str) -> None:
    asked = sweep(RANDOM.replace("random", method))
    searcher, points = study.Searcher(asked, []), []
    for number in (1, 2, 3):
        point = searcher.ask(number)
        assert point
        assert 0.001 <= point["train.learning_rate"] <= 0.1
        assert point["model.code_dimensions"] in (4, 8, 16)
        points.append(point)
        searcher.tell(found(number, point, 1 / number))
    again = study.Searcher(asked, [found(number, point, 1 / number) for number, point in enumerate(points, 1)])
    assert again.ask(4) == searcher.ask(4) not in points


@needs_optuna
@pytest.mark.usefixtures("workspace")
def test_a_space_of_few_points_is_exhausted_and_none_is_repeated() -> None:
    asked = sweep(GRID.replace("grid", "random"))
    searcher = study.Searcher(asked, [])
    points = [searcher.ask(number) for number in range(1, 6)]
    assert points[4] is None
    assert len({str(point) for point in points[:4]}) == 4


@needs_optuna
@pytest.mark.usefixtures("workspace")
def test_the_param_that_decides_is_worth_most() -> None:
    asked = sweep(GRID)
    states = [found(n, point, 10 * point["train.learning_rate"]) for n, point in enumerate(asked.grid, 1)]
    worth = study.Searcher(asked, states).importances()
    assert worth["train.learning_rate"] > 0.9
    assert study.Searcher(asked, [found(n, point, 1.0) for n, point in enumerate(asked.grid, 1)]).importances() == {}


@pytest.mark.usefixtures("workspace")
@pytest.mark.parametrize("terminal", [True, False])
def test_progress_shows_what_runs_on_a_terminal_and_what_ended_on_a_pipe(
    terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    asked = sweep(GRID)
    progress = Progress(asked, [found(1, asked.grid[0], 0.5)])
    flat = asked.params(asked.grid[1], 1)
    job = runner.Job("some", 2, 2, frozenset(), "0" * 40, flat)
    progress.started(job)
    progress.show()
    progress.note({"number": 2, "epoch": 1, "validation_mse": 0.25})
    progress.show()
    progress.ended(job, found(2, asked.grid[1], 0.25))
    progress.show()
    running = (
        "  some-2: preparing\nbest so far 0.5, 4 states left\n"
        "\x1b[2A\x1b[J  some-2: epoch 1 of 1, validation mse 0.25\nbest so far 0.5, 4 states left\n\x1b[2A\x1b[J"
    )
    assert capsys.readouterr().out == (
        "some: 1 states known, 4 to train\n"
        f"{running if terminal else ''}"
        "some-2: code=4 lr=0.1, 2 epochs: validation/final_mse 0.25 (the best so far)\n"
        f"{'best so far 0.25, 3 states left, less than a minute' + chr(10) if terminal else ''}"
    )


@pytest.mark.usefixtures("workspace")
def test_the_estimate_counts_the_epochs_of_what_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 600.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(now))
    asked = sweep(GRID.replace("{1: 4, 3: 1}", "{10: 4, 30: 1}"))
    progress = Progress(asked, [found(number, asked.grid[number - 1], 0.5) for number in (1, 2)])
    for number, epochs in ((3, 10), (8, 30)):
        progress.started(runner.Job("some", number, 4, frozenset(), "0" * 40, asked.params(asked.grid[3], epochs)))
    progress.ended(progress.running[3], found(3, asked.grid[2], 0.25))
    progress.note({"number": 8, "epoch": 20, "validation_mse": 0.25})  # goes on from the tenth
    assert progress._estimate() == ", about 10 min"  # 20 epochs in ten minutes, 20 are left


def test_a_lock_is_held_by_the_child_of_a_process_that_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with runner.locked(path) as held:
        child = subprocess.Popen(["sleep", "60"], pass_fds=[held.fileno()])
    with pytest.raises(BlockingIOError), runner.locked(path, wait=False):
        pass
    child.kill()
    child.wait()
    with runner.locked(path, wait=False):
        pass


def experiments(folder: Path) -> dict[str, str]:
    listed = run("git", "for-each-ref", "--format=%(refname:lstrip=4) %(objectname)", "refs/exps", cwd=folder).stdout
    return {name: commit for name, commit in map(str.split, listed.splitlines()) if re.search(r"-\d+$", name)}


def outputs(folder: Path, commit: str) -> str:
    """What dvc.lock of an experiment records of the stages up to `evaluate`."""
    from autoencoder.record import lock

    stages = lock.recorded(run("git", "show", f"{commit}:dvc.lock", cwd=folder).stdout)
    return str([stages[name].outs for name in ("download", "pca", "train", "evaluate")])


def search(folder: Path, *options: str, check: bool = True) -> str:
    command = ("autoencoder", "sweep", "sweeps/some.yaml", *options)
    done = run(*command, cwd=folder, check=check, timeout=280)
    return done.stdout + done.stderr


@pytest.fixture
def searched(own_clone: Path) -> Path:
    (own_clone / "sweeps/some.yaml").write_text(GRID)
    return own_clone


def tracked(folder: Path) -> set[str]:
    """The states of the search as `track --all` tags their runs; the workspace itself, which was edited, is refused."""
    from autoencoder.tracking.client import MlflowClient

    done = run("autoencoder", "track", "--all", cwd=folder, check=False, timeout=280)
    assert done.stdout.count(": tracked\n") == 5, done.stdout + done.stderr
    runs = MlflowClient(f"sqlite:///{folder}/mlflow.db").search_runs(["1"])
    assert not any("mlflow.parentRunId" in run.data.tags for run in runs)
    return {run.data.tags["autoencoder.sweep.some"] for run in runs}


@needs_optuna
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of MLflow and its database
def test_every_state_is_an_experiment_with_the_bytes_of_a_straight_training(searched: Path) -> None:
    printed = search(searched, "--jobs", "2")
    assert printed.startswith("some: 0 states known, 5 to train")
    there = experiments(searched)
    assert len(there) == 5
    (best,) = there.keys() - {f"some-{number}" for number in (1, 2, 3, 4)}
    assert re.search(rf"^{best} +3 ", printed, re.MULTILINE)
    assert "What each param is worth" in printed
    assert [path.name for path in (searched / ".autoencoder/sweep").iterdir()] == ["some.driver"]

    again = search(searched, "--render-best", "1")
    assert again.startswith("some: 5 states known, 0 to train")
    rendered = experiments(searched)
    assert {name: commit for name, commit in rendered.items() if name != best} == {
        name: commit for name, commit in there.items() if name != best
    }
    lock = run("git", "show", f"{rendered[best]}:dvc.lock", cwd=searched).stdout
    assert "report.html" in lock
    assert tracked(searched) == there.keys()

    number = int(best.removeprefix("some-")) - 5
    point = {"model.code_dimensions": (4, 16)[number // 2], "train.learning_rate": (0.01, 0.1)[number % 2]}
    edits = point | {"data.validation": 0.1, "train.epochs": 3, "train.log_every": 20, "train.batch_size": 32}
    arguments = [text for name, value in edits.items() for text in ("-S", f"{name}={value}")]
    run("dvc", "exp", "run", "--name", "straight", *arguments, "evaluate", cwd=searched)
    straight = run(
        "git", "for-each-ref", "--format=%(objectname)", "refs/exps/*/*/straight", cwd=searched
    ).stdout.strip()
    assert outputs(searched, straight) == outputs(searched, rendered[best])


@needs_optuna
@pytest.mark.slow
def test_after_kills_no_finished_state_is_lost_or_repeated(searched: Path) -> None:
    there: dict[str, str] = {}
    for kill in range(4):
        command = ["autoencoder", "sweep", "sweeps/some.yaml", "--jobs", "2"]
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(command, cwd=searched, start_new_session=True, **silent)
        time.sleep(7 + kill)
        if kill % 2:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()  # what it has started lives on
        process.wait()
        now = experiments(searched)
        assert now.items() >= there.items()
        there = now
    search(searched)
    assert experiments(searched).items() >= there.items()
    assert len(experiments(searched)) == 5


@needs_optuna
def test_an_experiment_of_another_search_is_not_taken_for_a_state(searched: Path) -> None:
    commit = run("git", "rev-parse", "HEAD", cwd=searched).stdout.strip()
    run("git", "update-ref", f"refs/exps/{commit[:2]}/{commit[2:]}/some-1", commit, cwd=searched)
    printed = search(searched, "--report", check=False)
    assert re.search(r"^Error: some-1: expected a state of this sweep, found an experiment with another .*\n$", printed)


@needs_optuna
def test_edited_code_is_refused_and_engines_that_are_not_there_are_one_line(searched: Path) -> None:
    assert "--engine: expected local, or dask:ADDRESS, found 'slurm'" in search(
        searched, "--engine", "slurm", check=False
    )
    refused = search(searched, "--engine", "dask:tcp://127.0.0.1:9", check=False)
    assert "expected the present commit in a branch of origin, found none; git push" in refused
    (searched / "stages/train.py").write_text("")
    assert re.search(r"Error: expected committed code, .*train.py.*\n$", search(searched, check=False))


def test_the_command_of_dvc_that_fails_is_one_line() -> None:
    with pytest.raises(UserError, match=r"^dvc exp push nowhere: .+$"):
        engine.dvc("exp", "push", "nowhere")
