from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from autoencoder.data.images import Images, scale
from autoencoder.errors import UserError
from autoencoder.models.saved import Description
from autoencoder.params import Train
from autoencoder.training import loop
from autoencoder.training.linear_sgd import linear_sgd
from autoencoder.training.loop import Progress, Training
from autoencoder.training.optimizers import SGD
from autoencoder.training.steps import autograd

SETTINGS = Train(
    loss="mse",
    weight_decay=0.0,
    epochs=3,
    batch_size=32,
    optimizer="sgd",
    learning_rate=0.03,
    momentum=0.5,
    log_every=10,
)
OPTIMIZERS = pytest.mark.parametrize("optimizer", ["sgd", "adam"])
Make = Callable[..., Training]


@pytest.fixture
def make(digits: Images) -> Make:
    """Makes a training on digits: SETTINGS, but for what is given."""

    def make(images: Images = digits, seed: int = 42, **changes: Any) -> Training:
        model = Description("linear", 5, (1, 1, 64)).build(42)
        settings = SETTINGS.model_copy(update=changes)  # also to a learning rate that params.yaml may not have
        return Training(model, images, settings, seed=seed, device=torch.device("cpu"))

    return make


def met(make: Make, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> list[list[int]]:
    """The numbers of the images as training met them, batch by batch; no model learns from them."""
    batches: list[list[int]] = []

    def learn(x: Tensor) -> Tensor:
        batches.append(((x + 1) * 255 / 2).round().int().flatten().tolist())
        return torch.zeros(())

    monkeypatch.setattr(loop, "learner", lambda *_: learn)
    images = torch.arange(100, dtype=torch.uint8).reshape(100, 1, 1, 1).expand(100, 1, 8, 8)
    finish(make(Images(images, images), **changes))
    return [batch[::64] for batch in batches]


def finish(run: Training) -> list[Progress]:
    return list(run.run())


@OPTIMIZERS
def test_the_losses_fall(make: Make, optimizer: str) -> None:
    run = make(optimizer=optimizer, learning_rate=0.1 if optimizer == "sgd" else 0.003, epochs=5)
    finish(run)
    assert [epoch.epoch for epoch in run.history] == [1, 2, 3, 4, 5]
    losses = [epoch.test_mse for epoch in run.history]
    assert losses == sorted(losses, reverse=True)
    assert run.history[-1].train_mse < 0.7 * run.history[0].train_mse


@OPTIMIZERS
def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(make: Make, optimizer: str) -> None:
    same, again, other = (make(optimizer=optimizer, seed=seed) for seed in (1, 1, 2))
    for run in (same, again, other):
        finish(run)
    weights = [[tensor.numpy().tobytes() for tensor in run.model.state_dict().values()] for run in (same, again, other)]
    assert weights[0] == weights[1] != weights[2]
    assert same.history == again.history != other.history
    assert same.steps == again.steps != other.steps


@OPTIMIZERS
def test_the_size_of_the_chunks_changes_nothing(make: Make, monkeypatch: pytest.MonkeyPatch, optimizer: str) -> None:
    runs = []
    for images, seconds in ((1, 10.0), (230, 10.0), (1_600, 0.0), (32_000, 10.0)):
        monkeypatch.setattr(loop, "CHUNK_IMAGES", images)
        monkeypatch.setattr(loop, "CHUNK_SECONDS", seconds)
        runs.append(make(optimizer=optimizer))
        finish(runs[-1])
    first, *others = runs
    for run in others:
        assert (run.history, run.steps) == (first.history, first.steps)
        for name, tensor in run.model.state_dict().items():
            assert torch.equal(tensor, first.model.state_dict()[name])


@pytest.mark.parametrize("batch_size", [1, 7, 32, 50, 100, 1000])
def test_every_image_is_met_once_per_epoch(make: Make, monkeypatch: pytest.MonkeyPatch, batch_size: int) -> None:
    batches = met(make, monkeypatch, batch_size=batch_size, epochs=2)
    per_epoch = -(-100 // batch_size)
    assert len(batches) == 2 * per_epoch
    for epoch in (batches[:per_epoch], batches[per_epoch:]):
        assert sorted(number for batch in epoch for number in batch) == list(range(100))
        assert [len(batch) for batch in epoch[:-1]] == [batch_size] * (per_epoch - 1)


def test_the_order_is_new_in_every_epoch(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    orders = met(make, monkeypatch, batch_size=100, epochs=3)
    assert len({tuple(order) for order in [*orders, list(range(100))]}) == 4


@pytest.mark.parametrize(("batch_size", "log_every", "steps"), [
    (32, 10, [0, 10, 20, 30, 40, 47, 57, 67, 77, 87]),
    (32, 1000, [0, 47]),
    (32, 47, [0, 47]),
    (1500, 1, [0, 1]),
    (4000, 3, [0, 1]),
])  # fmt: skip
def test_every_log_every_th_batch_of_an_epoch_is_recorded(
    make: Make, batch_size: int, log_every: int, steps: list[int]
) -> None:
    run = make(batch_size=batch_size, log_every=log_every, epochs=2)
    progress = finish(run)
    assert [step.step for step in run.steps] == steps
    assert [step.epoch for step in run.steps] == [1] * (len(steps) // 2) + [2] * (len(steps) // 2)
    assert [step for chunk in progress for step in chunk.steps] == run.steps
    assert [chunk.finished for chunk in progress if chunk.finished] == run.history
    assert progress[-1].images_seen == 1500


def test_the_epochs_train_mse_is_the_mean_over_its_images(make: Make, digits: Images) -> None:
    run = make(learning_rate=1e-30, epochs=1, batch_size=400)  # too little to change the model; a partial last batch
    x = scale(digits.train)
    expected = (run.model(x) - x).square().mean().item()
    finish(run)
    assert run.history[0].train_mse == pytest.approx(expected, rel=1e-6)


def test_the_first_recorded_loss_is_that_of_the_untrained_model(make: Make, digits: Images) -> None:
    run = make(batch_size=1500, epochs=1)
    x = scale(digits.train)
    expected = (run.model(x) - x).square().mean().item()
    finish(run)
    assert run.steps[0].mse == pytest.approx(expected, rel=1e-5)


def test_a_diverging_loss_stops_training_and_names_epoch_batch_and_learning_rate(make: Make) -> None:
    with pytest.raises(UserError) as caught:
        finish(make(learning_rate=1000.0))
    message = str(caught.value)
    assert "found nan in epoch 1, batch " in message or "found inf in epoch 1, batch " in message
    assert "(learning rate 1000.0); lower train.learning_rate" in message


def test_a_model_that_the_last_batch_ruined_is_not_returned(make: Make) -> None:
    with pytest.raises(UserError, match=r"found (nan|inf) in test_mse after epoch 1, batch 0 \(learning rate 1e\+30\)"):
        finish(make(learning_rate=1e30, batch_size=1500, epochs=1))


def test_after_a_divergence_no_epoch_and_no_loss_that_is_not_finite_is_recorded(make: Make) -> None:
    run = make(learning_rate=1000.0, log_every=1)
    with pytest.raises(UserError):
        finish(run)
    assert run.history == []
    assert all(step.mse < float("inf") for step in run.steps)


@given(batch=st.integers(1, 9), inputs=st.integers(2, 30), code=st.integers(1, 9), seed=st.integers(0, 1000))
def test_both_ways_to_learn_follow_the_gradient_in_float64(batch: int, inputs: int, code: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (batch, 1, 1, inputs), generator=generator, dtype=torch.uint8)
    model = Description("linear", code, (1, 1, inputs)).build(seed)
    w_enc, w_dec = (weight.detach().double() for weight in (model.encoder.linear.weight, model.decoder.linear.weight))
    x = images.flatten(1).double() / 127.5 - 1
    error = x @ w_enc.T @ w_dec.T - x
    c = 2 / error.numel()
    expected_enc = w_enc - 0.1 * c * w_dec.T @ error.T @ x
    expected_dec = w_dec - 0.1 * c * error.T @ x @ w_enc.T
    for learner in (autograd, linear_sgd):
        model = Description("linear", code, (1, 1, inputs)).build(seed)
        learn = learner(model, SGD(model.parameters(), 0.1, 0.5))
        loss = learn(scale(images))
        assert loss.item() == pytest.approx(error.square().mean().item(), rel=1e-4, abs=1e-6)
        torch.testing.assert_close(model.encoder.linear.weight.double(), expected_enc, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(model.decoder.linear.weight.double(), expected_dec, rtol=1e-4, atol=1e-5)
