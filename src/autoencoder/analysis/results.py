"""The workspace's images, model and optimum, which belong together."""

import math
from dataclasses import dataclass

from autoencoder import paths
from autoencoder.analysis.optimum import Optimum, load_optimum
from autoencoder.data.images import Images, load_images
from autoencoder.errors import UserError
from autoencoder.models.autoencoder import Autoencoder
from autoencoder.models.saved import Description, load_model


@dataclass(frozen=True)
class Results:
    """What the stages `download`, `train` and `pca` left in the workspace."""

    images: Images
    model: Autoencoder
    description: Description
    optimum: Optimum


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
    ranks, wanted = len(results.optimum.test_mse) - 1, results.description.code_dimensions
    if wanted > ranks:
        raise UserError(
            f"{paths.OPTIMUM}: expected the optimum at rank {wanted}, the code's length, found "
            f"{ranks} ranks, as for all images of so many pixels; lower model.code_dimensions or data.image_size"
        )
    return results
