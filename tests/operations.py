"""A table of operations × sizes, to be compared between CPUs: `python tests/operations.py` prints a hash of each.

`emulated_cpus.py` does so on several CPUs. `--canary` prints the hashes of `canary.EXPECTED`, as they stand there.
"""

import sys
from collections.abc import Callable, Iterator
from itertools import product
from typing import TYPE_CHECKING

from autoencoder import numerics, params

if TYPE_CHECKING:
    from torch import Tensor

Case = tuple[str, Callable[[], "Tensor | list[Tensor]"]]
# Rows, inner size and columns: batches of one, odd sizes, codes of 7 and 31, the sizes of MNIST's models, deep sums.
PRODUCTS = [
    (1, 784, 32), (1, 64, 7), (7, 784, 7), (32, 784, 32), (32, 32, 784), (32, 784, 31), (128, 784, 512),
    (128, 512, 256), (100, 256, 31), (784, 32, 32), (33, 1, 5), (5, 4096, 3), (3, 3, 3), (64, 1568, 32), (17, 129, 1),
    (1, 1, 1), (257, 65, 33),
]  # fmt: skip
SIZES = [1, 7, 32, 1003, 70_000]
SHAPES = [(3, 5), (32, 784), (1, 1001), (129, 33)]
OF_ANY = (
    "exp",
    "expm1",
    "exp2",
    "tanh",
    "sigmoid",
    "erf",
    "erfc",
    "sin",
    "cos",
    "tan",
    "sinh",
    "cosh",
    "atan",
    "square",
)
OF_POSITIVE = ("sqrt", "rsqrt", "log", "log1p", "log2", "log10", "lgamma", "digamma")
CONVOLUTIONS = [  # batch, channels in and out, height, kernel, stride, padding
    (1, 1, 16, 28, 3, 1, 1), (4, 1, 16, 28, 3, 2, 1), (32, 16, 32, 14, 3, 2, 1), (4, 3, 16, 32, 3, 1, 1),
    (4, 3, 16, 32, 4, 2, 1), (2, 3, 7, 20, 5, 1, 2), (1, 3, 8, 32, 3, 2, 1), (128, 1, 8, 28, 3, 2, 1),
]  # fmt: skip


def cases() -> Iterator[Case]:
    """Every operation of the table by its name."""
    for part in (products, elementwise, reductions, rows, images, steps, decompositions, sampling):
        yield from part()


def products() -> Iterator[Case]:
    """Matrix products with all transpositions, in float32 and float64; with vectors, batches, sums, and gradients."""
    import torch
    from torch.nn import functional as f

    from autoencoder.kernels.canary import gradients, numbers

    for (n, k, p), dtype in product(PRODUCTS, (torch.float32, torch.float64)):
        for a, b in product((0, 1), (0, 1)):
            left = numbers(k, n, dtype=dtype).T if a else numbers(n, k, dtype=dtype)
            right = numbers(p, k, dtype=dtype).T if b else numbers(k, p, dtype=dtype)
            yield f"mm {n}x{k}x{p} {'nt'[a]}{'nt'[b]} {dtype}", lambda left=left, right=right: left @ right
    for n, k, p in PRODUCTS:
        x, w = numbers(n, k), numbers(p, k)
        name = f"{n}x{k}x{p}"
        yield f"linear {name}", lambda x=x, w=w, p=p: gradients(f.linear, x, w, numbers(p))
        yield f"addmm {name}", lambda x=x, w=w, p=p: torch.addmm(numbers(p), x, w.T, beta=0.5, alpha=2)
        yield f"mv {name}", lambda x=x, k=k: [torch.mv(x, numbers(k)), torch.mv(x.T, numbers(len(x)))]
        yield f"dot {name}", lambda x=x: torch.dot(x.flatten(), x.flatten())
        yield f"strided mm {name}", lambda x=x, w=w: x[:, ::2] @ w[:, ::2].T
        yield f"bmm {name}", lambda n=n, k=k, p=p: numbers(3, n, k) @ numbers(3, k, p)
        yield f"cdist {name}", lambda x=x, w=w: torch.cdist(x, w)
        yield f"einsum {name}", lambda x=x, w=w: torch.einsum("nk,pk->np", x, w)
    query = numbers(2, 4, 33, 16)
    yield "attention", lambda: f.scaled_dot_product_attention(query, query, query)


def elementwise() -> Iterator[Case]:
    """Functions of single numbers, and their gradients."""
    import torch
    from torch.nn import functional as f

    from autoencoder.kernels.canary import gradients, numbers

    functions = {name: getattr(torch, name) for name in (*OF_ANY, *OF_POSITIVE)}
    functions |= {"softplus": f.softplus, "gelu": f.gelu, "silu": f.silu, "elu": f.elu, "logsigmoid": f.logsigmoid}
    functions |= {"relu": f.relu, "leaky_relu": f.leaky_relu, "selu": f.selu, "mish": f.mish}
    for (name, function), size, dtype in product(functions.items(), SIZES, (torch.float32, torch.float64)):
        for scale in (0.4, 8.0):
            x = (numbers(size, dtype=dtype) + (1.001 if name in OF_POSITIVE else 0)) * scale
            yield f"{name} {size} ×{scale} {dtype}", lambda function=function, x=x: gradients(function, x.clone())
    for size in SIZES:
        x, y = numbers(size), numbers(size).flip(0)
        yield (
            f"arithmetic {size}",
            lambda x=x, y=y: [x + y, x - y, x * y, x / (y + 2), torch.addcmul(x, x, y, value=0.3)],
        )
        yield f"arcs {size}", lambda x=x: [x.asin(), x.acos(), x.double().asin(), x.double().acos(), x.abs().sqrt_()]
        yield f"lerp, atan2 {size}", lambda x=x, y=y: [torch.lerp(x, y, 0.3), torch.atan2(x, y), torch.hypot(x, y)]
        yield f"scaled pixels {size}", lambda n=size: (torch.arange(n) % 256).byte().float().mul_(2 / 255).sub_(1)


def reductions() -> Iterator[Case]:
    """Sums and the like, over one dimension and over all."""
    import torch

    from autoencoder.kernels.canary import numbers

    for shape, dtype in product(SHAPES, (torch.float32, torch.float64)):
        x = numbers(*shape, dtype=dtype)
        yield f"sum {shape} {dtype}", lambda x=x: [x.sum(), x.sum(0), x.sum(1), x.T.contiguous().T.sum(0)]
        yield f"mean, variance {shape} {dtype}", lambda x=x: [x.mean(), x.mean(1), x.var(1), x.std(0, correction=0)]
        yield f"norm {shape} {dtype}", lambda x=x: [x.norm(), x.norm(dim=1), x.abs().amax(1), x.argmin(1)]
        yield (
            f"cumsum, cumprod {shape} {dtype}",
            lambda x=x: [x.cumsum(0), x.cumsum(1), x.cumprod(1), x.logcumsumexp(1)],
        )
        yield (
            f"quantile {shape} {dtype}",
            lambda x=x: [x.flatten()[:9000].quantile(0.3), x.median(), x.flatten().histc(20)],
        )


def rows() -> Iterator[Case]:
    """What works on the rows of a batch: softmax, losses, top-k with ties, sorting, normalisation."""
    import torch
    from torch.nn import functional as f

    from autoencoder.kernels.canary import gradients, numbers

    for shape in SHAPES:
        x, y = numbers(*shape), numbers(*shape).flip(0)
        few = x.mul(3).round()  # many ties
        yield f"softmax {shape}", lambda x=x: gradients(lambda x: x.softmax(1), x.clone())
        yield f"log_softmax {shape}", lambda x=x: gradients(lambda x: x.log_softmax(1), x.clone())
        yield f"logsumexp {shape}", lambda x=x: gradients(lambda x: x.logsumexp(1), x.clone())
        yield f"mse {shape}", lambda x=x, y=y: gradients(f.mse_loss, x.clone(), y.clone())
        yield (
            f"bce {shape}",
            lambda x=x, y=y: gradients(
                lambda x: f.binary_cross_entropy_with_logits(x, y.abs(), reduction="sum"), x.clone()
            ),
        )
        yield f"top-k {shape}", lambda few=few: [*few.topk(3, 1), *few.abs().topk(2, 1), *few.kthvalue(2, 1)]
        yield f"sort {shape}", lambda few=few: [*few.sort(1), *few.sort(dim=0, stable=True), few.argsort(1)]
        yield f"layer norm {shape}", lambda x=x: gradients(lambda x: f.layer_norm(x, x.shape[1:]), x.clone())
        yield (
            f"batch norm {shape}",
            lambda x=x: gradients(
                lambda x: f.batch_norm(x, None, None, training=True) if len(x) > 1 else x * 1, x.clone()
            ),
        )
        yield f"scatter, gather {shape}", lambda x=x, few=few: [
            torch.zeros_like(x).scatter(1, few.topk(3, 1).indices, 1.5), x.gather(1, few.topk(3, 1).indices)
        ]  # fmt: skip


def images() -> Iterator[Case]:
    """Convolutions with their gradients, pooling and resizing."""
    import torch
    from torch.nn import functional as f

    from autoencoder.kernels.canary import gradients, numbers

    for case in CONVOLUTIONS:
        n, c, out, size, kernel, stride, padding = case
        x, w, b = numbers(n, c, size, size), numbers(out, c, kernel, kernel), numbers(out)
        back = numbers(c, out, kernel, kernel)
        options = {"stride": stride, "padding": padding}
        for layout in (torch.contiguous_format, torch.channels_last):
            yield (
                f"convolution {case} {layout}",
                lambda x=x, w=w, b=b, o=options, layout=layout: gradients(
                    lambda x, w, b: f.conv2d(x, w, b, **o), x.to(memory_format=layout, copy=True), w.clone(), b.clone()
                ),
            )
            yield (
                f"transposed convolution {case} {layout}",
                lambda x=x, w=back, b=b, o=options, layout=layout: gradients(
                    lambda x, w, b: f.conv_transpose2d(x, w, b, **o),
                    x.to(memory_format=layout, copy=True),
                    w.clone(),
                    b.clone(),
                ),
            )
        yield (
            f"convolution in float64 {case}",
            lambda x=x, w=w, o=options: gradients(lambda x, w: f.conv2d(x, w, **o), x[:4].double(), w.double()),
        )
        yield f"pooling {case}", lambda x=x: [
            *f.max_pool2d(x.mul(3).round(), 2, return_indices=True),
            f.avg_pool2d(x, 3, 2, 1), f.adaptive_avg_pool2d(x, 3),
        ]  # fmt: skip
        yield f"gradient of max-pooling {case}", lambda x=x: gradients(lambda x: f.max_pool2d(x, 2), x.clone())
        yield (
            f"batch norm {case}",
            lambda x=x: gradients(lambda x: f.batch_norm(x, None, None, training=True), x.clone()),
        )
        for mode, to in product(("bilinear", "bicubic"), (13, 45)):
            yield (
                f"resizing {mode} {case} {to}",
                lambda x=x, m=mode, to=to: f.interpolate(x, (to, to), mode=m, antialias=True),
            )
        yield (
            f"resizing bytes {case}",
            lambda x=x: f.interpolate(x[:2].add(1).mul(127).byte(), (20, 20), mode="bilinear", antialias=True),
        )
        yield f"upsampling {case}", lambda x=x: f.interpolate(x, scale_factor=2, mode="nearest")


def steps() -> Iterator[Case]:
    """Steps of the optimizers, by themselves and in a small network."""
    import torch
    from torch import nn

    from autoencoder.kernels.canary import numbers
    from autoencoder.training.optimizers import SGD, Adam

    makers = {
        "sgd": lambda w: SGD(w, 0.1, 0.9, 0.01),
        "adam": lambda w: Adam(w, 1e-3),
        "decay": lambda w: Adam(w, 1e-3, 0.1),
    }
    for (name, make), size in product(makers.items(), SIZES):

        def alone(make: Callable = make, size: int = size) -> "list[Tensor]":
            weight = nn.Parameter(numbers(size))
            optimizer = make([weight])
            for number in range(4):
                weight.grad = numbers(size).flip(0) / (number + 1)
                optimizer.step()
            return [weight.detach(), *optimizer.state().values()]

        yield f"steps of {name} {size}", alone
    for name, make in makers.items():

        def network(make: Callable = make) -> "list[Tensor]":
            layers = nn.Sequential(nn.Linear(65, 31), nn.GELU(), nn.Linear(31, 7), nn.Softplus(), nn.Linear(7, 65))
            for weight in layers.parameters():
                weight.data = numbers(*weight.shape) * 0.3
            optimizer = make(layers.parameters())
            for _ in range(5):
                optimizer.zero_grad()
                (layers(numbers(33, 65)) - numbers(33, 65)).square().mean().backward()
                optimizer.step()
            return [weight.detach() for weight in layers.parameters()]

        yield f"network trained by {name}", network
    yield "clipped gradients", lambda: nn.utils.get_total_norm([numbers(1003), numbers(7)])
    yield "flushed sums", lambda: torch.tensor([1e-38, 1e-45, 1e-30]).mul(0.5)


def decompositions() -> Iterator[Case]:
    """Linear algebra in float64, which is MKL's. In float32 its Cholesky decomposition differs between CPUs."""
    import torch

    from autoencoder.kernels.canary import numbers, symmetric

    for n in (1, 3, 7, 32, 64, 129):
        a, b = symmetric(n), numbers(n, n + 5, dtype=torch.float64)
        yield f"eigh {n}", lambda a=a: [*torch.linalg.eigh(a)]
        yield f"svd {n}", lambda b=b: [*torch.linalg.svd(b), torch.linalg.svdvals(b.T)]
        yield f"qr {n}", lambda b=b: [*torch.linalg.qr(b), *torch.linalg.qr(b.T)]
        yield f"cholesky {n}", lambda a=a: torch.linalg.cholesky(a)
        yield f"triangular solve {n}", lambda a=a, b=b: torch.linalg.solve_triangular(a.tril(), b, upper=False)
        yield f"solve, inverse {n}", lambda a=a, b=b: [torch.linalg.solve(a, b), torch.linalg.inv(a)]
        yield f"least squares {n}", lambda b=b: torch.linalg.lstsq(b.T, b.T[:, :1]).solution
        yield f"determinant {n}", lambda a=a: [*torch.linalg.slogdet(a)]


def sampling() -> Iterator[Case]:
    """Random numbers from a seeded generator."""
    import torch

    def seeded() -> torch.Generator:
        return torch.Generator().manual_seed(42)

    for n in (1, 7, 15, 16, 17, 1003, 70_000):
        yield f"randperm {n}", lambda n=n: torch.randperm(n, generator=seeded())
        yield (
            f"randn {n}",
            lambda n=n: [torch.randn(n, generator=seeded()), torch.randn(n, generator=seeded()).double()],
        )
        yield f"randn float64 {n}", lambda n=n: torch.randn(n, generator=seeded(), dtype=torch.float64)
        yield (
            f"rand {n}",
            lambda n=n: [torch.rand(n, generator=seeded()), torch.randint(0, 99, (n,), generator=seeded())],
        )
        yield f"bernoulli {n}", lambda n=n: [
            torch.empty(n).bernoulli_(0.3, generator=seeded()),
            torch.bernoulli(torch.full((n,), 0.4), generator=seeded()),
        ]  # fmt: skip
        yield f"exponential {n}", lambda n=n: torch.empty(n).exponential_(generator=seeded())
        yield f"multinomial {n}", lambda n=n: torch.multinomial(torch.ones(n), min(n, 5), generator=seeded())


def main() -> None:
    """Print the hash of each result."""
    for note in numerics.configure(params.Runtime(device="cpu", threads=1)):
        print(f"note: {note}", file=sys.stderr)
    from autoencoder.kernels import canary

    if "--canary" in sys.argv:
        for name, value in canary.found().items():
            print(f'    "{name}": "{value}",')
        return
    for name, operation in cases():
        print(f"{canary.digest(operation())}  {name}")


if __name__ == "__main__":
    main()
