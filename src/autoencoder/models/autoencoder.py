"""What every model is: an encoder, a constraint on the code, and a decoder."""

from jaxtyping import Float
from torch import Tensor, nn

from autoencoder.models.constraint import Constraint


class Autoencoder(nn.Module):
    """A map of scaled images, one row of pixels each, to codes and back. It knows no loss.

    `encoder` maps inputs [batch, input] to [batch, constraint.width(code)], `decoder` codes [batch, code] to
    [batch, input]. `lowest` is black on the scale of the inputs, -1 or 0; white is 1. With 0, pixels are probabilities,
    and the decoder puts out their logits.
    """

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, constraint: Constraint | None = None, lowest: float = -1.0
    ) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.constraint, self.lowest = constraint or Constraint(), lowest

    def encode(self, x: Float[Tensor, "batch input"]) -> Float[Tensor, "batch code"]:
        """The codes of scaled images, without noise."""
        return self.constraint.code(self.encoder(x))

    def decode(self, code: Float[Tensor, "batch code"]) -> Float[Tensor, "batch input"]:
        """The reconstructions that codes stand for, on the scale of the images."""
        return self.reconstruction(self.decoder(code))

    def reconstruction(self, decoded: Float[Tensor, "batch input"]) -> Float[Tensor, "batch input"]:
        """What the decoder puts out, on the scale of the images."""
        return decoded.sigmoid() if self.lowest == 0 else decoded

    def forward(self, x: Float[Tensor, "batch input"]) -> Float[Tensor, "batch input"]:
        """The reconstructions of scaled images."""
        return self.decode(self.encode(x))
