"""The keys by which a trained state is found again."""

from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from autoencoder.errors import UserError
from autoencoder.record import lock

DVC_YAML = """
stages:
  train:
    cmd: python stages train
    deps: [data, code.py]
    params: [seed, train]
    outs: [model]
"""
PARAMS = "seed: 42\ntrain: {learning_rate: 1e-3, epochs: 2}\nrender: {examples: 10}\n"
LOCK = """
schema: '2.0'
stages:
  train:
    cmd: python stages train
    deps:
    - {path: code.py, hash: md5, md5: c88e0e3a210bbd26cee3a9167b09f61e, size: 8}
    - {path: data, hash: md5, md5: 8d777f385d3dfec8815d20f7496026dc, size: 4}
    params:
      params.yaml:
        seed: 42
        train: {learning_rate: 0.001, epochs: 2}
    outs:
    - {path: model, hash: md5, md5: 0123456789abcdef0123456789abcdef, size: 1}
"""


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("dvc.yaml").write_text(DVC_YAML)
    Path("params.yaml").write_text(PARAMS)
    Path("dvc.lock").write_text(LOCK)
    Path("data").write_text("data")
    Path("code.py").write_text("pass # 1")


def test_the_workspaces_key_is_the_one_that_dvc_lock_records() -> None:
    assert lock.current("train").deps == lock.recorded()["train"].deps
    assert lock.current("train").key == lock.recorded()["train"].key


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("data", "other"),
        ("code.py", "other"),
        ("params.yaml", PARAMS.replace("1e-3", "1e-4")),
        ("dvc.yaml", DVC_YAML.replace("stages train", "stages train --fast")),
    ],
)
def test_data_code_params_and_command_each_change_the_key(path: str, content: str) -> None:
    before = lock.current("train").key
    Path(path).write_text(content)
    assert lock.current("train").key != before


@pytest.mark.parametrize("params", [PARAMS.replace("examples: 10", "examples: 9"), PARAMS + "# note\n"])
def test_what_training_does_not_read_leaves_the_key(params: str) -> None:
    before = lock.current("train").key
    Path("params.yaml").write_text(params)
    assert lock.current("train").key == before


def test_outputs_do_not_enter_the_key() -> None:
    train = lock.recorded()["train"]
    assert train.outs == {"model": "0123456789abcdef0123456789abcdef"}
    assert lock.recorded(LOCK.replace("0123456789abcdef", "fedcba9876543210"))["train"].key == train.key


def test_a_stage_that_read_what_is_no_longer_recorded_is_stale() -> None:
    train = lock.Stage("train", {"data": "1"}, {}, {"model": "2"})
    evaluate = lock.Stage("evaluate", {"model": "2", "code.py": "3"}, {}, {"metrics": "4"})
    render = lock.Stage("render", {"model": "an earlier one", "metrics": "4"}, {}, {"figures": "5"})
    assert lock.stale({"train": train, "evaluate": evaluate, "render": render}) == {"render"}


def test_a_lock_without_some_stages_keeps_the_others() -> None:
    assert set(lock.recorded(lock.lock_without(set()))) == set(lock.recorded())
    assert set(lock.recorded(lock.lock_without({"train"}))) == set(lock.recorded()) - {"train"}


@pytest.mark.parametrize("path", ["data", "params.yaml", "dvc.yaml", "dvc.lock"])
def test_a_missing_file_is_one_clear_line(path: str) -> None:
    Path(path).unlink()
    read = lock.recorded if path == "dvc.lock" else partial(lock.current, "train")
    with pytest.raises(UserError, match=f"^{path}: not found"):
        read()


def test_a_missing_param_is_named() -> None:
    Path("params.yaml").write_text("train: {}\n")
    with pytest.raises(UserError, match="'seed' is missing"):
        lock.current("train")


def test_a_lock_that_was_cut_short_is_refused_or_lacks_its_end() -> None:
    for length in range(len(LOCK)):
        with suppress(UserError):
            assert lock.recorded(LOCK[:length]).keys() <= {"train"}


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("stages: [", "git checkout dvc.lock, or dvc repro without it"),
        ("<<<<<<< HEAD\nstages: {}\n=======\n", "git checkout dvc.lock"),
        ("just words", "git checkout dvc.lock"),
        ("stages: {train: words}", "git checkout dvc.lock"),
        ("stages: {train: {deps: []}}", "git checkout dvc.lock"),
        ("stages: {train: {cmd: run, deps: [{path: data}]}}", "git checkout dvc.lock"),
        ("stages: [train]", "git checkout dvc.lock"),
    ],
)
def test_a_lock_that_is_none_is_refused(text: str, remedy: str) -> None:
    Path("dvc.lock").write_text(text)
    with pytest.raises(UserError, match=rf"^dvc\.lock: .*{remedy}"):
        lock.recorded()


def test_a_hash_that_yaml_takes_for_a_number_is_a_text() -> None:
    digits = LOCK.replace("0123456789abcdef0123456789abcdef", "1" * 32)
    assert lock.recorded(digits)["train"].outs == {"model": "1" * 32}


def test_nested_params_get_dotted_names() -> None:
    assert lock.flatten({"seed": 42, "train": {"learning_rate": 1}}) == {"seed": 42, "train.learning_rate": 1}
