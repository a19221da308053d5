"""Gradient descent on the mean squared error of output against input. Nothing here prints, saves or tracks."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from autoencoder.errors import UserError
from autoencoder.graph import Replayed, Steps
from autoencoder.models import LinearAutoencoder, mean_squared_error, scale

# Images that are gathered at a time (a batch at least), and seconds after which a slow model's losses are looked at all
# the same. The hot loop in between never waits for the device. Neither number changes a result.
CHUNK_IMAGES = 640
CHUNK_SECONDS = 0.25
TEST_BATCH = 1_000


@dataclass(frozen=True)
class Step:
    """A row of metrics/steps.csv: `mse` of one batch before its update, after `step` updates in all."""

    step: int
    epoch: int
    mse: float


@dataclass(frozen=True)
class Epoch:
    """A row of metrics/training.csv: `train_mse` is the mean over the epoch's batches as they were met."""

    epoch: int
    train_mse: float
    test_mse: float


@dataclass(frozen=True)
class Progress:
    """Where training stands after some batches: what was newly recorded, and the place in the epoch."""

    epoch: int
    images_seen: int
    steps: list[Step]
    finished: Epoch | None


# Takes one step of gradient descent on a batch of scaled images; returns the loss as it was before the step.
Learn = Callable[[Float[Tensor, "batch input"]], Float[Tensor, ""]]


class Training:
    """A model being trained on `train_images`; iterate over `run()` to make it go on.

    Every random number is drawn on the CPU, from `seed`: the order of the images is the same on every device.
    """

    def __init__(
        self,
        model: LinearAutoencoder,
        images: dict[str, Tensor],
        *,
        epochs: int,
        batch_size: int,
        optimizer: str,
        learning_rate: float,
        momentum: float,
        log_every: int,
        seed: int,
        device: torch.device,
    ) -> None:
        self.model = model.to(device)
        self.train_images = images["train_images"].to(device)
        self.test_images = images["test_images"].to(device)
        self.epochs, self.batch_size, self.log_every = epochs, batch_size, log_every
        self.chunk = max(CHUNK_IMAGES // batch_size, 1) * batch_size
        self.learning_rate = learning_rate
        self.optimizer: Optimizer
        if optimizer == "sgd":
            self.optimizer = SGD(model.parameters(), learning_rate, momentum)
        else:
            self.optimizer = torch.optim.Adam(model.parameters(), learning_rate, fused=True)
        self.learn = learner(self.model, self.optimizer)
        replayed = device.type == "cuda" and derived_by_hand(self.model, self.optimizer)
        self.learn_all: Steps = Replayed(self._steps) if replayed else self._steps
        self.order = torch.Generator().manual_seed(seed).get_state()  # as of the start of the epoch
        self.losses = torch.zeros(-(-len(self.train_images) // batch_size), device=device)
        self.batch = 0
        self.steps: list[Step] = []
        self.history: list[Epoch] = []

    def run(self) -> Iterator[Progress]:
        """Train to the end, yielding after every chunk of batches. Raises UserError when a loss is not finite."""
        generator = torch.Generator()
        while len(self.history) < self.epochs:
            generator.set_state(self.order)
            order = torch.randperm(len(self.train_images), generator=generator).to(self.train_images.device)
            finished = None
            while finished is None:
                first = self.batch
                self._learn_chunk(order[first * self.batch_size :][: self.chunk])
                steps = self._look_at_losses(first)
                if self.batch == len(self.losses):
                    finished = self._finish_epoch()
                    self.order = generator.get_state()
                epoch = len(self.history) + (finished is None)
                seen = len(order) if finished else self.batch * self.batch_size
                yield Progress(epoch, seen, steps, finished)

    @property
    def batches_seen(self) -> int:
        """How far training has come, counted in updates."""
        return len(self.history) * len(self.losses) + self.batch

    def state(self) -> dict[str, Tensor]:
        """A copy of all that the rest of the training depends on. To be taken between two items of `run()`."""
        state = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        for index, buffers in self.optimizer.state_dict()["state"].items():
            state |= {f"optimizer.{index}.{name}": tensor for name, tensor in buffers.items()}
        state |= {
            "order": self.order,
            "losses": self.losses[: self.batch],
            "steps": torch.tensor([step.mse for step in self.steps], dtype=torch.float64),
            "history": torch.tensor([(row.train_mse, row.test_mse) for row in self.history], dtype=torch.float64),
        }
        return {name: tensor.detach().to("cpu", copy=True) for name, tensor in state.items()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from `state()` of a training with the same arguments, as if it had never stopped."""
        prefix = "model."
        self.model.load_state_dict({name[len(prefix) :]: state[name] for name in state if name.startswith(prefix)})
        buffers: dict[int, dict[str, Tensor]] = {}
        for name, tensor in state.items():
            if name.startswith("optimizer."):
                _, index, buffer = name.split(".")
                buffers.setdefault(int(index), {})[buffer] = tensor
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": buffers})
        self.order = state["order"]
        self.batch = len(state["losses"])
        self.losses[: self.batch] = state["losses"]
        self.history = [Epoch(n, *row) for n, row in enumerate(state["history"].tolist(), 1)]
        batches = range(0, len(self.losses), self.log_every)  # of an epoch: those that are recorded as steps
        places = ((epoch, batch) for epoch in range(self.epochs) for batch in batches)
        self.steps = [
            Step(epoch * len(self.losses) + batch, epoch + 1, mse)
            for (epoch, batch), mse in zip(places, state["steps"].tolist(), strict=False)
        ]

    def _learn_chunk(self, indices: Int64[Tensor, " n"]) -> None:
        """Take steps on these images, which are gathered and scaled all at once, until all are seen or time is up."""
        losses = self.learn_all(scale(self.train_images.index_select(0, indices)))
        self.losses[self.batch : self.batch + len(losses)] = losses
        self.batch += len(losses)

    def _steps(self, chunk: Float[Tensor, "n input"]) -> Float[Tensor, " batches"]:
        deadline = time.monotonic() + CHUNK_SECONDS
        losses = []
        for x in chunk.split(self.batch_size):
            losses.append(self.learn(x))
            if time.monotonic() > deadline:
                break
        return torch.stack(losses)

    def _look_at_losses(self, first: int) -> list[Step]:
        losses = self.losses[first : self.batch].tolist()
        epoch = len(self.history) + 1
        for batch, loss in enumerate(losses, first):
            self._check(loss, f"epoch {epoch}, batch {batch}")
        before = len(self.history) * len(self.losses)
        steps = [
            Step(before + batch, epoch, loss) for batch, loss in enumerate(losses, first) if batch % self.log_every == 0
        ]
        self.steps += steps
        return steps

    def _finish_epoch(self) -> Epoch:
        sizes = torch.full(self.losses.shape, self.batch_size, dtype=torch.float64)
        sizes[-1] = len(self.train_images) - self.batch_size * (len(sizes) - 1)
        train_mse = (self.losses.cpu().double() * sizes).sum().item() / len(self.train_images)
        test_mse = mean_squared_error(self.model, self.test_images, TEST_BATCH)
        self._check(test_mse, f"the test after epoch {len(self.history) + 1}, batch {self.batch - 1}")
        self.history.append(Epoch(len(self.history) + 1, train_mse, test_mse))
        self.batch = 0
        return self.history[-1]

    def _check(self, loss: float, where: str) -> None:
        if not math.isfinite(loss):
            raise UserError(
                f"training diverged: expected a finite loss, found {loss} in {where} "
                f"(learning rate {self.learning_rate}); lower train.learning_rate"
            )


class SGD:
    """v ← momentum · v + gradient, weight ← weight - learning_rate · v, from v = 0: torch.optim.SGD's steps.

    That one loads torch._dynamo when it is made, which takes as long as loading torch.
    """

    def __init__(self, weights: Iterable[nn.Parameter], learning_rate: float, momentum: float) -> None:
        self.weights = list(weights)
        self.velocities = [torch.zeros_like(weight, requires_grad=False) for weight in self.weights]
        self.learning_rate, self.momentum = learning_rate, momentum

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for weight in self.weights:
            weight.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Follow the gradients that are there."""
        for weight, velocity in zip(self.weights, self.velocities, strict=True):
            if weight.grad is not None:
                velocity.mul_(self.momentum).add_(weight.grad)
                weight.add_(velocity, alpha=-self.learning_rate)

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` takes, in the form of torch's optimizers."""
        return {"state": {index: {"velocity": velocity} for index, velocity in enumerate(self.velocities)}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Copy the velocities. Raises KeyError or RuntimeError if they are another model's."""
        for index, velocity in enumerate(self.velocities):
            velocity.copy_(state_dict["state"][index]["velocity"])


Optimizer = torch.optim.Optimizer | SGD


def derived_by_hand(model: nn.Module, optimizer: Optimizer) -> bool:
    """Whether somebody has derived the gradients of `model` for `optimizer`."""
    return type(model) is LinearAutoencoder and type(optimizer) is SGD


def learner(model: nn.Module, optimizer: Optimizer) -> Learn:
    """The fastest way to take steps of `optimizer` on `model`."""
    if derived_by_hand(model, optimizer):
        return linear_sgd(cast(LinearAutoencoder, model), cast(SGD, optimizer))
    return autograd(model, optimizer)


def autograd(model: nn.Module, optimizer: Optimizer) -> Learn:
    """Steps of any optimizer on any model."""

    def learn(x: Float[Tensor, "batch input"]) -> Float[Tensor, ""]:
        loss = mse_loss(model(x), x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return learn


def linear_sgd(model: LinearAutoencoder, optimizer: SGD) -> Learn:
    """Steps of SGD on the linear model: the same as `autograd`, its gradients derived by hand.

    With h = x W_encᵀ, e = h W_decᵀ - x and c = 2 / (batch · input), the gradients of mean(e²) are
    c eᵀh for W_dec and c (e W_dec)ᵀx for W_enc. They are added to the velocities in the product itself.
    """
    encoder, decoder = (weight.detach() for weight in (model.encoder.linear.weight, model.decoder.linear.weight))
    encoder_velocity, decoder_velocity = optimizer.velocities  # in the order of model.parameters()
    momentum, learning_rate = optimizer.momentum, optimizer.learning_rate

    @cache  # an epoch's last batch may be shorter than the others
    def buffers(batch: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, int]:
        code, error, error_of_code = (encoder.new_empty(batch, n) for n in (len(encoder), len(decoder), len(encoder)))
        return code, error, error_of_code, error.T, error_of_code.T, error.flatten(), error.numel()

    encoder_t, decoder_t = encoder.T, decoder.T  # here and above: to make a view takes as long as a small operation

    def learn(x: Float[Tensor, "batch input"]) -> Float[Tensor, ""]:
        code, error, error_of_code, error_t, error_of_code_t, errors, size = buffers(x.shape[0])
        c = 2 / size
        torch.mm(x, encoder_t, out=code)
        torch.mm(code, decoder_t, out=error).sub_(x)
        torch.mm(error, decoder, out=error_of_code)
        decoder_velocity.addmm_(error_t, code, beta=momentum, alpha=c)
        encoder_velocity.addmm_(error_of_code_t, x, beta=momentum, alpha=c)
        decoder.add_(decoder_velocity, alpha=-learning_rate)
        encoder.add_(encoder_velocity, alpha=-learning_rate)
        return torch.dot(errors, errors).div_(size)  # half the time of error.square().mean()

    return learn
