"""Models on disk, without pickle: the weights, and the description that rebuilds the network."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import save

from autoencoder import paths
from autoencoder.data import tensors
from autoencoder.data.images import Images
from autoencoder.errors import UserError
from autoencoder.files import write_atomically
from autoencoder.models.autoencoder import Autoencoder
from autoencoder.models.linear import LinearAutoencoder

MODELS = {"linear": LinearAutoencoder}


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

    def build(self, seed: int = 0) -> Autoencoder:
        """A new model with PyTorch's default weights, which are drawn on the CPU: equal for every device."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return MODELS[self.model](self.input_dimensions, self.code_dimensions)


def describe(images: Images, *, name: str, code_dimensions: int) -> Description:
    """The model `name` of params.yaml for `images`.

    Raises UserError if its code is not shorter than an image.
    """
    description = Description(name, code_dimensions, images.shape)
    if code_dimensions >= description.input_dimensions:
        raise UserError(
            "params.yaml: model.code_dimensions: "
            f"expected fewer than the {description.input_dimensions} pixels of an image, "
            f"found {code_dimensions}; an undercomplete autoencoder must compress"
        )
    return description


def save_model(model: Autoencoder, description: Description, path: Path = paths.MODEL) -> None:
    """Write weights and description. One metadata key: safetensors writes several in random order."""
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    write_atomically(path, save(weights, {"autoencoder": json.dumps(asdict(description))}))


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
