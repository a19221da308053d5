"""One competitor in a process of its own: `python benchmarks/worker.py NAME IMAGES` trains an epoch per line of input.

Each does what the article does: batches of 32, SGD with momentum, float32, one thread, shuffled every epoch. An epoch's
answer is its seconds, the test not counted, and its test mse, so that nobody wins by computing something else.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autoencoder.data.images import Images

SEED, BATCH, CODE, LEARNING_RATE, MOMENTUM = 42, 32, 32, 10**-1.5, 0.5
NAMES = (  # in turn, there and back: who follows the article's long epoch finds cold caches
    "general", "fast", "jax", "products", "portable", "portable products", "portable general", "article",
)  # fmt: skip
Epochs = Iterator[tuple[float, float | None]]  # seconds of training, test mse


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


def write_idx(images: "Images", folder: Path) -> None:
    """The four files that torchvision expects, unpacked, in the format of yann.lecun.com's MNIST page."""
    folder.mkdir(parents=True)
    for tensor, name in (
        (images.train, "train-images-idx3-ubyte"),
        (images.train_labels, "train-labels-idx1-ubyte"),
        (images.test, "t10k-images-idx3-ubyte"),
        (images.test_labels, "t10k-labels-idx1-ubyte"),
    ):
        array = tensor.squeeze().numpy().astype("u1")
        header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
        (folder / name).write_bytes(header + array.tobytes())


def project(path: Path, *, by_hand: bool = True) -> Epochs:
    """The training of this project; without `by_hand` on the path that takes any model."""
    import torch

    from autoencoder.data.images import load_images
    from autoencoder.models.saved import Description
    from autoencoder.params import Train
    from autoencoder.training.loop import Training
    from autoencoder.training.objective import mean_squared_error
    from autoencoder.training.steps import autograd

    images = load_images(path)
    settings = Train(
        loss="mse",
        weight_decay=0.0,
        epochs=1_000_000,
        batch_size=BATCH,
        optimizer="sgd",
        learning_rate=LEARNING_RATE,
        momentum=MOMENTUM,
        log_every=1_000,
    )
    model, untested = Description("linear", CODE, images.shape).build(SEED), replace(images, test=images.test[:1])
    run = Training(model, untested, settings, seed=SEED, device=torch.device("cpu"))
    if not by_hand:
        run.learn = autograd(run.model, run.optimizer)
    progress = run.run()
    while True:
        seconds = timed(lambda: next(item for item in progress if item.finished))
        yield seconds, mean_squared_error(run.model, images.test, 1_000)


def jax(path: Path) -> Epochs:
    """The epoch as one jitted lax.scan over its batches, the images gathered from uint8 inside."""
    import jax
    import jax.numpy as jnp
    import torch

    from autoencoder.data.images import load_images
    from autoencoder.models.saved import Description
    from autoencoder.training.objective import mean_squared_error

    images = load_images(path)
    model = Description("linear", CODE, images.shape).build(SEED)
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
        seconds = timed(one)
        for weight, found in zip(model.parameters(), state[0], strict=True):
            weight.data = torch.from_numpy(jax.device_get(found).copy())
        yield seconds, mean_squared_error(model, images.test, 1_000)


def products(_: Path) -> Epochs:
    """The five matrix products of a step and nothing else, as often as an epoch has steps: the limit."""
    from scaling import five_products

    while True:
        yield five_products(60_000, BATCH, 784, CODE), None


def timed(work: Callable[[], object]) -> float:
    """Seconds that `work` takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def main() -> None:
    """Say when ready, then answer each line of input with an epoch."""
    name, path = sys.argv[1], Path(sys.argv[2])
    from autoencoder import numerics, params

    profile = "portable" if name.startswith("portable") else "fast"
    numerics.configure(params.Runtime(device="cpu", numerics=profile, threads=1))
    if name == "jax":
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    competitor = {"article": article, "jax": jax, "products": products, "portable products": products}.get(name)
    epochs = competitor(path) if competitor else project(path, by_hand="general" not in name)
    print("ready", flush=True)
    for _ in sys.stdin:
        seconds, test_mse = next(epochs)
        print(json.dumps({"seconds": seconds, "test_mse": test_mse}), flush=True)


if __name__ == "__main__":
    main()
