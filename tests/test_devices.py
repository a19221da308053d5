"""On one device training gives the same bytes each time, and it begins with the same weights and order on all."""

import pytest
import torch
from safetensors.torch import save
from torch import Tensor

from autoencoder.data.images import Images
from autoencoder.models.saved import Description
from autoencoder.params import Train
from autoencoder.training.loop import Training

CUDA = pytest.param(
    "cuda",
    marks=[
        pytest.mark.cuda,
        pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU at hand: the same bytes twice on CUDA"),
    ],
)
pytestmark = pytest.mark.parametrize("device", ["cpu", CUDA])


class Recorded(Training):
    """Notes which images are learned from, in their order."""

    def _learn_chunk(self, indices: Tensor) -> None:
        self.seen = [*getattr(self, "seen", []), *indices.tolist()]
        super()._learn_chunk(indices)


def train(images: Images, device: str, optimizer: str) -> tuple[bytes, list[int], bytes]:
    """The initial weights, the order of the images in two epochs, and the state after them."""
    settings = Train(
        loss="mse",
        weight_decay=0.0,
        epochs=2,
        batch_size=20,
        optimizer=optimizer,
        learning_rate=0.01,
        momentum=0.5,
        log_every=1,
    )
    model = Description("linear", 8, (1, 1, 64)).build(5)
    training = Recorded(model, images, settings, seed=5, device=torch.device(device))
    weights = save({name: tensor.cpu() for name, tensor in training.model.state_dict().items()})
    for _ in training.run():
        pass
    return weights, training.seen, save(training.state())


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_training_twice_on_a_device_gives_the_same_bytes(
    digits: Images, device: str, optimizer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autoencoder.training.loop.CHUNK_SECONDS", 60)  # no chunk is cut short and offered again
    assert torch.are_deterministic_algorithms_enabled() == torch.cuda.is_available()
    first = train(digits, device, optimizer)
    assert train(digits, device, optimizer) == first
    assert train(digits, "cpu", optimizer)[:2] == first[:2]
    assert sorted(first[1]) == sorted([*range(1_500), *range(1_500)])
