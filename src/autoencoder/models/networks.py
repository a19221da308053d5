"""Encoders and decoders, as functions of the images' shape and the code's length. A model is one of NETWORKS.

Each function takes the keys of the section `model` of params.yaml that it names, and returns an encoder, which maps
inputs [batch, input] to [batch, width], and a decoder, which maps codes [batch, code] to [batch, input].
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import nn

from autoencoder.models.linear import Decoder, Encoder

Shape = tuple[int, int, int]  # channels, height, width
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}


def linear(image_shape: Shape, code_dimensions: int, width: int) -> tuple[nn.Module, nn.Module]:
    """One matrix each, without biases: the article's model."""
    inputs = math.prod(image_shape)
    return Encoder(inputs, width), Decoder(code_dimensions, inputs)


def mlp(
    image_shape: Shape, code_dimensions: int, width: int, *, hidden: Sequence[int], activation: str
) -> tuple[nn.Module, nn.Module]:
    """Encoder input-hidden…-width and decoder code-…hidden-input, with biases; only hidden layers have the activation.

    Hinton & Salakhutdinov 2006, "Reducing the dimensionality of data with neural networks". Without hidden layers this
    is the affine autoencoder, whose optimum is centred PCA (Bourlard & Kamp 1988).
    """
    inputs = math.prod(image_shape)
    return (
        _layers([inputs, *hidden, width], ACTIVATIONS[activation]),
        _layers([code_dimensions, *reversed(hidden), inputs], ACTIVATIONS[activation]),
    )


def _layers(sizes: Sequence[int], activation: type[nn.Module]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for size, following in pairwise(sizes):
        layers += [nn.Linear(size, following), activation()]
    return nn.Sequential(*layers[:-1])


def convolutional(
    image_shape: Shape, code_dimensions: int, width: int, *, channels: Sequence[int], activation: str
) -> tuple[nn.Module, nn.Module]:
    """Convolutions of stride 2, an affine layer to the code and back, transposed convolutions of stride 2.

    Masci et al. 2011, "Stacked convolutional auto-encoders for hierarchical feature extraction"; strides stand for
    pooling (Springenberg et al. 2015). Each convolution (3 × 3, padding 1) halves height and width, rounded up; its
    mirror image restores them, so that images of every height and width will do.
    """
    act = ACTIVATIONS[activation]
    depth, *size = image_shape
    down: list[nn.Module] = [nn.Unflatten(1, image_shape)]
    up: list[nn.Module] = [nn.Flatten()]
    for features in channels:
        even = (1 - size[0] % 2, 1 - size[1] % 2)  # of two sizes that are halved to the same, the even one
        down += [nn.Conv2d(depth, features, 3, stride=2, padding=1), act()]
        up += [nn.ConvTranspose2d(features, depth, 3, stride=2, padding=1, output_padding=even), act()]
        depth, size = features, [-(-edge // 2) for edge in size]
    inner = (depth, *size)
    encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(math.prod(inner), width))
    up += [nn.Unflatten(1, inner), nn.Linear(code_dimensions, math.prod(inner))]
    return encoder, nn.Sequential(*reversed(up))


NETWORKS: dict[str, Callable[..., tuple[nn.Module, nn.Module]]] = {
    "linear": linear,
    "mlp": mlp,
    "convolutional": convolutional,
}
