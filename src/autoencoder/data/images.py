"""The images of a data set: in memory, on disk without pickle, and on the scale on which networks see them."""

import math
import mmap
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from safetensors.torch import save
from torch import Tensor

from autoencoder import paths
from autoencoder.data import tensors
from autoencoder.errors import UserError
from autoencoder.files import write_atomically


@dataclass(frozen=True)
class Images:
    """Training and test images of one shape, with the class of each; labels are None where a set has no classes."""

    train: UInt8[Tensor, "n channels height width"]
    test: UInt8[Tensor, "m channels height width"]
    train_labels: UInt8[Tensor, " n"] | None = None
    test_labels: UInt8[Tensor, " m"] | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of every image."""
        channels, height, width = self.train.shape[1:]
        return channels, height, width


# The name of each tensor in the file.
NAMES = {"train": "train_images", "test": "test_images", "train_labels": "train_labels", "test_labels": "test_labels"}


def scale(images: UInt8[Tensor, "batch *image"]) -> Float[Tensor, "batch input"]:
    """Pixels in 0…255 as float32 inputs in [-1, 1], one row per image.

    The article's ToTensor and Normalize(0.5, 0.5), in one multiplication and one subtraction.
    """
    return images.flatten(1).float().mul_(2 / 255).sub_(1)


def unscale(x: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """Inputs or reconstructions as pixels in [0, 1]: 0.5 (x + 1), clamped."""
    return (0.5 * (x + 1)).clamp(0, 1)


def save_images(images: Images, path: Path = paths.IMAGES) -> None:
    """Write `images` as a safetensors file."""
    present = {name: getattr(images, field) for field, name in NAMES.items() if getattr(images, field) is not None}
    write_atomically(path, save({name: tensor.contiguous() for name, tensor in present.items()}))


def load_images(path: Path = paths.IMAGES) -> Images:
    """Map the file of `save_images` into memory: the system reads a page when it is first used. Do not write to it.

    safetensors' own map asks the system for as much memory as the file is long, which fails for more than there is.
    Raises UserError if the file is damaged or holds something else.
    """
    with tensors.opened(path, "dvc repro download", "numpy") as file:  # checks that the header fits the content
        slices = {name: file.get_slice(name) for name in file.offset_keys()}
        kinds = {name: (tensor.get_dtype(), *tensor.get_shape()) for name, tensor in slices.items()}
    _check(kinds, path)
    with path.open("rb") as content:
        header = 8 + int.from_bytes(content.read(8), "little")
        pages = mmap.mmap(content.fileno(), 0, access=mmap.ACCESS_READ)
    pages.madvise(mmap.MADV_RANDOM)  # training reads images in random order: to read ahead would be in vain
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # torch warns that the map is read-only
        pixels = torch.frombuffer(pages, dtype=torch.uint8, offset=header)
    parts = pixels.split([math.prod(shape) for _, *shape in kinds.values()])
    mapped = {name: part.view(shape) for part, (name, (_, *shape)) in zip(parts, kinds.items(), strict=True)}
    return Images(**{field: mapped.get(name) for field, name in NAMES.items()})  # type: ignore[arg-type]


def _check(kinds: dict[str, tuple[str | int, ...]], path: Path) -> None:
    """Raise UserError unless the tensors of these types and shapes are the images of one data set."""
    splits = {split: kinds.get(NAMES[split], ()) for split in ("train", "test")}
    train, test = splits.values()
    if not (
        {kind[0] for kind in kinds.values()} == {"U8"}
        and kinds.keys() <= set(NAMES.values())
        and all(len(kind) == len("tnchw") and all(kind[1:]) for kind in (train, test))
        and train[2:] == test[2:]
        and all(kinds.get(NAMES[f"{split}_labels"], kind[:2]) == kind[:2] for split, kind in splits.items())
    ):
        found = ", ".join(f"{name} {list(kind)}" for name, kind in kinds.items()) or "nothing"
        raise UserError(
            f"{path}: expected train_images and test_images, U8 [n, channels, height, width], found {found}; "
            "dvc repro -f download"
        )
