from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from autoencoder import params
from autoencoder.errors import UserError

TEXT = (ROOT / "params.yaml").read_text()
COUNT = st.integers(1, 2**31 - 1)
VALID = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**63 - 1),
        "data": st.fixed_dictionaries(
            {
                "name": st.sampled_from(["mnist", "fashion_mnist", "kmnist", "digits"]),
                "image_size": st.none() | st.integers(1, 4096),
                "channels": st.sampled_from([None, 1, 3]),
                "test_fraction": st.floats(0, 1, exclude_min=True, exclude_max=True),
            }
        ),
        "model": st.fixed_dictionaries({"name": st.just("linear"), "code_dimensions": COUNT}),
        "train": st.fixed_dictionaries(
            {
                "epochs": COUNT,
                "batch_size": COUNT,
                "optimizer": st.sampled_from(["sgd", "adam"]),
                "learning_rate": st.floats(0, 1e9, exclude_min=True),
                "momentum": st.floats(0, 1, exclude_max=True),
                "log_every": COUNT,
            }
        ),
        "evaluate": st.fixed_dictionaries({"batch_size": COUNT}),
        "render": st.fixed_dictionaries({"examples": st.integers(1, 100)}),
        "track": st.just({"champion": "test/final_mse"}),
        "runtime": st.fixed_dictionaries(
            {
                "device": st.sampled_from(["auto", "cpu", "cuda", "mps"]),
                "numerics": st.sampled_from(["portable", "fast"]),
                "threads": st.integers(1, 1024),
            }
        ),
    }
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "params.yaml"


def fault(path: Path, text: str) -> str:
    """The message for a params.yaml with this text: always one line that names the file."""
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        params.load(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


def test_the_default_file_holds_the_articles_settings() -> None:
    defaults = params.load(ROOT / "params.yaml")
    assert defaults.model_dump() == {
        "seed": 42,
        "data": {"name": "mnist", "image_size": None, "channels": None, "test_fraction": 0.15},
        "model": {"name": "linear", "code_dimensions": 32},
        "train": {
            "epochs": 20,
            "batch_size": 32,
            "optimizer": "sgd",
            "learning_rate": 10**-1.5,
            "momentum": 0.5,
            "log_every": 1000,
        },
        "evaluate": {"batch_size": 100},
        "render": {"examples": 10},
        "track": {"champion": "test/final_mse"},
        "runtime": {"device": "auto", "numerics": "portable", "threads": 1},
    }


@given(values=VALID)
def test_what_is_written_is_what_is_read(tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any]) -> None:
    path = tmp_path_factory.mktemp("params") / "params.yaml"
    YAML(typ="safe", pure=True).dump(values, path)
    loaded = params.load(path)
    assert loaded.model_dump() == values


@given(text=st.text(alphabet=st.sampled_from("seed:{}[]&*!%-? |>'\"#\n\t01.eE+,:xo~<=")))
def test_any_text_is_read_or_refused_with_one_line(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    fault(tmp_path_factory.mktemp("params") / "params.yaml", text)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("epochs: 20", "epoch: 20", "unknown key 'train.epoch' (did you mean 'epochs'?)"),
        ("learning_rate:", "learning-rate:", "unknown key 'train.learning-rate' (did you mean 'learning_rate'?)"),
        ("runtime:", "runtimes:", "unknown key 'runtimes' (did you mean 'runtime'?)"),
        (
            "seed: 42",
            "zzz: 42",
            "unknown key 'zzz' (known keys: seed, data, model, train, evaluate, render, track, runtime)",
        ),
        ("seed: 42", "", "key 'seed' is missing"),
        ("seed: 42", "seed: -1", "seed: expected greater than or equal to 0, found -1"),
        ("seed: 42", f"seed: {2**63}", f"seed: expected less than {2**63}, found {2**63}"),
        ("seed: 42", "42: 42", "expected a name as key, found 42"),
        ("0.03162277660168379", "1e39", "train.learning_rate: expected less than or equal to 1000000000, found 1e+39"),
        ("epochs: 20", "epochs: 0", "train.epochs: expected greater than or equal to 1, found 0"),
        ("epochs: 20", "epochs: 2.5", "train.epochs: expected a valid integer, found 2.5"),
        ("epochs: 20", "epochs: '20'", "train.epochs: expected a valid integer, found '20'"),
        ("epochs: 20", "epochs: true", "train.epochs: expected a valid integer, found True"),
        ("epochs: 20", "epochs:", "train.epochs: expected a valid integer, found None"),
        ("batch_size: 32", f"batch_size: {10**30}", f"train.batch_size: expected less than {2**31}, found {10**30}"),
        ("threads: 1", "threads: 2000", "runtime.threads: expected less than or equal to 1024, found 2000"),
        ("rate: 0.03162277660168379", "rate: -1", "train.learning_rate: expected greater than 0, found -1"),
        ("rate: 0.03162277660168379", "rate: 0", "train.learning_rate: expected greater than 0, found 0"),
        ("rate: 0.03162277660168379", "rate: .nan", "train.learning_rate: expected a finite number, found nan"),
        ("rate: 0.03162277660168379", "rate: .inf", "train.learning_rate: expected a finite number, found inf"),
        ("rate: 0.03162277660168379", "rate: high", "train.learning_rate: expected a valid number, found 'high'"),
        ("momentum: 0.5", "momentum: 1", "train.momentum: expected less than 1, found 1"),
        ("code_dimensions: 32", "code_dimensions: [32]", "model.code_dimensions: expected a valid integer, found [32]"),
        (
            "name: mnist",
            "name: mnits",
            "data.name: expected 'mnist', 'fashion_mnist', 'kmnist' or 'digits', found 'mnits' (did you mean 'mnist'?)",
        ),
        ("name: linear", "name: deep", "model.name: expected 'linear', found 'deep'"),
        ("device: auto", "device: gpu", "runtime.device: expected 'auto', 'cpu', 'cuda' or 'mps', found 'gpu'"),
        ("evaluate:", "evaluate: 3\nrest:", "evaluate: expected keys and values, found 3"),
    ],
)
def test_a_fault_is_named_with_what_was_expected_and_found(path: Path, old: str, new: str, message: str) -> None:
    assert old in TEXT
    assert message in fault(path, TEXT.replace(old, new, 1))


def test_every_fault_of_a_file_is_in_the_one_line(path: Path) -> None:
    message = fault(path, TEXT.replace("epochs: 20", "epochs: 0").replace("momentum:", "momentun:"))
    for part in ("train.epochs", "'train.momentun'", "'train.momentum' is missing"):
        assert part in message


def test_numbers_are_read_as_dvc_reads_them(path: Path) -> None:
    path.write_text(TEXT.replace("0.03162277660168379", "1e-3"))
    assert params.load(path).train.learning_rate == 1e-3


def test_a_missing_file_says_where_to_run(path: Path) -> None:
    with pytest.raises(UserError, match=r"not found in .*; run from the repository's root, or `git checkout"):
        params.load(path)


@pytest.mark.parametrize(
    "text",
    ["seed: [42", "seed: 42\nseed: 43", "a: b: c", "\tseed: 42", "seed: *nowhere", "seed: !!int x", "seed: 2020-99-99"],
)
def test_broken_yaml_is_one_line(path: Path, text: str) -> None:
    assert "not readable as YAML" in fault(path, text)


@pytest.mark.parametrize("text", ["", "# nothing", "- 1\n- 2", "42", "text"])
def test_a_file_without_keys_is_refused(path: Path, text: str) -> None:
    assert "expected keys and values" in fault(path, text)


def test_bytes_that_are_no_text_are_refused(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00seed")
    with pytest.raises(UserError, match="not readable as YAML"):
        params.load(path)


def test_values_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        params.load(ROOT / "params.yaml").seed = 1  # type: ignore[misc]
