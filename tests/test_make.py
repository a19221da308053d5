"""The Makefile's set-up, by the real make: what is whole is left alone, and what is not is set up again."""

import shutil
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from conftest import ROOT, run

# In the place of Python and uv: it writes down what it is asked for, and installs nothing.
STUB = f"""#!/bin/sh
[ "$1" = -c ] && exec {sys.executable} "$@"
echo "$(basename "$0") $*" >> asked
[ "$1 $2" = "-m venv" ] || exit 0
rm -rf .venv && mkdir -p .venv/bin && cp python3 .venv/bin/python && cp python3 .venv/bin/uv
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the Makefile and an environment that is whole: one package is pinned, and there."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements.lock").write_text(f"click=={version('click')} \\\n    --hash=sha256:0\n")
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "src").symlink_to(ROOT / "src")
    (tmp_path / "python3").write_text(STUB)
    (tmp_path / "python3").chmod(0o755)
    run("./python3", "-m", "venv", cwd=tmp_path)
    (tmp_path / "asked").unlink()
    (tmp_path / ".venv/installed").touch()
    (tmp_path / ".venv/folder").write_text(ascii(str(tmp_path)))
    return tmp_path


def asked(folder: Path) -> list[str]:
    """What `make setup` asks of Python and uv."""
    run("make", "setup", "PYTHON=./python3", cwd=folder)
    assert (folder / ".venv/installed").exists()
    log = folder / "asked"
    return log.read_text().splitlines() if log.exists() else []


def test_an_environment_that_is_whole_is_left_alone(folder: Path) -> None:
    assert asked(folder) == []


@pytest.mark.parametrize("damage", ["another version", "an interrupted set-up", "made by hand"])
def test_what_an_environment_lacks_is_installed(folder: Path, damage: str) -> None:
    if damage == "another version":
        (folder / "requirements.lock").write_text("click==0.1 \\\n")
    else:
        (folder / ".venv/installed").unlink()
    if damage == "made by hand":  # with another torch, as the README says
        (folder / ".venv/folder").unlink()
    calls = asked(folder)
    assert not [call for call in calls if "-m venv" in call]
    assert "uv pip install --quiet --require-hashes -r requirements.lock" in calls


@pytest.mark.parametrize("damage", ["removed", "upgraded"])
def test_an_environment_whose_python_is_gone_is_made_again(folder: Path, damage: str) -> None:
    python = folder / ".venv/bin/python"
    python.unlink()
    if damage == "upgraded":
        python.symlink_to("/usr/bin/python of another version")
    calls = asked(folder)
    assert "python3 -m venv --clear .venv" in calls
    assert "uv pip install --quiet --require-hashes -r requirements.lock" in calls


@pytest.mark.parametrize("name", ["moved", "it's 'é` #&"])
def test_an_environment_that_was_moved_is_made_again(folder: Path, name: str) -> None:
    """Its scripts, and the package that is installed from the folder, name the old folder."""
    moved = folder.rename(folder.with_name(name))
    assert "python3 -m venv --clear .venv" in asked(moved)
    (moved / "asked").unlink()
    assert asked(moved) == []


def test_a_folder_that_mlflow_cannot_take_is_refused_before_anything_is_installed(folder: Path) -> None:
    refused = folder.rename(folder.with_name("50%"))
    done = run("make", "setup", "PYTHON=./python3", cwd=refused, check=False)
    assert done.returncode
    assert done.stderr.startswith("Error: ")
    assert "rename the folder" in done.stderr.splitlines()[0]
    assert not (refused / "asked").exists()


def test_make_imports_no_package_of_this_name_from_elsewhere(folder: Path) -> None:
    done = run("env", "PYTHONPATH=/elsewhere", "make", "--eval", 'shown: ; @echo "[$$PYTHONPATH]"', "shown", cwd=folder)
    assert done.stdout == "[]\n"
