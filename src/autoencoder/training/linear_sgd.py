"""Steps of SGD on the linear model with gradients derived by hand: that model's lesson, and its fastest training."""

from collections.abc import Callable
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from autoencoder.models.linear import LinearAutoencoder
from autoencoder.training.optimizers import SGD


def linear_sgd(model: LinearAutoencoder, optimizer: SGD) -> Callable[[Float[Tensor, "batch input"]], Float[Tensor, ""]]:
    """Steps of SGD on the linear model: the same as `autograd`, its gradients derived by hand.

    With h = x W_encᵀ, e = h W_decᵀ - x and c = 2 / (batch · input), the gradients of mean(e²) are
    c eᵀh for W_dec and c (e W_dec)ᵀx for W_enc. They are added to the velocities in the product itself.
    """
    encoder, decoder = (weight.detach() for weight in (model.encoder.linear.weight, model.decoder.linear.weight))
    encoder_velocity, decoder_velocity = optimizer.velocities  # in the order of model.parameters()
    momentum, learning_rate = optimizer.momentum, optimizer.learning_rate

    @cache  # an epoch's last batch may be shorter than the others
    def buffers(batch: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, int]:
        code, error, error_of_code = (encoder.new_empty(batch, n) for n in (len(encoder), len(decoder), len(encoder)))
        return code, error, error_of_code, error.T, error_of_code.T, error.flatten(), error.numel()

    encoder_t, decoder_t = encoder.T, decoder.T  # here and above: to make a view takes as long as a small operation

    def learn(x: Float[Tensor, "batch input"]) -> Float[Tensor, ""]:
        code, error, error_of_code, error_t, error_of_code_t, errors, size = buffers(x.shape[0])
        c = 2 / size
        torch.mm(x, encoder_t, out=code)
        torch.mm(code, decoder_t, out=error).sub_(x)
        torch.mm(error, decoder, out=error_of_code)
        decoder_velocity.addmm_(error_t, code, beta=momentum, alpha=c)
        encoder_velocity.addmm_(error_of_code_t, x, beta=momentum, alpha=c)
        decoder.add_(decoder_velocity, alpha=-learning_rate)
        encoder.add_(encoder_velocity, alpha=-learning_rate)
        return torch.dot(errors, errors).div_(size)  # half the time of error.square().mean()

    return learn
