"""One competitor in a process of its own: `python benchmarks/worker.py NAME IMAGES` trains an epoch per line of input.

The first five do what the article does: batches of 32, SGD with momentum, float32, one thread, shuffled every epoch.
The last two train an MLP 784-512-256-32 with Adam at batches of 128. An epoch's answer is its seconds, the test not
counted, and its test mse, so that no competitor wins by computing something else.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

SEED, BATCH, CODE, LEARNING_RATE, MOMENTUM = 42, 32, 32, 10**-1.5, 0.5
HIDDEN, MLP_BATCH, MLP_LEARNING_RATE = (512, 256), 128, 1e-3
ENDLESS = 1_000_000
Spent = tuple[float, float]  # seconds by the clock, and of all CPUs
Epochs = Iterator[tuple[Spent, float | None]]  # what training took, test mse


def article(path: Path) -> Epochs:
    """The article's loop as the article has it: torchvision's data set, a DataLoader, autograd."""
    import torch
    from torch import nn
    from torch.nn.functional import mse_loss
    from torch.utils.data import DataLoader
    from torchvision import transforms
    from torchvision.datasets import MNIST

    from autoencoder.data.images import load_images
    from autoencoder.models.linear import LinearAutoencoder
    from autoencoder.training.objective import mean_squared_error

    class Linear(LinearAutoencoder):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.decoder(self.encoder(x.view(-1, 784)))

    images = load_images(path)
    with tempfile.TemporaryDirectory() as folder:
        write_idx(images, Path(folder, "MNIST", "raw"))
        transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))])
        loader = DataLoader(MNIST(folder, train=True, transform=transform), batch_size=BATCH, shuffle=True)
    torch.manual_seed(SEED)
    model = Linear(784, CODE)
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)

    def epoch() -> None:
        nn.Module.train(model)
        for batch, (x, _) in enumerate(loader):
            optimizer.zero_grad()
            loss = mse_loss(model(x), x.view(-1, 784))
            loss.backward()
            optimizer.step()
            if batch % 1000 == 0:
                print(f"[{batch * len(x)}/{len(loader.dataset)}]\tLoss: {loss.item():.6f}", file=sys.stderr)

    while True:
        yield timed(epoch), mean_squared_error(model, images.test, 1_000)


def write_idx(images: Any, folder: Path) -> None:
    """The four files that torchvision expects, unpacked, in the format of yann.lecun.com's MNIST page."""
    folder.mkdir(parents=True)
    parts = {
        "train-images-idx3": images.train,
        "train-labels-idx1": images.train_labels,
        "t10k-images-idx3": images.test,
        "t10k-labels-idx1": images.test_labels,
    }
    for name, tensor in parts.items():
        array = tensor.squeeze().numpy().astype("u1")
        header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
        (folder / f"{name}-ubyte").write_bytes(header + array.tobytes())


def default(path: Path) -> Epochs:
    """The default training of this project, in which the linear model's gradients are derived by hand."""
    from autoencoder.models.saved import Description

    return project(path, Description("linear", CODE, (1, 28, 28)).build(SEED))


def general(path: Path) -> Epochs:
    """The same training on the path that takes any model: autograd, recorded and replayed."""
    from autoencoder.models.saved import Description
    from autoencoder.training import loop
    from autoencoder.training.replay import Replayed
    from autoencoder.training.steps import autograd

    loop.learner = lambda model, *others: Replayed(autograd(model, *others), model)
    return project(path, Description("linear", CODE, (1, 28, 28)).build(SEED))


def mlp(path: Path) -> Epochs:
    """The training of an MLP with Adam by this project."""
    from autoencoder.models.saved import Description

    options = {"hidden": list(HIDDEN), "activation": "relu"}
    model = Description("mlp", CODE, (1, 28, 28), options).build(SEED)
    return project(path, model, optimizer="adam", batch_size=MLP_BATCH, learning_rate=MLP_LEARNING_RATE)


def network() -> Any:
    """The same MLP, with the same weights, in torch alone."""
    import torch
    from torch import nn

    torch.manual_seed(SEED)
    halves = (784, *HIDDEN, CODE), (CODE, *reversed(HIDDEN), 784)
    layers = [[layer for a, b in pairwise(widths) for layer in (nn.Linear(a, b), nn.ReLU())] for widths in halves]
    return nn.Sequential(*(layer for half in layers for layer in half[:-1]))


def project(path: Path, model: Any, **changes: Any) -> Epochs:
    """Epochs of this project's training of `model`, with the article's settings but for `changes`."""
    import torch

    from autoencoder.data.images import Images, load_images
    from autoencoder.params import Train
    from autoencoder.training.loop import Training
    from autoencoder.training.objective import mean_squared_error

    settings = {"epochs": ENDLESS, "batch_size": BATCH, "optimizer": "sgd", "learning_rate": LEARNING_RATE}
    settings |= {"momentum": MOMENTUM, "log_every": 1_000, "loss": "mse", "weight_decay": 0.0} | changes
    images = load_images(path)
    untested = Images(images.train, images.test[:1])
    run = Training(model, untested, Train(**settings), seed=SEED, device=torch.device("cpu"))
    progress = run.run()
    while True:
        spent = timed(lambda: next(item for item in progress if item.finished))
        yield spent, mean_squared_error(run.model, images.test, 1_000)


def portable_mlp(path: Path) -> Epochs:
    """The MLP in the version of this project in which equal bytes were slow; PYTHONPATH has its sources."""
    import torch

    from autoencoder import checkpoints, models, training

    images = checkpoints.load_images(path)
    run = training.Training(
        network(),
        images | {"test_images": images["test_images"][:1]},
        epochs=ENDLESS,
        batch_size=MLP_BATCH,
        optimizer="adam",
        learning_rate=MLP_LEARNING_RATE,
        momentum=MOMENTUM,
        log_every=1_000,
        seed=SEED,
        device=torch.device("cpu"),
    )
    progress = run.run()
    while True:
        spent = timed(lambda: next(item for item in progress if item.finished))
        yield spent, models.mean_squared_error(run.model, images["test_images"], 1_000)


def jax(path: Path) -> Epochs:
    """The epoch as one jitted lax.scan over its batches, the images gathered from uint8 inside."""
    import jax
    import jax.numpy as jnp
    import torch

    from autoencoder.data.images import load_images
    from autoencoder.models.saved import Description
    from autoencoder.training.objective import mean_squared_error

    images = load_images(path)
    model = Description("linear", CODE, (1, 28, 28)).build(SEED)
    train = jnp.asarray(images.train.flatten(1).numpy())
    weights = tuple(jnp.asarray(weight.detach().numpy()) for weight in model.parameters())
    velocities = tuple(jnp.zeros_like(weight) for weight in weights)

    def loss(weights: tuple, x: jax.Array) -> jax.Array:
        encoder, decoder = weights
        return jnp.mean((x @ encoder.T @ decoder.T - x) ** 2)

    def step(state: tuple, indices: jax.Array) -> tuple:
        weights, velocities = state
        x = train[indices].astype(jnp.float32) * (2 / 255) - 1
        value, gradients = jax.value_and_grad(loss)(weights, x)
        velocities = tuple(MOMENTUM * v + g for v, g in zip(velocities, gradients, strict=True))
        return (tuple(w - LEARNING_RATE * v for w, v in zip(weights, velocities, strict=True)), velocities), value

    epoch = jax.jit(lambda state, order: jax.lax.scan(step, state, order), donate_argnums=0)
    generator = torch.Generator().manual_seed(SEED)
    state = (weights, velocities)
    epoch.lower(state, jnp.zeros((len(train) // BATCH, BATCH), jnp.int32)).compile()

    def one() -> None:
        nonlocal state
        order = torch.randperm(len(train), generator=generator).numpy().reshape(-1, BATCH)
        state, losses = epoch(state, order)
        losses.block_until_ready()

    while True:
        spent = timed(one)
        for weight, found in zip(model.parameters(), state[0], strict=True):
            weight.data = torch.from_numpy(jax.device_get(found).copy())
        yield spent, mean_squared_error(model, images.test, 1_000)


def products(_: Path) -> Epochs:
    """The five matrix products of a step and nothing else, as often as an epoch has steps: the limit."""
    from scaling import five_products

    while True:
        yield timed(lambda: five_products(60_000, BATCH, 784, CODE)), None


def timed(work: Callable[[], object]) -> Spent:
    """What `work` takes."""
    begin = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - begin[0], time.process_time() - begin[1]


# torch and jax choose their kernels themselves, for one thread
LEFT_ALONE = ("article", "jax", "deep eager", "convolutional eager", "variational as published", "variational jax")
COMPETITORS = {
    "article": article, "default": default, "general": general, "jax": jax, "products": products,
    "mlp": mlp, "portable mlp": portable_mlp,
}  # fmt: skip


def competitor(name: str) -> Callable[[Path], Epochs]:
    """The function that trains `name`."""
    import families

    others: dict[str, Callable[[Path], Epochs]] = {
        "variational as published": families.variational_as_published,
        "variational jax": families.variational_in_jax,
        "deep eager": partial(families.eager, "deep"),
        "convolutional eager": partial(families.eager, "convolutional"),
    }
    ours = {each: partial(families.ours, each) for each in ("variational", "deep", "convolutional")}
    return (COMPETITORS | others | ours)[name]


def main() -> None:
    """Print `ready`, then answer each line of input with an epoch."""
    name, path = sys.argv[1], Path(sys.argv[2])
    from autoencoder import numerics, params

    if name in LEFT_ALONE:
        import torch

        torch.set_num_threads(1)
    else:
        earlier = {"numerics": "portable"} if name.startswith("portable") else {}
        numerics.configure(params.Runtime(device="cpu", threads=1, **earlier))
    if name.endswith("jax"):  # XLA takes a thread per core that it may use, whatever its flags are
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    epochs = competitor(name)(path)
    print("ready", flush=True)
    for _ in sys.stdin:
        (seconds, cpu), test_mse = next(epochs)
        print(json.dumps({"seconds": seconds, "cpu": cpu, "test_mse": test_mse}), flush=True)


if __name__ == "__main__":
    main()
