"""The competitors of three families: pytorch/examples' variational autoencoder, the examples deep and convolutional.

Functions as those of `worker`: an item is an epoch's seconds, and what it came to on test images: the bound on
-log p(x) in nats for the variational autoencoder, the test mse for the others.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from worker import ENDLESS, Spent, timed, write_idx

SEED, BATCH, LEARNING_RATE = 42, 128, 1e-3
SHAPE = (1, 28, 28)
MLP = {"activation": "relu"}
VARIATIONAL = {"name": "variational", "strength": 1.0}
Epochs = Iterator[tuple[Spent, float]]


def description(name: str) -> Any:
    """What examples/`name`.yaml trains."""
    from autoencoder.models.saved import Description

    return {
        "variational": Description("mlp", 20, SHAPE, MLP | {"hidden": [400]}, VARIATIONAL, loss="bce"),
        "deep": Description("mlp", 30, SHAPE, MLP | {"hidden": [1000, 500, 250]}, loss="bce"),
        "convolutional": Description("convolutional", 32, SHAPE, MLP | {"channels": [16, 32]}),
    }[name]


def tested(name: str, model: Any, images: Any) -> float:
    """What `model` comes to on test images."""
    from autoencoder.training.objective import mean_squared_error, objective

    if name == "variational":
        return objective(description(name)).nats(model, images.test)
    return mean_squared_error(model, images.test, 1_000)


def ours(name: str, path: Path) -> Epochs:
    """The training of the example `name` by this project."""
    import torch

    from autoencoder.data.images import Images, load_images
    from autoencoder.params import Train
    from autoencoder.training.loop import Training
    from autoencoder.training.objective import objective

    asked, images = description(name), load_images(path)
    settings = Train(
        loss=asked.loss,
        epochs=ENDLESS,
        batch_size=BATCH,
        optimizer="adam",
        learning_rate=LEARNING_RATE,
        momentum=0.5,
        weight_decay=0.0,
        log_every=1_000,
    )
    untested = Images(images.train, images.test[:1])
    run = Training(asked.build(SEED), untested, settings, objective(asked), seed=SEED, device=torch.device("cpu"))
    progress = run.run()
    while True:
        spent = timed(lambda: next(item for item in progress if item.finished))
        yield spent, tested(name, run.model, images)


def eager(name: str, path: Path) -> Epochs:
    """The same module in the plainest loop over images in memory, with torch left alone."""
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss

    from autoencoder.data.images import load_images, scale

    images, model = load_images(path), description(name).build(SEED)
    x = scale(images.train, model.lowest)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    generator = torch.Generator().manual_seed(SEED)  # the order of this project's training
    loss = binary_cross_entropy_with_logits if model.lowest == 0 else mse_loss

    def epoch() -> None:
        for indices in torch.randperm(len(x), generator=generator).split(BATCH):
            batch = x[indices]
            optimizer.zero_grad()
            loss(model.decoder(model.encoder(batch)), batch).backward()
            optimizer.step()

    while True:
        yield timed(epoch), tested(name, model, images)


def variational_as_published(path: Path) -> Epochs:
    """The loop of pytorch/examples, vae/main.py: torchvision's data set, a DataLoader, the loss read at every batch."""
    import torch
    from torch.nn.functional import binary_cross_entropy
    from torch.utils.data import DataLoader
    from torchvision import transforms
    from torchvision.datasets import MNIST

    from autoencoder.data.images import load_images

    images, model = load_images(path), description("variational").build(SEED)
    with tempfile.TemporaryDirectory() as folder:
        write_idx(images, Path(folder, "MNIST", "raw"))
        loader = DataLoader(MNIST(folder, train=True, transform=transforms.ToTensor()), batch_size=BATCH, shuffle=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)

    def epoch() -> None:
        train_loss = 0.0
        for data, _ in loader:
            x = data.view(-1, 784)
            optimizer.zero_grad()
            mean, log_variance = model.encoder(x).chunk(2, dim=1)
            deviation = torch.exp(0.5 * log_variance)
            code = mean + torch.randn_like(deviation) * deviation
            bce = binary_cross_entropy(model.decoder(code).sigmoid(), x, reduction="sum")
            loss = bce - 0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())
            loss.backward()
            train_loss += loss.item()
            optimizer.step()

    while True:
        yield timed(epoch), tested("variational", model, images)


def variational_in_jax(path: Path) -> Epochs:
    """The epoch as one jitted lax.scan over its full batches, and one step of the rest."""
    import jax
    import jax.numpy as jnp
    import torch

    from autoencoder.data.images import load_images

    images, model = load_images(path), description("variational").build(SEED)
    train = jnp.asarray(images.train.flatten(1).numpy())
    weights = [jnp.asarray(weight.detach().numpy()) for weight in model.parameters()]

    def loss(weights: list[Any], x: Any, key: Any) -> Any:
        hidden, hidden_bias, code, code_bias, back, back_bias, out, out_bias = weights
        h = jax.nn.relu(x @ hidden.T + hidden_bias) @ code.T + code_bias
        mean, log_variance = jnp.split(h, 2, axis=1)
        z = mean + jnp.exp(0.5 * log_variance) * jax.random.normal(key, mean.shape)
        logits = jax.nn.relu(z @ back.T + back_bias) @ out.T + out_bias
        bce = jnp.sum(jax.nn.softplus(logits) - x * logits)
        return (bce - 0.5 * jnp.sum(1 + log_variance - mean**2 - jnp.exp(log_variance))) / x.size

    def step(state: Any, indices: Any) -> Any:
        weights, means, squares, count, key = state
        key, used = jax.random.split(key)
        x = train[indices].astype(jnp.float32) / 255
        value, gradients = jax.value_and_grad(loss)(weights, x, used)
        count = count + 1
        means = [0.9 * m + 0.1 * g for m, g in zip(means, gradients, strict=True)]
        squares = [0.999 * s + 0.001 * g * g for s, g in zip(squares, gradients, strict=True)]
        first, second = 1 - 0.9**count, 1 - 0.999**count
        weights = [
            w - LEARNING_RATE * (m / first) / (jnp.sqrt(s / second) + 1e-8)
            for w, m, s in zip(weights, means, squares, strict=True)
        ]
        return (weights, means, squares, count, key), value

    zeros = [jnp.zeros_like(w) for w in weights]
    state = (weights, zeros, [jnp.zeros_like(w) for w in weights], jnp.float32(0), jax.random.key(SEED))
    epoch, rest = jax.jit(lambda state, order: jax.lax.scan(step, state, order), donate_argnums=0), jax.jit(step)
    full = len(train) // BATCH * BATCH

    def one() -> None:
        nonlocal state
        order = torch.randperm(len(train)).numpy()
        state, _ = epoch(state, order[:full].reshape(-1, BATCH))
        state, last = rest(state, order[full:])
        last.block_until_ready()

    while True:
        spent = timed(one)
        for weight, found in zip(model.parameters(), state[0], strict=True):
            weight.data = torch.from_numpy(jax.device_get(found).copy())
        yield spent, tested("variational", model, images)
