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
                "name": st.from_regex(r"[\w-][\w .-]*", fullmatch=True),
                "validation": st.floats(0, 1, exclude_max=True),
                "image_size": st.none() | st.integers(1, 4096),
                "channels": st.sampled_from([None, 1, 3]),
                "test_fraction": st.floats(0, 1, exclude_min=True, exclude_max=True),
            }
        ),
        "model": st.fixed_dictionaries(
            {
                "name": st.sampled_from(["linear", "mlp", "convolutional"]),
                "code_dimensions": st.integers(20, 2**31 - 1),
                "hidden": st.lists(COUNT, max_size=3),
                "channels": st.lists(COUNT, max_size=3),
                "activation": st.sampled_from(["relu", "gelu", "tanh", "sigmoid"]),
            }
        ),
        "corruption": st.fixed_dictionaries(
            {
                "name": st.sampled_from(["none", "gaussian", "masking", "salt_and_pepper"]),
                "level": st.floats(0, 1),
            }
        ),
        "constraint": st.fixed_dictionaries(
            {
                "name": st.sampled_from(["none", "l1", "top_k", "contractive", "variational"]),
                "strength": st.floats(0, 1e9, exclude_min=True),
                "active": st.integers(1, 19),
            }
        ),
        "train": st.fixed_dictionaries(
            {
                "loss": st.sampled_from(["mse", "bce"]),
                "epochs": COUNT,
                "batch_size": COUNT,
                "optimizer": st.sampled_from(["sgd", "adam"]),
                "learning_rate": st.floats(0, 1e9, exclude_min=True),
                "momentum": st.floats(0, 1, exclude_max=True),
                "weight_decay": st.floats(0, 1e9),
                "log_every": COUNT,
            }
        ),
        "evaluate": st.fixed_dictionaries({"batch_size": COUNT, "neighbours": COUNT}),
        "render": st.fixed_dictionaries({"examples": st.integers(1, 100)}),
        "track": st.just({"champion": "test/final_mse"}),
        "runtime": st.fixed_dictionaries(
            {
                "device": st.sampled_from(["auto", "cpu", "cuda", "mps"]),
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
        "data": {"name": "mnist", "validation": 0.0, "image_size": None, "channels": None, "test_fraction": 0.15},
        "model": {
            "name": "linear",
            "code_dimensions": 32,
            "hidden": [512, 256],
            "channels": [16, 32],
            "activation": "relu",
        },
        "corruption": {"name": "none", "level": 0.25},
        "constraint": {"name": "none", "strength": 1.0, "active": 16},
        "train": {
            "loss": "mse",
            "epochs": 20,
            "batch_size": 32,
            "optimizer": "sgd",
            "learning_rate": 10**-1.5,
            "momentum": 0.5,
            "weight_decay": 0.0,
            "log_every": 1000,
        },
        "evaluate": {"batch_size": 100, "neighbours": 1},
        "render": {"examples": 10},
        "track": {"champion": "test/final_mse"},
        "runtime": {"device": "auto", "threads": 1},
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
            "unknown key 'zzz' (known keys: seed, data, model, corruption, constraint, train, evaluate, render, track, "
            "runtime)",
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
        (
            "threads: 1",
            "threads: 1\n  numerics: portable",
            "runtime.numerics: remove it; there is one way of computing",
        ),
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
            "name: ../mnist",
            r"data.name: expected text that matches '^[^/\\.][^/\\]*$', found '../mnist'",
        ),
        ("name: mnist", "name: .hidden", "data.name: expected text that matches"),
        ("name: mnist", r"name: a\b", "data.name: expected text that matches"),
        ("name: mnist", "name: ''", "data.name: expected text that matches"),
        ("image_size: null", "image_size: 0", "data.image_size: expected greater than or equal to 1, found 0"),
        ("channels: null", "channels: 2", "data.channels: expected 1 or 3, found 2"),
        ("test_fraction: 0.15", "test_fraction: 1", "data.test_fraction: expected less than 1, found 1"),
        ("name: mnist", "name: 7", "data.name: expected a valid string, found 7"),
        ("name: linear", "name: deep", "model.name: expected 'linear', 'mlp' or 'convolutional', found 'deep'"),
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


TOP_K = [("name: none # none | l1", "name: top_k # none | l1")]
MASKING = [("name: none # none | gaussian", "name: masking # none | gaussian")]


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        (
            [*TOP_K, ("active: 16", "active: 32")],
            "constraint.active: expected fewer active numbers than the code has, 32 (model.code_dimensions), found 32",
        ),
        ([*MASKING, ("level: 0.25", "level: 1.5")], "corruption.level: expected a probability for masking, found 1.5"),
        (
            [("champion: test/final_mse", "champion: validation/final_mse")],
            "track.champion: expected data.validation above 0 for 'validation/final_mse', found 0",
        ),
    ],
)
def test_a_key_is_checked_against_another_where_that_uses_it(
    path: Path, edits: list[tuple[str, str]], message: str
) -> None:
    text = TEXT
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    assert message in fault(path, text)
    *_, (old, new) = edits
    path.write_text(TEXT.replace(old, new) if len(edits) > 1 else TEXT)
    params.load(path)  # where no other choice uses the key, it may be anything
