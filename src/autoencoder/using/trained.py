"""A trained model and the errors of its test images: the workspace's, a file's, a run's, or a registered one."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor

from autoencoder import paths
from autoencoder.data.decode import Wanted
from autoencoder.data.images import scale, unscale
from autoencoder.files import read_csv
from autoencoder.models.autoencoder import Autoencoder
from autoencoder.models.saved import Description, load_model
from autoencoder.training.objective import mse_per_image


@dataclass(frozen=True)
class Trained:
    """A model, and `test_errors`, the rows of metrics/test_errors.csv; None if these are not known."""

    model: Autoencoder
    description: Description
    test_errors: list[dict[str, float]] | None

    @property
    def wanted(self) -> Wanted:
        """What pictures are made into: images of the shape on which the model was trained."""
        channels, height, width = self.description.image_shape
        return Wanted((height, width), channels)

    @torch.no_grad()
    def encode(
        self, images: UInt8[Tensor, "n channels height width"]
    ) -> tuple[Float[Tensor, "n code"], Float64[Tensor, " n"]]:
        """The codes of images, and the squared error of each: the sum over its pixels, which are between 0 and 1."""
        x = scale(images, self.model.lowest)
        codes = self.model.encode(x)
        errors = mse_per_image(self.model.decode(codes), x, self.model.lowest)
        return codes, errors.double() * (x.shape[1] / 4)

    @torch.no_grad()
    def decode(self, codes: Float[Tensor, "n code"]) -> UInt8[Tensor, "n channels height width"]:
        """The images that codes stand for."""
        pixels = unscale(self.model.decode(codes), self.model.lowest).mul(255).round().byte()
        return pixels.reshape(-1, *self.description.image_shape)

    def percentiles(self, errors: Float64[Tensor, " n"]) -> Float64[Tensor, " n"]:
        """The share, in percent, of the test images with no greater error; nan if their errors are not known."""
        if self.test_errors is None:
            return torch.full_like(errors, torch.nan)
        known = [row["squared_error"] for row in self.test_errors]
        shares = [100 * row["share"] for row in self.test_errors]
        return torch.from_numpy(np.interp(errors.numpy(), known, shares))


def load(source: str | None) -> Trained:
    """The trained model `source`: None is the workspace's, else a file, a run's id, `models:/NAME@ALIAS` or `/VERSION`.

    The errors of a file's test images are read from test_errors.csv beside it, for models/autoencoder.safetensors from
    the metrics of that workspace. Raises UserError.
    """
    source = source or str(paths.MODEL)
    if Path(source).is_file() or source.endswith(".safetensors"):
        file = Path(source).absolute()
        of_workspace = file.parts[-len(paths.MODEL.parts) :] == paths.MODEL.parts
        errors = file.parents[1] / paths.TEST_ERRORS if of_workspace else file.with_name(paths.TEST_ERRORS.name)
        return _read(Path(source), errors)
    from autoencoder.tracking import fetch
    from autoencoder.tracking.store import Store

    with tempfile.TemporaryDirectory() as folder:
        return _read(*fetch.fetch(Store(create=False), source, [paths.MODEL, paths.TEST_ERRORS], Path(folder)))


def _read(model: Path, errors: Path) -> Trained:
    return Trained(*load_model(model), read_csv(errors) if errors.exists() else None)
