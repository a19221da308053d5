"""The states that git remembers."""

import hashlib
import json
from pathlib import Path

import pytest
from conftest import run

from autoencoder.errors import UserError
from autoencoder.record import content, git, history


def lock(model: str, *, seed: int = 42, code: str = "a", data: str = "d") -> str:
    deps = [{"path": "data/images.safetensors", "md5": data}, {"path": "train.py", "md5": code}]
    outs = [{"path": "models/autoencoder.safetensors", "hash": "md5", "md5": model}]
    train = {"cmd": "train", "deps": deps, "params": {"params.yaml": {"seed": seed}}, "outs": outs}
    return json.dumps({"schema": "2.0", "stages": {"train": train}})


def commit(folder: Path, text: str) -> str:
    (folder / "dvc.lock").write_text(text)
    run("git", "add", "-A", cwd=folder)
    run("git", "commit", "-q", "--allow-empty", "-m", "State", cwd=folder)
    return run("git", "rev-parse", "HEAD", cwd=folder).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    run("git", "init", "-q", "-b", "main", cwd=tmp_path)
    return tmp_path


def test_of_several_commits_of_one_state_the_newest_is_found_the_oldest_first(repository: Path) -> None:
    commit(repository, lock("x"))
    other_seed = commit(repository, lock("y", seed=1))
    refactored = commit(repository, lock("x", code="b"))
    other_bytes = commit(repository, lock("z", code="c"))
    experiment = commit(repository, lock("x", data="e"))
    run("git", "update-ref", "refs/exps/12/3456/name", experiment, cwd=repository)
    run("git", "reset", "-q", "--hard", other_bytes, cwd=repository)
    assert history.states() == [other_seed, refactored, other_bytes, experiment]


def test_a_state_is_found_in_every_search_that_has_it(repository: Path) -> None:
    for name in ("one", "other"):
        (repository / "sweeps").mkdir(exist_ok=True)
        (repository / f"sweeps/{name}.yaml").touch()
    state, alone = commit(repository, lock("x")), commit(repository, lock("y", seed=1))
    newer = commit(repository, lock("x", code="b"))
    refs = {"one-3": state, "other-7": newer, "one-4": alone, "queued-1": state, "one": state}
    for name, experiment in refs.items():
        run("git", "update-ref", f"refs/exps/12/3456/{name}", experiment, cwd=repository)
    assert history.searches([newer]) == {newer: ["one-3", "other-7"], alone: ["one-4"]}


def test_a_lock_that_records_no_training_is_a_state_of_its_own(repository: Path) -> None:
    commits = [commit(repository, text) for text in ("{}", "not: [yaml", lock("x"))]
    assert history.states() == commits


def test_what_is_neither_cached_nor_remote_is_gone_before_anything_is_checked_out(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("dvc", "init", "-q", cwd=repository)
    there = commit(repository, lock("0" * 32))
    monkeypatch.setattr(git, "checkout", None)
    history.fetch([there])
    with (
        pytest.raises(history.GoneError, match="neither in DVC's cache nor in a remote"),
        history.checked_out(there),
    ):
        pass


def test_outside_git_there_is_no_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="not a git repository"):
        history.states()


def test_what_a_remote_has_of_many_states_is_fetched_at_once(
    repository: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The remote is in DVC's local configuration, which no commit has, and lacks the outputs of all states but one."""
    remote = tmp_path_factory.mktemp("remote")
    run("dvc", "init", "-q", cwd=repository)
    run("dvc", "remote", "add", "--local", "-q", "-d", "team", str(remote), cwd=repository)
    there = hashlib.md5(b"model", usedforsecurity=False).hexdigest()
    content.write(remote / "files" / "md5" / there[:2] / there[2:], b"model")
    commits = [commit(repository, lock(md5)) for md5 in ("0" * 32, there, "1" * 32)]
    content.cache_folder.cache_clear()
    calls = []
    dvc = git.dvc
    monkeypatch.setattr(git, "dvc", lambda *names, **more: (calls.append(names), dvc(*names, **more))[1])
    history.fetch(commits)
    assert [content.cached(md5).exists() for md5 in ("0" * 32, there, "1" * 32)] == [False, True, False]
    assert [names[0] for names in calls] == ["cache", "remote", "cache", "fetch"]
    content.cache_folder.cache_clear()


def test_a_project_in_a_subfolder_of_a_repository_is_found_there(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "below").mkdir()
    monkeypatch.chdir(repository / "below")
    found = commit(repository / "below", lock("x"))
    assert history.states() == [found]
    with git.checkout(found) as folder:
        assert (folder / "dvc.lock").read_text() == lock("x")
    assert run("git", "worktree", "list", cwd=repository).stdout.count("\n") == 1


@pytest.mark.parametrize("place", ["it's #1 & да 😀", "a submodule"])
def test_the_outputs_of_a_state_are_checked_out_wherever_the_repository_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    folder = tmp_path / place
    if place == "a submodule":
        (tmp_path / "other").mkdir()
        run("git", "init", "-q", cwd=tmp_path)
        run("git", "init", "-q", "-b", "main", cwd=tmp_path / "other")
        run("git", "commit", "-q", "--allow-empty", "-m", "Start", cwd=tmp_path / "other")
        own = ("git", "-c", "protocol.file.allow=always")
        run(*own, "submodule", "--quiet", "add", str(tmp_path / "other"), place, cwd=tmp_path)
    else:
        folder.mkdir()
        run("git", "init", "-q", "-b", "main", cwd=folder)
    monkeypatch.chdir(folder)
    content.cache_folder.cache_clear()
    run("dvc", "init", "-q", cwd=folder)
    md5 = hashlib.md5(b"model", usedforsecurity=False).hexdigest()
    content.write(content.cached(md5), b"model")
    (folder / "dvc.yaml").write_text("stages: {train: {cmd: train, outs: [models/autoencoder.safetensors]}}")
    with history.checked_out(commit(folder, lock(md5, code="a" * 32, data="d" * 32))) as found:
        assert (found / "models/autoencoder.safetensors").read_bytes() == b"model"
    content.cache_folder.cache_clear()
