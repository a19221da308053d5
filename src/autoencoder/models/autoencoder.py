"""What every model is: an encoder and a decoder."""

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor, nn


class Autoencoder(nn.Module, ABC):
    """A map of scaled images, one row of pixels each, to codes and back. It knows no loss."""

    @abstractmethod
    def encode(self, x: Float[Tensor, "batch input"]) -> Float[Tensor, "batch code"]:
        """The codes of scaled images."""

    @abstractmethod
    def decode(self, code: Float[Tensor, "batch code"]) -> Float[Tensor, "batch input"]:
        """The reconstructions that codes stand for, on the scale of the images."""

    def forward(self, x: Float[Tensor, "batch input"]) -> Float[Tensor, "batch input"]:
        """The reconstructions of scaled images."""
        return self.decode(self.encode(x))
