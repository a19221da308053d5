"""Models on disk, without pickle: the weights, and the description that rebuilds the network."""

import inspect
import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from autoencoder import paths
from autoencoder.data import tensors
from autoencoder.data.images import Images
from autoencoder.errors import UserError
from autoencoder.files import write_atomically
from autoencoder.models.autoencoder import Autoencoder
from autoencoder.models.constraint import CONSTRAINTS
from autoencoder.models.linear import LinearAutoencoder
from autoencoder.models.networks import NETWORKS

NONE = {"name": "none"}
LOWEST = {"mse": -1.0, "bce": 0.0}  # black, on the scale of inputs that each loss asks for


@dataclass(frozen=True)
class Description:
    """All that rebuilds a model besides its weights, and what was asked of it.

    `image_shape` is (channels, height, width), `options` are the keys that the network takes (see `networks`),
    `constraint` and `corruption` are sections of params.yaml, reduced to `NONE` where their name is that.
    """

    model: str
    code_dimensions: int
    image_shape: tuple[int, int, int]
    options: Mapping[str, Any] = field(default_factory=dict)
    constraint: Mapping[str, Any] = field(default_factory=NONE.copy)
    corruption: Mapping[str, Any] = field(default_factory=NONE.copy)
    loss: str = "mse"

    @property
    def input_dimensions(self) -> int:
        """Pixels per image."""
        return math.prod(self.image_shape)

    def build(self, seed: int = 0) -> Autoencoder:
        """A new model with PyTorch's default weights, which are drawn on the CPU: equal for every device."""
        asked = {name: value for name, value in self.constraint.items() if name != "name"}
        constraint = CONSTRAINTS[self.constraint["name"]](**asked)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            if (self.model, self.constraint, self.loss) == ("linear", NONE, "mse"):
                return LinearAutoencoder(self.input_dimensions, self.code_dimensions)
            width = constraint.width(self.code_dimensions)
            networks = NETWORKS[self.model](self.image_shape, self.code_dimensions, width, **self.options)
            return Autoencoder(*networks, constraint, LOWEST[self.loss])


def describe(
    images: Images,
    model: Mapping[str, Any],
    corruption: Mapping[str, Any] = NONE,
    constraint: Mapping[str, Any] = NONE,
    loss: str = "mse",
) -> Description:
    """The model for `images` that the sections of params.yaml ask for.

    Raises UserError if its code is not shorter than an image, though nothing else is asked of it.
    """
    taken = inspect.signature(NETWORKS[model["name"]]).parameters.keys() - {"code_dimensions"}
    description = Description(
        model["name"],
        model["code_dimensions"],
        images.shape,
        {key: value for key, value in model.items() if key in taken},
        NONE if constraint["name"] == "none" else constraint,
        NONE if corruption["name"] == "none" else corruption,
        loss,
    )
    asked_nothing = description.constraint == description.corruption == NONE
    if asked_nothing and description.code_dimensions >= description.input_dimensions:
        raise UserError(
            "params.yaml: model.code_dimensions: "
            f"expected fewer than the {description.input_dimensions} pixels of an image, "
            f"found {description.code_dimensions}; an autoencoder without constraint and corruption must compress"
        )
    return description


def save_model(model: Autoencoder, description: Description, path: Path = paths.MODEL) -> None:
    """Write weights and description. One metadata key: safetensors writes several in random order."""
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    write_atomically(path, save(weights, {"autoencoder": json.dumps(_told(description))}))


def _told(description: Description) -> dict[str, Any]:
    """The fields that differ from their defaults: a description of an earlier version is that of the same model."""
    told = {}
    for each in fields(description):
        value, make = getattr(description, each.name), each.default_factory
        if value != (each.default if make is MISSING else make()):
            told[each.name] = value
    return told


def load_model(path: Path = paths.MODEL) -> tuple[Autoencoder, Description]:
    """The model of `save_model`, on the CPU, in evaluation mode. Raises UserError if the file is not one."""
    weights, metadata = tensors.read(path, "dvc repro train")
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
