"""The states that git remembers."""

from pathlib import Path

import pytest
from conftest import run

from autoencoder.errors import UserError
from autoencoder.record import history


def commit(folder: Path, lock: str) -> str:
    (folder / "dvc.lock").write_text(lock)
    run("git", "add", "-A", cwd=folder)
    run("git", "commit", "-q", "--allow-empty", "-m", "State", cwd=folder)
    return run("git", "rev-parse", "HEAD", cwd=folder).stdout.strip()


def test_every_dvc_lock_is_found_once_the_oldest_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run("git", "init", "-q", "-b", "main", cwd=tmp_path)
    first, second = commit(tmp_path, "1"), commit(tmp_path, "2")
    commit(tmp_path, "1")
    third = commit(tmp_path, "3")
    run("git", "update-ref", "refs/exps/12/3456/name", third, cwd=tmp_path)
    run("git", "reset", "-q", "--hard", first, cwd=tmp_path)
    assert history.states() == [first, second, third]


def test_outside_git_there_is_no_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="not a git repository"):
        history.states()
