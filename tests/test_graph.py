"""Replayed steps must be the steps that were captured. What a capture does is CUDA's; the rest is seen on the CPU."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from autoencoder.graph import Replayed
from autoencoder.models import build
from autoencoder.training import Training


class Recorder:
    """Captures as CUDA does: the work is not done, and is done at each replay."""

    def __init__(self) -> None:
        self.captures = self.replays = 0

    def __call__(self, work: Callable[[], None]) -> Callable[[], None]:
        self.captures += 1

        def replay() -> None:
            self.replays += 1
            work()

        return replay


def training(images: dict[str, Tensor], device: str = "cpu") -> Training:
    return Training(
        build("linear", input_dimensions=64, code_dimensions=7, seed=3),
        images,
        epochs=3,
        batch_size=32,
        optimizer="sgd",
        learning_rate=0.1,
        momentum=0.9,
        log_every=10,
        seed=3,
        device=torch.device(device),
    )


def finish(run: Training) -> dict[str, Tensor]:
    for _ in run.run():
        pass
    return run.state()


def test_replayed_steps_end_in_the_same_bits_as_steps_one_by_one(
    digits: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autoencoder.training.CHUNK_IMAGES", 320)
    monkeypatch.setattr("autoencoder.training.CHUNK_SECONDS", 60)
    expected = finish(training(digits))
    run, recorder = training(digits), Recorder()
    run.learn_all = Replayed(run._steps, recorder)
    found = finish(run)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    chunks = 3 * (1_500 // 320)
    assert (recorder.captures, recorder.replays) == (
        1,
        chunks - 1,
    )  # the first warms up, an epoch's rest is not replayed


def test_losses_of_one_chunk_are_not_those_of_the_next() -> None:
    replayed = Replayed(lambda x: x.sum(1), Recorder())
    kept = [replayed(torch.full((4, 2), float(value))) for value in range(4)]
    assert [losses.tolist() for losses in kept] == [[2.0 * value] * 4 for value in range(4)]


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU at hand: CUDA graphs against the eager loop")
def test_on_a_gpu_the_graph_ends_in_the_same_bits_as_the_eager_loop(
    digits: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autoencoder.training.CHUNK_IMAGES", 320)
    monkeypatch.setattr("autoencoder.training.CHUNK_SECONDS", 60)
    eager, graphed = training(digits, "cuda"), training(digits, "cuda")
    eager.learn_all = eager._steps
    assert isinstance(graphed.learn_all, Replayed)
    expected, found = finish(eager), finish(graphed)
    assert all(torch.equal(found[name], expected[name]) for name in expected)
