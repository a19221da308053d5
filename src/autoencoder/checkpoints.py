"""Tensors on disk, without pickle: images and models as safetensors files, read with one clear error if broken."""

import json
import math
import mmap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from autoencoder import paths
from autoencoder.errors import UserError
from autoencoder.files import write_atomically
from autoencoder.models import LinearAutoencoder, build
from autoencoder.pca import Optimum


@dataclass(frozen=True)
class Description:
    """All that rebuilds a model besides its weights; `image_shape` is (channels, height, width)."""

    model: str
    code_dimensions: int
    image_shape: tuple[int, int, int]

    @property
    def input_dimensions(self) -> int:
        """Pixels per image."""
        channels, height, width = self.image_shape
        return channels * height * width

    def build(self, seed: int = 0) -> LinearAutoencoder:
        """A new model of this description."""
        return build(
            self.model, input_dimensions=self.input_dimensions, code_dimensions=self.code_dimensions, seed=seed
        )


def describe(images: Tensor, *, name: str, code_dimensions: int) -> Description:
    """The model `name` of params.yaml for `images` [n, channels, height, width].

    Raises UserError if its code is not shorter than an image.
    """
    channels, height, width = images.shape[1:]
    description = Description(name, code_dimensions, (channels, height, width))
    if code_dimensions >= description.input_dimensions:
        raise UserError(
            "params.yaml: model.code_dimensions: "
            f"expected fewer than the {description.input_dimensions} pixels of an image, "
            f"found {code_dimensions}; an undercomplete autoencoder must compress"
        )
    return description


def load() -> tuple[dict[str, Tensor], LinearAutoencoder, Description, Optimum]:
    """The workspace's images, model and optimum. Raises UserError unless all are of images of one shape."""
    images, (model, description), optimum = load_images(), load_model(), load_optimum()
    shape = tuple(images["test_images"].shape[1:])
    for path, fits in (
        (paths.MODEL, description.image_shape == shape),
        (paths.OPTIMUM, len(optimum.axes) == math.prod(shape)),
    ):
        if not fits:
            raise UserError(
                f"{path}: expected one of images of {shape}, as in {paths.IMAGES}, found another; dvc repro"
            )
    return images, model, description, optimum


def save_images(images: dict[str, Tensor], path: Path = paths.IMAGES) -> None:
    """Write the tensors of `datasets.load`."""
    write_atomically(path, save({name: tensor.contiguous() for name, tensor in images.items()}))


def load_images(path: Path = paths.IMAGES) -> dict[str, Tensor]:
    """The tensors of `datasets.load`, mapped from the file: pages are read when they are touched. Not to be written to.

    torch's own map asks the system for as much memory as the file is long, which fails for more than there is.
    """
    with _opened(path, "dvc repro download", "numpy") as file:
        slices = {name: file.get_slice(name) for name in file.offset_keys()}
        kinds = {name: (tensor.get_dtype(), *tensor.get_shape()) for name, tensor in slices.items()}
    splits = [kinds.get(f"{split}_images", ()) for split in ("train", "test")]
    if not (
        {kind[0] for kind in kinds.values()} == {"U8"}
        and all(len(kind) == len("tnchw") and math.prod(kind[1:]) for kind in splits)
        and splits[0][2:] == splits[1][2:]
    ):
        found = ", ".join(f"{name} {list(kind)}" for name, kind in kinds.items()) or "nothing"
        raise UserError(
            f"{path}: expected train_images and test_images, U8 [n, channels, height, width], found {found}; "
            "dvc repro -f download"
        )
    with path.open("rb") as content, warnings.catch_warnings(action="ignore", category=UserWarning):
        start = 8 + int.from_bytes(content.read(8), "little")  # behind the header, whose length comes first
        pages = mmap.mmap(content.fileno(), 0, access=mmap.ACCESS_READ)
        pages.madvise(mmap.MADV_RANDOM)  # the order of training: read no pages ahead
        tensors = torch.frombuffer(pages, dtype=torch.uint8, offset=start).split(
            [math.prod(kind[1:]) for kind in kinds.values()]
        )
    return {name: tensor.view(kind[1:]) for (name, kind), tensor in zip(kinds.items(), tensors, strict=True)}


def save_model(model: LinearAutoencoder, description: Description, path: Path = paths.MODEL) -> None:
    """Write weights and description. One metadata key: safetensors writes several in random order."""
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    write_atomically(path, save(weights, {"autoencoder": json.dumps(asdict(description))}))


def load_model(path: Path = paths.MODEL) -> tuple[LinearAutoencoder, Description]:
    """The model of `save_model`, on the CPU, in evaluation mode. Raises UserError if the file is not one."""
    weights, metadata = _read(path, "dvc repro train")
    try:
        entry = json.loads(metadata["autoencoder"])
        description = Description(**entry | {"image_shape": tuple(entry["image_shape"])})
        model = description.build()
        model.load_state_dict(weights)
        if not all(weight.isfinite().all() for weight in weights.values()):
            raise ValueError("weights that are not finite")
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: expected a model of this project, found {reason}; dvc repro -f train") from None
    return model.eval(), description


def save_optimum(optimum: Optimum, path: Path = paths.OPTIMUM) -> None:
    """Write the tensors of `pca.fit`."""
    write_atomically(path, save({name: tensor.contiguous() for name, tensor in vars(optimum).items()}))


def load_optimum(path: Path = paths.OPTIMUM) -> Optimum:
    """The optimum of `save_optimum`. Raises UserError if the file is none."""
    tensors, _ = _read(path, "dvc repro pca")
    if set(tensors) != {field.name for field in fields(Optimum)}:
        raise UserError(f"{path}: expected the tensors of pca.Optimum, found {', '.join(tensors)}; dvc repro -f pca")
    return Optimum(**tensors)


def _read(path: Path, remedy: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    with _opened(path, remedy, "pt") as file:
        return {name: file.get_tensor(name) for name in sorted(file.keys())}, file.metadata() or {}


@contextmanager
def _opened(path: Path, remedy: str, framework: str) -> Iterator[Any]:
    try:
        with safe_open(path, framework=framework) as file:
            yield file
    except FileNotFoundError:
        raise UserError(f"{path}: not found; {remedy}") from None
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: expected a safetensors file, found {error}; {remedy}") from None
