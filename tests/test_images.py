from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from autoencoder.data.images import Images, load_images, save_images, scale, unscale
from autoencoder.errors import UserError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file.safetensors"


def check_same(found: Images, expected: Images) -> None:
    for name, tensor in vars(expected).items():
        assert tensor is getattr(found, name) is None or torch.equal(getattr(found, name), tensor), name


def test_images_come_back_as_they_were(path: Path, digits: Images) -> None:
    save_images(digits, path)
    assert len(load_file(path)) == 4
    check_same(load_images(path), digits)


@pytest.mark.parametrize("missing", [["train_labels", "test_labels"], ["test_labels"]])
def test_images_without_labels_come_back_without_labels(path: Path, digits: Images, missing: list[str]) -> None:
    unlabelled = replace(digits, **dict.fromkeys(missing))
    save_images(unlabelled, path)
    assert len(load_file(path)) == 4 - len(missing)
    check_same(load_images(path), unlabelled)


def test_the_same_images_are_the_same_bytes(tmp_path: Path, digits: Images) -> None:
    for name in "ab":
        save_images(digits, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_shape_of_the_images_is_known_without_their_number() -> None:
    images = Images(torch.zeros(2, 3, 4, 5, dtype=torch.uint8), torch.zeros(1, 3, 4, 5, dtype=torch.uint8))
    assert images.shape == (3, 4, 5)


def test_images_that_are_not_there_name_the_stage_that_makes_them(path: Path) -> None:
    with pytest.raises(UserError, match=r"file.safetensors: not found; dvc repro download"):
        load_images(path)


@pytest.mark.parametrize(
    "tensors",
    [
        {},
        {"train_images": torch.zeros(2, 1, 4, 5, dtype=torch.uint8)},
        {"train_images": torch.zeros(2, 1, 4, 5), "test_images": torch.zeros(2, 1, 4, 5)},
        {"train_images": torch.zeros(2, 4, dtype=torch.uint8), "test_images": torch.zeros(2, 4, dtype=torch.uint8)},
        {
            "train_images": torch.zeros(2, 1, 4, 5, dtype=torch.uint8),
            "test_images": torch.zeros(2, 1, 5, 5, dtype=torch.uint8),
        },
        {
            "train_images": torch.zeros(2, 1, 4, 5, dtype=torch.uint8),
            "test_images": torch.zeros(0, 1, 4, 5, dtype=torch.uint8),
        },
        {
            "train_images": torch.zeros(2, 1, 4, 5, dtype=torch.uint8),
            "test_images": torch.zeros(2, 1, 4, 5, dtype=torch.uint8),
            "another": torch.zeros(2, dtype=torch.uint8),
        },
        {
            "train_images": torch.zeros(2, 1, 4, 5, dtype=torch.uint8),
            "test_images": torch.zeros(2, 1, 4, 5, dtype=torch.uint8),
            "test_labels": torch.zeros(3, dtype=torch.uint8),
        },
    ],
)
def test_images_of_another_kind_are_refused(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    save_file(tensors, path)
    with pytest.raises(UserError, match=r"expected train_images .*, found .*; dvc repro -f download"):
        load_images(path)


def test_scale_is_the_articles_to_tensor_and_normalize() -> None:
    from torchvision.transforms.functional import normalize

    images = torch.arange(256, dtype=torch.uint8).reshape(4, 1, 8, 8)
    expected = torch.stack([normalize(image / 255, [0.5], [0.5]) for image in images])
    x = scale(images)
    assert x.dtype == torch.float32
    assert x.shape == (4, 64)
    torch.testing.assert_close(x, expected.flatten(1), rtol=0, atol=2e-7)


def test_scale_goes_from_minus_one_to_one_and_unscale_goes_back() -> None:
    images = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    x = scale(images)
    assert (x.min().item(), x.max().item()) == (-1, 1)
    assert torch.equal((unscale(x) * 255).round().to(torch.uint8), images.flatten(1))


def test_unscale_clamps_what_is_no_pixel() -> None:
    assert unscale(torch.tensor([-3.0, -1.0, 0.0, 1.0, 3.0])).tolist() == [0, 0, 0.5, 1, 1]


def test_scale_does_not_write_into_the_images() -> None:
    images = torch.full((1, 1, 2, 2), 7, dtype=torch.uint8)
    scale(images)
    assert images.unique().item() == 7
