"""Replayed steps are the steps as they are written: the same bits, for every piece that a family may have."""

import copy
from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as f

from autoencoder.training.optimizers import SGD, Adam
from autoencoder.training.replay import Replayed

PIXELS, CODE, BATCH = 64, 7, 16
Loss = Callable[..., Tensor]


def dense(activation: type[nn.Module] = nn.ReLU, code: int = CODE) -> nn.Module:
    layers = {"encoder": nn.Sequential(nn.Linear(PIXELS, 20), activation(), nn.Linear(20, code))}
    layers["decoder"] = nn.Sequential(nn.Linear(CODE, 20), activation(), nn.Linear(20, PIXELS))
    return nn.ModuleDict(layers)


def convolutional() -> nn.Module:
    encoder = [nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 4, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(64, CODE)]
    decoder = [nn.Linear(CODE, 64), nn.Unflatten(1, (4, 4, 4)), nn.ConvTranspose2d(4, 1, 4, 2, 1), nn.Flatten()]
    return nn.ModuleDict({"encoder": nn.Sequential(*encoder), "decoder": nn.Sequential(*decoder)})


def normalised() -> nn.Module:
    encoder = nn.Sequential(nn.Linear(PIXELS, CODE), nn.BatchNorm1d(CODE), nn.Dropout(0.2), nn.LayerNorm(CODE))
    return nn.ModuleDict({"encoder": encoder, "decoder": nn.Linear(CODE, PIXELS)})


def pooled() -> nn.Module:
    encoder = [
        nn.Unflatten(1, (1, 8, 8)),
        nn.Conv2d(1, 4, 3, padding=1),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64, CODE),
    ]
    return nn.ModuleDict({"encoder": nn.Sequential(*encoder), "decoder": nn.Linear(CODE, PIXELS)})


def reconstruction(model: Any, x: Tensor, _: Tensor) -> Tensor:
    return f.mse_loss(model.decoder(model.encoder(x)), x)


def logistic(model: Any, x: Tensor, _: Tensor) -> Tensor:
    return f.binary_cross_entropy_with_logits(model.decoder(model.encoder(x)), x.sigmoid(), reduction="sum") / len(x)


def variational(model: Any, x: Tensor, noise: Tensor) -> Tensor:
    mean, log_variance = model.encoder(x).chunk(2, 1)
    rebuilt = model.decoder(mean + noise * (0.5 * log_variance).exp())
    divergence = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(1)
    return (f.mse_loss(rebuilt, x, reduction="none").sum(1) + divergence).mean() / PIXELS


def top_k(model: Any, x: Tensor, _: Tensor) -> Tensor:
    values, places = model.encoder(x).topk(3, 1)
    code = torch.zeros(len(x), CODE).scatter(1, places, values)
    return f.mse_loss(model.decoder(code), x) + 1e-3 * code.abs().mean()


def contractive(model: Any, x: Tensor, _: Tensor) -> Tensor:
    x = x.detach().requires_grad_()
    code = model.encoder(x)
    rows = [torch.autograd.grad(code[:, i].sum(), x, create_graph=True)[0] for i in range(2)]
    return f.mse_loss(model.decoder(code), x) + 0.1 * torch.stack(rows).square().sum() / PIXELS


def denoising(model: Any, x: Tensor, noise: Tensor) -> Tensor:
    corrupted = torch.where(noise[:, :1] > 0.3, x.clamp(-0.5, 0.5), x + 0.1 * noise.mean(1, keepdim=True))
    return f.mse_loss(model.decoder(model.encoder(corrupted)), x)


def drawing(model: Any, x: Tensor, _: Tensor) -> Tensor:
    return f.mse_loss(model.decoder(model.encoder(x + 0.1 * torch.randn_like(x))), x)


PIECES: dict[str, tuple[Callable[[], nn.Module], Loss]] = {
    "dense": (dense, reconstruction),
    "logistic": (lambda: dense(nn.Sigmoid), logistic),
    "gelu, tanh": (
        lambda: nn.ModuleDict({"encoder": dense(nn.GELU).encoder, "decoder": dense(nn.Tanh).decoder}),
        logistic,
    ),
    "convolutional": (convolutional, reconstruction),
    "pooled": (pooled, reconstruction),
    "variational": (lambda: dense(code=2 * CODE), variational),
    "variational, convolutional": (
        lambda: nn.ModuleDict({"encoder": dense(code=2 * CODE).encoder, "decoder": convolutional().decoder}),
        variational,
    ),
    "top-k": (dense, top_k),
    "contractive": (lambda: dense(nn.Tanh), contractive),
    "denoising": (dense, denoising),
    "noise drawn inside": (dense, drawing),
    "batch norm, dropout, layer norm": (normalised, reconstruction),
}
OPTIMIZERS = {
    "sgd": lambda weights: SGD(weights, 0.1, 0.9),
    "sgd with weight decay": lambda weights: SGD(weights, 0.1, 0.9, 0.01),
    "adam": lambda weights: Adam(weights, 1e-3),
    "torch's adam": lambda weights: torch.optim.Adam(weights, 1e-3, foreach=False),
}


def stepper(model: nn.Module, loss_of: Loss, optimizer: Any) -> Callable[..., Tensor]:
    def step(*inputs: Tensor) -> Tensor:
        loss = loss_of(model, *inputs)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def batches(sizes: list[int]) -> list[tuple[Tensor, Tensor]]:
    g = torch.Generator().manual_seed(5)
    return [(torch.rand(n, PIXELS, generator=g) * 2 - 1, torch.randn(n, CODE, generator=g)) for n in sizes]


def compared(
    model: nn.Module, loss_of: Loss, make: Callable[..., Any], sizes: list[int]
) -> tuple[Replayed, nn.Module, nn.Module]:
    """Train twins as written and replayed; after each step losses, weights and buffers must be the same bits."""
    twin = copy.deepcopy(model)
    written = stepper(model, loss_of, make(model.parameters()))
    replayed = Replayed(stepper(twin, loss_of, make(twin.parameters())), twin)
    for number, inputs in enumerate(batches(sizes)):
        torch.manual_seed(number)
        expected = written(*inputs)
        torch.manual_seed(number)
        found = replayed(*inputs)
        assert torch.equal(found, expected), f"loss of step {number}"
        for (name, a), b in zip(model.state_dict().items(), twin.state_dict().values(), strict=True):
            assert torch.equal(a, b), f"{name} after step {number}"
    return replayed, model, twin


def refusals(replayed: Replayed) -> list[str]:
    return [recording.refused for recording in replayed.recordings.values()]


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("piece", PIECES)
def test_replayed_steps_are_the_steps_as_written(piece: str, optimizer: str) -> None:
    make, loss_of = PIECES[piece]
    torch.manual_seed(1)
    replayed, _, _ = compared(make(), loss_of, OPTIMIZERS[optimizer], [BATCH] * 8)
    (recording,) = replayed.recordings.values()
    assert recording.refused == ""
    assert recording.run == recording._replay


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_with_every_optimizer(optimizer: str) -> None:
    torch.manual_seed(2)
    compared(dense(), reconstruction, OPTIMIZERS[optimizer], [BATCH] * 8)


def test_a_shorter_batch_has_a_recording_of_its_own() -> None:
    torch.manual_seed(3)
    replayed, _, _ = compared(dense(), reconstruction, OPTIMIZERS["adam"], [BATCH, BATCH, BATCH, BATCH, 5] * 5)
    assert [recording.run == recording._replay for recording in replayed.recordings.values()] == [True, True]


def test_another_mode_has_a_recording_of_its_own() -> None:
    torch.manual_seed(4)
    replayed, model, twin = compared(normalised(), reconstruction, OPTIMIZERS["sgd"], [BATCH] * 5)
    model.eval()
    twin.eval()
    written = stepper(model, reconstruction, OPTIMIZERS["sgd"](model.parameters()))
    replayed.step = stepper(twin, reconstruction, OPTIMIZERS["sgd"](twin.parameters()))
    for inputs in batches([BATCH] * 5):
        assert torch.equal(replayed(*inputs), written(*inputs))
    assert len(replayed.recordings) == 2


def branching(model: Any, x: Tensor, _: Tensor) -> Tensor:
    loss = reconstruction(model, x, _)
    return loss * 2 if loss.item() > 0.3 else loss


def masked(model: Any, x: Tensor, _: Tensor) -> Tensor:
    return (model.decoder(model.encoder(x)) - x)[x > 0].square().mean()


def generated(generator: torch.Generator) -> Loss:
    return lambda model, x, _: reconstruction(model, x + torch.randn(x.shape, generator=generator), _)


def scheduled() -> Loss:
    numbers = count()
    return lambda model, x, _: reconstruction(model, x, _) * (1 + 0.1 * next(numbers))


def from_numpy() -> Loss:
    draw = np.random.default_rng(3)
    return lambda model, x, _: reconstruction(model, x + torch.from_numpy(draw.normal(size=PIXELS)).float(), _)


def behind_the_back(model: Any, x: Tensor, _: Tensor) -> Tensor:
    copied = torch.empty_like(x)
    np.multiply(x.numpy(), 0.5, copied.numpy())
    return reconstruction(model, copied, _)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: branching, "aten._local_scalar_dense.default"),
        (lambda: masked, "aten.index.Tensor"),
        (lambda: generated(torch.Generator().manual_seed(1)), "aten.randn.generator"),
        (scheduled, "a replay and the step as it is written differ"),
        (from_numpy, "a replay and the step as it is written differ"),
        (lambda: behind_the_back, "a replay and the step as it is written differ"),
    ],
)
def test_what_cannot_be_replayed_goes_on_as_it_is_written(make: Callable[[], Loss], reason: str) -> None:
    torch.manual_seed(5)
    model = dense()
    twin = copy.deepcopy(model)
    written = stepper(model, make(), SGD(model.parameters(), 0.1, 0.9))
    replayed = Replayed(stepper(twin, make(), SGD(twin.parameters(), 0.1, 0.9)), twin)
    for inputs in batches([BATCH] * 7):
        assert torch.equal(replayed(*inputs), written(*inputs))
        assert all(map(torch.equal, model.parameters(), twin.parameters()))
    assert reason in refusals(replayed)[0]


def test_a_loss_stays_what_it_was_when_the_next_step_is_taken() -> None:
    torch.manual_seed(6)
    model = dense()
    replayed = Replayed(stepper(model, reconstruction, SGD(model.parameters(), 0.1, 0.9)), model)
    losses = [replayed(*inputs) for inputs in batches([BATCH] * 6)]
    assert len({loss.item() for loss in losses}) == 6
    assert not any(loss.requires_grad for loss in losses)


def test_a_step_that_raises_is_not_recorded_halfway() -> None:
    torch.manual_seed(7)
    model = dense()
    replayed = Replayed(stepper(model, reconstruction, SGD(model.parameters(), 0.1, 0.9)), model)
    (x, noise), *_ = batches([BATCH])
    for _ in range(5):
        with pytest.raises(RuntimeError):
            replayed(x[:, :5], noise)
    expected = copy.deepcopy(model)
    stepper(expected, reconstruction, SGD(expected.parameters(), 0.1, 0.9))(x, noise)
    replayed(x, noise)
    assert all(map(torch.equal, model.parameters(), expected.parameters()))
