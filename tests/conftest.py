"""Fixtures, and the two things that must happen before torch and this project's modules are imported."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

os.environ |= {
    "DVC_NO_ANALYTICS": "1",
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GIT_AUTHOR_NAME": "Test",
    "GIT_AUTHOR_EMAIL": "test@example.org",
    "GIT_COMMITTER_NAME": "Test",
    "GIT_COMMITTER_EMAIL": "test@example.org",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
}
for name in ("AUTOENCODER_MIRROR", "MLFLOW_TRACKING_URI", "DVC_ROOT", "MAKELEVEL", "MAKEFLAGS"):
    os.environ.pop(name, None)

from autoencoder import numerics, params  # noqa: E402 (after the environment)

numerics.configure(params.Runtime(device="cpu", threads=1))

from jaxtyping import install_import_hook  # noqa: E402 (it imports numpy)

SHAPED = ("data", "models", "training", "analysis")  # rooms, each with all of its modules
CHECK = "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"  # an int is a float, as for mypy
install_import_hook([f"autoencoder.{room}" for room in SHAPED], CHECK)  # shapes in signatures, for the tests alone

from hypothesis import settings  # noqa: E402

from autoencoder.data import sources  # noqa: E402
from autoencoder.data.images import Images  # noqa: E402

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")

ROOT = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest file first, so that the workers end together."""
    items.sort(key=lambda item: item.path.name != "test_pipeline.py")


@pytest.fixture(scope="session")
def digits() -> Images:
    """1,500 + 297 images of 8 × 8 pixels: real data without a download."""
    return sources.digits()


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: this tree, no results, and a params.yaml for seconds: digits, two epochs."""
    (tmp_path / "data").mkdir()  # a stage writes there, beside the sets
    for name in ("src", "stages", "dvc.yaml", "data/sets"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "params.yaml").write_text(small((ROOT / "params.yaml").read_text()))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def small(text: str) -> str:
    """The text of params.yaml, with a pipeline of seconds: digits, two epochs, a line every 20 batches."""
    edits = {"name: mnist": "name: digits", "epochs: 20": "epochs: 2", "log_every: 1000": "log_every: 20"}
    for old, new in edits.items():
        assert old in text
        text = text.replace(old, new)
    return text


def run(*command: str, cwd: Path, check: bool = True, timeout: float = 200) -> subprocess.CompletedProcess[str]:
    """Run a program; with `check` a failure shows what it printed."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False)
    assert not check or done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done


def start(*command: str, cwd: Path) -> "subprocess.Popen[str]":
    """Start a program that prints to a pipe. It cannot print more than 64 KiB, the pipe's size, ahead of its reader."""
    return subprocess.Popen(
        command, cwd=cwd, text=True, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def read_to(process: "subprocess.Popen[str]", text: str) -> None:
    """Read what the program of `start` prints, up to the line with `text`."""
    assert process.stdout
    assert any(text in line for line in process.stdout), f"the process ended without printing {text!r}"


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This tree, with what is not committed yet, as a repository of its own with an empty DVC cache and digits."""
    folder = tmp_path_factory.mktemp("clone")
    for name in run("git", "ls-files", "-co", "--exclude-standard", cwd=ROOT).stdout.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    params_file = folder / "params.yaml"
    params_file.write_text(small(params_file.read_text()))
    run("git", "init", "-q", "-b", "main", cwd=folder)
    run("git", "add", "-A", cwd=folder)
    run("git", "commit", "-qm", "Start", cwd=folder)
    return folder


@pytest.fixture
def own_clone(clone: Path, tmp_path: Path) -> Path:
    """A copy of `clone` for a test that changes it."""
    return Path(shutil.copytree(clone, tmp_path / "clone", symlinks=True))
