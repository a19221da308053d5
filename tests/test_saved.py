import json
import pickle
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from autoencoder.data.images import Images
from autoencoder.errors import UserError
from autoencoder.models.saved import Description, describe, load_model, save_model

DESCRIPTION = Description("linear", 3, (1, 4, 5))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file.safetensors"


def refused(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        load_model(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: expected ")
    assert "dvc repro" in message
    assert "\n" not in message
    return message


@given(
    description=st.builds(Description, st.just("linear"), st.integers(1, 9), st.tuples(*[st.integers(1, 6)] * 3)),
    seed=st.integers(0, 2**63 - 1),
)
def test_a_model_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, description: Description, seed: int
) -> None:
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    model = description.build(seed)
    save_model(model, description, path)
    loaded, loaded_description = load_model(path)
    assert loaded_description == description
    assert not loaded.training
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)


def test_the_same_model_is_the_same_bytes(tmp_path: Path) -> None:
    contents = set()
    for name in "abc":
        save_model(DESCRIPTION.build(1), DESCRIPTION, tmp_path / name)
        contents.add((tmp_path / name).read_bytes())
    assert len(contents) == 1


def test_every_truncation_of_a_model_is_refused(path: Path) -> None:
    save_model(DESCRIPTION.build(1), DESCRIPTION, path)
    content = path.read_bytes()
    for length in range(0, len(content), 7):
        refused(path, content[:length])


def test_a_pickle_is_refused_and_not_run(path: Path, tmp_path: Path) -> None:
    class Malicious:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "ran",))

    refused(path, pickle.dumps(Malicious()))
    torch.save({"weight": Malicious()}, path)
    refused(path, path.read_bytes())
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("metadata", "found"),
    [
        (None, "autoencoder"),
        ({"autoencoder": "no JSON"}, "Expecting value"),
        ({"autoencoder": "[]"}, ""),
        ({"autoencoder": json.dumps({"model": "linear"})}, "image_shape"),
        ({"autoencoder": json.dumps({"model": "deep", "code_dimensions": 3, "image_shape": [1, 4, 5]})}, "deep"),
        ({"autoencoder": json.dumps({"model": "linear", "code_dimensions": 2, "image_shape": [1, 4, 5]})}, "mismatch"),
        ({"autoencoder": json.dumps({"model": "linear", "code_dimensions": 3, "image_shape": [4, 5]})}, ""),
        ({"autoencoder": json.dumps({"model": "linear", "code_dimensions": -3, "image_shape": [1, 4, 5]})}, ""),
        ({"autoencoder": json.dumps({"model": "linear", "code_dimensions": 10**30, "image_shape": [1, 4, 5]})}, ""),
        ({"autoencoder": json.dumps({"model": "linear", "code_dimensions": 10**9, "image_shape": [1, 9**9, 9]})}, ""),
        ({"autoencoder": json.dumps({"model": "linear", "code_dimensions": "3", "image_shape": "145"})}, ""),
    ],
)  # fmt: skip
def test_a_safetensors_file_of_something_else_is_refused(
    path: Path, metadata: dict[str, str] | None, found: str
) -> None:
    save_file(DESCRIPTION.build(1).state_dict(), path, metadata)
    assert found in refused(path, path.read_bytes())


def test_a_model_that_is_not_there_names_the_stage_that_makes_it(path: Path) -> None:
    with pytest.raises(UserError, match=r"file.safetensors: not found; dvc repro train"):
        load_model(path)


def test_a_code_as_long_as_an_image_is_refused() -> None:
    images = Images(*torch.zeros(2, 2, 1, 8, 8, dtype=torch.uint8))
    assert describe(images, {"name": "linear", "code_dimensions": 63}).input_dimensions == 64
    with pytest.raises(UserError, match=r"model.code_dimensions: expected fewer than the 64 pixels .*, found 64"):
        describe(images, {"name": "linear", "code_dimensions": 64})
