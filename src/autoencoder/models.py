"""The linear undercomplete autoencoder, the scale of what goes into it, and the error of what comes out."""

import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor, nn


def scale(images: UInt8[Tensor, "batch *image"]) -> Float[Tensor, "batch input"]:
    """Pixels in 0…255 as float32 inputs in [-1, 1], one row per image.

    The article's ToTensor and Normalize(0.5, 0.5), in one multiplication and one subtraction.
    """
    return images.flatten(1).float().mul_(2 / 255).sub_(1)


def unscale(x: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """Inputs or reconstructions as pixels in [0, 1]: 0.5 (x + 1), clamped."""
    return (0.5 * (x + 1)).clamp(0, 1)


class Encoder(nn.Module):
    """code = W_enc x, without bias; W_enc is [code, input]."""

    def __init__(self, input_dimensions: int, code_dimensions: int) -> None:
        super().__init__()
        self.linear = nn.Linear(input_dimensions, code_dimensions, bias=False)

    def forward(self, x: Float[Tensor, "batch input"]) -> Float[Tensor, "batch code"]:
        code: Tensor = self.linear(x)
        return code


class Decoder(nn.Module):
    """reconstruction = W_dec code, without bias; W_dec is [input, code]."""

    def __init__(self, code_dimensions: int, input_dimensions: int) -> None:
        super().__init__()
        self.linear = nn.Linear(code_dimensions, input_dimensions, bias=False)

    def forward(self, code: Float[Tensor, "batch code"]) -> Float[Tensor, "batch input"]:
        reconstruction: Tensor = self.linear(code)
        return reconstruction


class LinearAutoencoder(nn.Module):
    """reconstruction = W_dec W_enc x: a map of rank `code_dimensions`.

    Its optimum under the squared error is the projector onto the principal subspace of the uncentred data
    (Baldi & Hornik 1989, "Neural networks and principal component analysis"; Eckart & Young 1936).
    """

    def __init__(self, input_dimensions: int, code_dimensions: int) -> None:
        super().__init__()
        self.encoder = Encoder(input_dimensions, code_dimensions)
        self.decoder = Decoder(code_dimensions, input_dimensions)

    def encode(self, x: Float[Tensor, "batch input"]) -> Float[Tensor, "batch code"]:
        """The codes of scaled inputs."""
        code: Tensor = self.encoder(x)
        return code

    def decode(self, code: Float[Tensor, "batch code"]) -> Float[Tensor, "batch input"]:
        """The reconstructions that codes stand for, on the scale of the inputs."""
        reconstruction: Tensor = self.decoder(code)
        return reconstruction

    def forward(self, x: Float[Tensor, "batch input"]) -> Float[Tensor, "batch input"]:
        return self.decode(self.encode(x))


MODELS = {"linear": LinearAutoencoder}


def build(name: str, *, input_dimensions: int, code_dimensions: int, seed: int) -> LinearAutoencoder:
    """A new model with PyTorch's default initialisation, drawn on the CPU so that it is the same for every device."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MODELS[name](input_dimensions, code_dimensions)


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
