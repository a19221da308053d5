"""What a model is trained and judged by: the squared error of its reconstructions."""

import torch
from jaxtyping import Float64, UInt8
from torch import Tensor, nn

from autoencoder.data.images import scale


@torch.no_grad()
def squared_errors(model: nn.Module, images: UInt8[Tensor, "n *image"], batch_size: int) -> Float64[Tensor, " n"]:
    """Per image, the mean over its pixels of (reconstruction - x)², in units of the scaled inputs."""
    device = next(model.parameters()).device
    errors = []
    for batch in images.split(batch_size):
        x = scale(batch.to(device))
        errors.append((model(x) - x).square().mean(1).cpu().double())
    return torch.cat(errors)


def mean_squared_error(model: nn.Module, images: UInt8[Tensor, "n *image"], batch_size: int) -> float:
    """`squared_errors`, summed in float64 and divided once: it does not depend on the batch size beyond rounding."""
    return squared_errors(model, images, batch_size).sum().item() / len(images)
