"""Steps of SGD on the linear autoencoder, its gradients derived by hand: five products, three passes per weight."""

from functools import cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from autoencoder.kernels.products import array
from autoencoder.models.linear import LinearAutoencoder
from autoencoder.training.optimizers import SGD
from autoencoder.training.replay import Step

Array = NDArray[Any]


def linear_sgd(model: LinearAutoencoder, optimizer: SGD) -> Step:
    """Steps of SGD on the linear model on the CPU: the same as autograd's, but for rounding.

    With h = x W_encᵀ and e = h W_decᵀ - x the loss is the mean of e² over the n = batch · input entries of e. Its
    gradients are 2/n · eᵀh for W_dec and 2/n · (e W_dec)ᵀx for W_enc, and SGD does v ← momentum · v + gradient and
    W ← W - learning_rate · v. Here the optimizer's velocities hold learning_rate · v, so that W ← W - v is left of
    that, and the factor learning_rate · 2/n goes into h and e W_dec, which are far smaller than the gradients.
    """
    encoder, decoder = array(model.encoder.linear.weight), array(model.decoder.linear.weight)
    encoder_velocity, decoder_velocity = map(array, optimizer.velocities)  # in the order of model.parameters()
    encoder_gradient = np.empty_like(encoder)
    decoder_gradient = encoder_gradient.reshape(decoder.shape)  # the same memory: one is used after the other
    encoder_t, decoder_t = encoder.T, decoder.T  # to make a view takes as long as a small operation
    number = encoder.dtype.type
    momentum = number(optimizer.momentum)

    @cache  # an epoch's last batch may be shorter than the others
    def buffers(batch: int) -> tuple[Array, Array, Array, Array, Array, Array, Any, Any]:
        code, error, error_of_code = (
            np.empty((batch, n), encoder.dtype) for n in (len(encoder), len(decoder), len(encoder))
        )
        size = error.size
        scale = number(optimizer.learning_rate * 2 / size)
        return code, error, error_of_code, error.T, error_of_code.T, error.ravel(), number(size), scale

    def descend(weight: Array, velocity: Array, gradient: Array) -> None:
        np.multiply(velocity, momentum, velocity)
        np.add(velocity, gradient, velocity)
        np.subtract(weight, velocity, weight)

    @np.errstate(all="ignore")  # what diverges becomes inf or nan, as in torch
    def step(batch: Float[Tensor, "batch input"]) -> Float[Tensor, ""]:
        x = batch.numpy()
        code, error, error_of_code, error_t, error_of_code_t, errors, size, scale = buffers(len(x))
        np.matmul(x, encoder_t, code)
        np.matmul(code, decoder_t, error)
        np.subtract(error, x, error)
        np.matmul(error, decoder, error_of_code)
        np.multiply(code, scale, code)
        np.multiply(error_of_code, scale, error_of_code)
        np.matmul(error_t, code, decoder_gradient)
        descend(decoder, decoder_velocity, decoder_gradient)
        np.matmul(error_of_code_t, x, encoder_gradient)
        descend(encoder, encoder_velocity, encoder_gradient)
        return torch.from_numpy(np.asarray(np.dot(errors, errors) / size))

    return step
