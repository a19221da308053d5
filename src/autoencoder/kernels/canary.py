"""Whether this machine gives the promised bytes: a few operations of each kind, whose results' hashes are known.

`python tests/operations.py` prints the hashes that are found here, as they stand in EXPECTED.
"""

import hashlib
from collections.abc import Callable, Iterable
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as f

Result = Tensor | Iterable[Tensor]


def numbers(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Different numbers in [-1, 1), made by whole numbers and one division: they are the same on every machine."""
    count = torch.Size(shape).numel()
    return (torch.arange(count) * 7919 % 2003).to(dtype).sub_(1001).div_(1001).reshape(shape)


def symmetric(size: int) -> Tensor:
    """A symmetric positive definite matrix in float64."""
    a = numbers(size, size, dtype=torch.float64)
    return (a[:, :, None] * a.T[None]).sum(1) + torch.eye(size, dtype=torch.float64)


def gradients(operation: Callable[..., Tensor], *inputs: Tensor) -> list[Tensor]:
    """The result of an operation, and the gradients of the sum of its squares."""
    leaves = [x.requires_grad_() for x in inputs]
    result = operation(*leaves)
    return [result, *torch.autograd.grad(result.square().sum(), leaves)]


def adam() -> list[Tensor]:
    """Three steps of Adam."""
    weight, gradient, mean, square, step = numbers(77), numbers(77).flip(0), *torch.zeros(2, 77), torch.zeros(())
    for _ in range(3):
        step += 1
        torch._fused_adam_(
            [weight], [gradient], [mean], [square], [], [step],
            lr=1e-3, beta1=0.9, beta2=0.999, weight_decay=0.0, eps=1e-8, amsgrad=False, maximize=False,
        )  # fmt: skip
    return [weight, mean, square]


def drawn() -> list[Tensor]:
    """Random numbers of all kinds from a seeded generator."""
    g = torch.Generator().manual_seed(42)
    permutation, uniform, normal = (draw(999, generator=g) for draw in (torch.randperm, torch.rand, torch.randn))
    doubles = torch.randn(99, generator=g, dtype=torch.float64)
    return [permutation, uniform, normal, doubles, torch.empty(99).bernoulli_(0.3, generator=g)]


OPERATIONS: dict[str, Callable[[], Result]] = {
    "matrix product": lambda: gradients(torch.mm, numbers(33, 784), numbers(784, 31)),
    "matrix product of a batch of one": lambda: gradients(torch.mm, numbers(1, 784), numbers(784, 7)),
    "matrix product in float64": lambda: torch.mm(symmetric(65), symmetric(65)),
    "product of batches": lambda: torch.bmm(numbers(3, 17, 40), numbers(3, 40, 9)),
    "product with a vector": lambda: torch.mv(numbers(65, 129), numbers(129)),
    "linear layer": lambda: gradients(f.linear, numbers(32, 65), numbers(17, 65), numbers(17)),
    "exponential": lambda: numbers(501).exp(),
    "logarithm": lambda: numbers(501).add(1.5).log(),
    "hyperbolic tangent": lambda: numbers(501).tanh(),
    "square root, arc cosine": lambda: [numbers(501).abs().sqrt(), numbers(501).double().acos()],
    "sigmoid": lambda: numbers(501).mul(5).sigmoid(),
    "softplus, gelu": lambda: [f.softplus(numbers(501).mul(5)), f.gelu(numbers(501).mul(5))],
    "softmax, logsumexp": lambda: [numbers(9, 101).softmax(1), numbers(9, 101).logsumexp(1)],
    "sum, mean": lambda: [numbers(33, 501).sum(), numbers(33, 501).mean(0), numbers(33, 501).cumsum(1)],
    "sort, top-k": lambda: [*numbers(3, 5000).sort(1), *numbers(9, 64).round(decimals=1).topk(16, 1)],
    "max-pooling": lambda: f.max_pool2d(numbers(3, 4, 14, 14), 2, return_indices=True),
    "convolution": lambda: gradients(
        lambda x, w: f.conv2d(x, w, stride=2, padding=1), numbers(4, 3, 20, 20), numbers(8, 3, 3, 3)
    ),
    "transposed convolution": lambda: gradients(
        lambda x, w: f.conv_transpose2d(x, w, stride=2, padding=1), numbers(4, 8, 10, 10), numbers(8, 3, 4, 4)
    ),
    "resizing": lambda: f.interpolate(numbers(1, 3, 31, 31), (17, 17), mode="bilinear", antialias=True),
    "step of Adam": adam,
    "eigenvectors": lambda: torch.linalg.eigh(symmetric(24)),
    "singular values": lambda: torch.linalg.svd(numbers(24, 17, dtype=torch.float64)),
    "QR, Cholesky": lambda: [*torch.linalg.qr(symmetric(24)), torch.linalg.cholesky(symmetric(24))],
    "random numbers": drawn,
}
EXPECTED: dict[str, str] = {
    "matrix product": "61dd5c546f5142ff",
    "matrix product of a batch of one": "ce722af96b9111e4",
    "matrix product in float64": "190b2bd4dfdb9bcc",
    "product of batches": "2f028e2df7d7b2ea",
    "product with a vector": "09dc13ac8a65bf1d",
    "linear layer": "c4c629ecc8843604",
    "exponential": "2e52037925381be9",
    "logarithm": "6ed246bd53cf68a4",
    "hyperbolic tangent": "a150b981986d0817",
    "square root, arc cosine": "c919ffda7ad7bd89",
    "sigmoid": "458cb7d9701186b2",
    "softplus, gelu": "75b65740f2e14841",
    "softmax, logsumexp": "8fcd8f17da8b5d15",
    "sum, mean": "d762342cfbc45bac",
    "sort, top-k": "722bdd8151f3ffe9",
    "max-pooling": "ca437e0d5150c47e",
    "convolution": "d6db3c68b19408c0",
    "transposed convolution": "0b52d27da643cfb3",
    "resizing": "19c693b6f2471ac5",
    "step of Adam": "71de65b31b508465",
    "eigenvectors": "a7f95e30d05ef18e",
    "singular values": "afc5c50cec7767cb",
    "QR, Cholesky": "77479ed2a35fc616",
    "random numbers": "f748ee7f4e2fdfd1",
}


def found() -> dict[str, str]:
    """The hash of each operation's result on this machine."""
    return {name: digest(operation()) for name, operation in OPERATIONS.items()}


def digest(result: Result) -> str:
    """A hash of all bytes of one or several tensors on the CPU."""
    tensors = [result] if isinstance(result, Tensor) else result
    return hashlib.sha256(b"".join(x.detach().contiguous().numpy().tobytes() for x in tensors)).hexdigest()[:16]


@cache
def different() -> tuple[str, ...]:
    """The operations whose results here are not those that are promised, by name. Takes some hundredths of a second."""
    return tuple(name for name, value in found().items() if value != EXPECTED.get(name))
