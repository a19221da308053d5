"""The linear undercomplete autoencoder of the article."""

from jaxtyping import Float
from torch import Tensor, nn

from autoencoder.models.autoencoder import Autoencoder


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


class LinearAutoencoder(Autoencoder):
    """reconstruction = W_dec W_enc x: a map of rank `code_dimensions`.

    Its optimum under the squared error is the projector onto the principal subspace of the uncentred data
    (Baldi & Hornik 1989, "Neural networks and principal component analysis"; Eckart & Young 1936).
    """

    encoder: Encoder
    decoder: Decoder

    def __init__(self, input_dimensions: int, code_dimensions: int) -> None:
        super().__init__(Encoder(input_dimensions, code_dimensions), Decoder(code_dimensions, input_dimensions))
