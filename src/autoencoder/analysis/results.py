"""The workspace's images, model and optimum, which belong together."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from autoencoder import paths
from autoencoder.analysis.optimum import Optimum, load_optimum
from autoencoder.data.images import Images, load_images, scale
from autoencoder.errors import UserError
from autoencoder.models.autoencoder import Autoencoder
from autoencoder.models.saved import Description, load_model

BATCH = 1_000


@dataclass(frozen=True)
class Results:
    """What the stages `download`, `train` and `pca` left in the workspace."""

    images: Images
    model: Autoencoder
    description: Description
    optimum: Optimum

    @property
    def centred(self) -> bool:
        """Whether the model may add a constant, so that PCA about the mean is what it is compared with."""
        return self.description.model != "linear"

    @property
    def rank(self) -> int:
        """The length of the code, as the rank of a map: at most the number of pixels."""
        return min(self.description.code_dimensions, self.description.input_dimensions)

    def optimum_mse(self, split: str) -> float | None:
        """The error of PCA with a code of the same length; None if that is as long as an image, or unknown."""
        if self.description.code_dimensions >= min(self.description.input_dimensions, len(self.optimum.test_mse)):
            return None
        return self.optimum.by_rank(split, centred=self.centred)[self.rank].item()

    def inputs(self, images: UInt8[Tensor, "n *image"]) -> Float[Tensor, "n input"]:
        """Images on the model's scale."""
        return scale(images, self.model.lowest)

    @torch.no_grad()
    def codes(self, images: UInt8[Tensor, "n *image"]) -> Float[Tensor, "n code"]:
        """The codes of images, on the CPU."""
        device = next(self.model.parameters()).device
        return torch.cat([self.model.encode(self.inputs(batch).to(device)).cpu() for batch in images.split(BATCH)])


def load_results() -> Results:
    """The results in the workspace. Raises UserError unless all are of images of one shape."""
    results = Results(load_images(), *load_model(), load_optimum())
    shape = results.images.shape
    for path, fits in (
        (paths.MODEL, results.description.image_shape == shape),
        (paths.OPTIMUM, len(results.optimum.axes) == math.prod(shape)),
    ):
        if not fits:
            raise UserError(
                f"{path}: expected one of images of {shape}, as in {paths.IMAGES}, found another; dvc repro"
            )
    return results
