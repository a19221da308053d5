"""The images of a data set: in memory, on disk without pickle, and on the scale on which networks see them."""

import hashlib
import math
import mmap
import warnings
from dataclasses import dataclass, replace
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
    """Training and test images of one shape, with the class of each; labels are None where a set has no classes.

    `validation` are images that were held out of the training images, if any were.
    """

    train: UInt8[Tensor, "n channels height width"]
    test: UInt8[Tensor, "m channels height width"]
    train_labels: UInt8[Tensor, " n"] | None = None
    test_labels: UInt8[Tensor, " m"] | None = None
    validation: UInt8[Tensor, "v channels height width"] | None = None
    validation_labels: UInt8[Tensor, " v"] | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of every image."""
        channels, height, width = self.train.shape[1:]
        return channels, height, width

    @property
    def splits(self) -> dict[str, UInt8[Tensor, "_ channels height width"]]:
        """The images by the name of their split, the test images first."""
        held_out = {} if self.validation is None else {"validation": self.validation}
        return {"test": self.test, "train": self.train, **held_out}


# The name of each tensor in the file.
NAMES = {
    field: f"{field}_images" if field in ("train", "test", "validation") else field for field in Images.__annotations__
}


def scale(images: UInt8[Tensor, "batch *image"], lowest: float = -1.0) -> Float[Tensor, "batch input"]:
    """Pixels in 0…255 as float32 inputs from `lowest`, black, to 1, white, one row per image.

    From -1 on, the article's ToTensor and Normalize(0.5, 0.5), in one multiplication and one addition.
    """
    return images.flatten(1).float().mul_((1 - lowest) / 255).add_(lowest)


def unscale(x: Float[Tensor, "*batch"], lowest: float = -1.0) -> Float[Tensor, "*batch"]:
    """Inputs or reconstructions between `lowest` and 1 as pixels in [0, 1], clamped."""
    return ((x - lowest) / (1 - lowest)).clamp(0, 1)


def rescale(x: Float[Tensor, "*batch"], lowest: float) -> Float[Tensor, "*batch"]:
    """Inputs or reconstructions between `lowest`, -1 or 0, and 1 as such between -1 and 1."""
    return x if lowest == -1 else 2 * x - 1


def hold_out(images: Images, fraction: float) -> Images:
    """`images` with about this fraction of the training images held out for validation; none for 0.

    An image is held out by its own content, so that images which are added later move no other. Raises UserError if
    none is left, or none is held out.
    """
    if not fraction:
        return images
    digests = [hashlib.sha256(image.numpy().tobytes()).digest() for image in images.train]
    held = torch.tensor([int.from_bytes(digest[:4], "big") < fraction * 2**32 for digest in digests])
    if held.all() or not held.any():
        raise UserError(
            f"params.yaml: data.validation: expected a fraction that leaves images on both sides, found {fraction} of "
            f"{len(held)} training images"
        )
    labels = images.train_labels
    return replace(
        images,
        train=images.train[~held],
        validation=images.train[held],
        train_labels=None if labels is None else labels[~held],
        validation_labels=None if labels is None else labels[held],
    )


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
    if held_out := kinds.get(NAMES["validation"]):
        splits["validation"] = held_out
    shape = splits["train"][2:]
    if not (
        {kind[0] for kind in kinds.values()} == {"U8"}
        and kinds.keys() <= set(NAMES.values())
        and all(len(kind) == len("tnchw") and all(kind[1:]) and kind[2:] == shape for kind in splits.values())
        and all(kinds.get(NAMES[f"{split}_labels"], kind[:2]) == kind[:2] for split, kind in splits.items())
    ):
        found = ", ".join(f"{name} {list(kind)}" for name, kind in kinds.items()) or "nothing"
        raise UserError(
            f"{path}: expected train_images and test_images, U8 [n, channels, height, width], found {found}; "
            "dvc repro -f download"
        )
