"""Gradient descent on an objective. Nothing here prints, saves or tracks."""

import math
import time
from collections.abc import Iterator
from dataclasses import astuple, dataclass

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from autoencoder.data.images import Images, scale
from autoencoder.errors import UserError
from autoencoder.models.autoencoder import Autoencoder
from autoencoder.params import Train
from autoencoder.training.objective import Objective, mean_squared_error
from autoencoder.training.optimizers import SGD, Adam, Optimizer
from autoencoder.training.steps import MEAN_SQUARED_ERROR, learner

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
    """A row of metrics/training.csv: those of `train` are means over the epoch's batches, each before its update.

    `validation_mse` is known where there is such a split; `nats`, the bound on -log p(x), of variational autoencoders.
    """

    epoch: int
    train_mse: float
    test_mse: float
    validation_mse: float | None = None
    train_nats: float | None = None
    test_nats: float | None = None
    validation_nats: float | None = None


@dataclass(frozen=True)
class Progress:
    """Where training stands after some batches: what was newly recorded, and the place in the epoch."""

    epoch: int
    images_seen: int
    steps: list[Step]
    finished: Epoch | None


def chunk_size(batch_size: int) -> int:
    """Images that are gathered at a time: whole batches, one at least."""
    return max(CHUNK_IMAGES // batch_size, 1) * batch_size


def optimizer(model: nn.Module, settings: Train) -> Optimizer:
    """The optimizer that `settings` name, for all weights of `model`."""
    if settings.optimizer == "sgd":
        return SGD(model.parameters(), settings.learning_rate, settings.momentum, settings.weight_decay)
    return Adam(model.parameters(), settings.learning_rate, settings.weight_decay)


class Training:
    """A model being trained on the training images, as `settings` ask; iterate over `run()` to make it go on.

    Every random number is drawn on the CPU, from `seed`: the order of the images is the same on every device. `losses`
    has the figures `Objective.names` of every batch of the epoch.
    """

    def __init__(
        self,
        model: Autoencoder,
        images: Images,
        settings: Train,
        objective: Objective = MEAN_SQUARED_ERROR,
        *,
        seed: int,
        device: torch.device,
    ) -> None:
        self.model, self.settings, self.objective, self.seed = model.to(device), settings, objective, seed
        self.splits = {name: split.to(device) for name, split in images.splits.items()}
        self.train_images = self.splits.pop("train")
        self.optimizer = optimizer(self.model, settings)
        self.needs_noise = any(noise.numel() for noise in objective.draw(1, 1, 1, seed, 0))
        self.code_dimensions = self.model.encode(scale(self.train_images[:1], model.lowest)).shape[1]
        self.order = torch.Generator().manual_seed(seed).get_state()  # as of the start of the epoch
        batches = -(-len(self.train_images) // settings.batch_size)
        self.losses = torch.zeros(batches, len(objective.names), device=device)
        self.batch = 0
        self.steps: list[Step] = []
        self.history: list[Epoch] = []

    def run(self) -> Iterator[Progress]:
        """Train to the end, yielding after every chunk of batches. Raises UserError when a loss is not finite."""
        generator = torch.Generator()
        while len(self.history) < self.settings.epochs:
            generator.set_state(self.order)
            order = torch.randperm(len(self.train_images), generator=generator).to(self.train_images.device)
            self.learn = learner(self.model, self.optimizer, self.objective)  # anew: a recording freezes its numbers
            finished = None
            while finished is None:
                first = self.batch
                self._learn_chunk(order[first * self.settings.batch_size :][: chunk_size(self.settings.batch_size)])
                steps = self._look_at_losses(first)
                if self.batch == len(self.losses):
                    finished = self._finish_epoch()
                    self.order = generator.get_state()
                epoch = len(self.history) + (finished is None)
                seen = len(order) if finished else self.batch * self.settings.batch_size
                yield Progress(epoch, seen, steps, finished)

    @property
    def batches_seen(self) -> int:
        """How far training has come, counted in updates."""
        return len(self.history) * len(self.losses) + self.batch

    def state(self) -> dict[str, Tensor]:
        """A copy of all that the rest of the training depends on. To be taken between two items of `run()`."""
        state = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        state |= {f"optimizer.{name}": tensor for name, tensor in self.optimizer.state().items()}
        state |= {
            "order": self.order,
            "losses": self.losses[: self.batch],
            "steps": torch.tensor([astuple(step) for step in self.steps], dtype=torch.float64),
            "history": torch.tensor(
                [[math.nan if value is None else value for value in astuple(epoch)] for epoch in self.history],
                dtype=torch.float64,
            ),
        }
        return {name: tensor.detach().to("cpu", copy=True) for name, tensor in state.items()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from `state()` of a training with the same arguments, as if it had never stopped."""
        prefix = "model."
        self.model.load_state_dict({name[len(prefix) :]: state[name] for name in state if name.startswith(prefix)})
        for name, tensor in self.optimizer.state().items():
            tensor.copy_(state[f"optimizer.{name}"])
        self.order = state["order"]
        self.batch = len(state["losses"])
        self.losses[: self.batch] = state["losses"]
        self.steps = [Step(int(step), int(epoch), mse) for step, epoch, mse in state["steps"].tolist()]
        self.history = [
            Epoch(int(epoch), *[None if math.isnan(error) else error for error in errors])  # type: ignore[arg-type]
            for epoch, *errors in state["history"].tolist()
        ]

    def _learn_chunk(self, indices: Int64[Tensor, " n"]) -> None:
        """Take steps on these images, which are gathered and scaled all at once, until all are seen or time is up."""
        losses = self._steps(scale(self.train_images.index_select(0, indices), self.model.lowest))
        self.losses[self.batch : self.batch + len(losses)] = losses
        self.batch += len(losses)

    def _steps(self, chunk: Float[Tensor, "n input"]) -> Float[Tensor, "batches figures"]:
        deadline = time.monotonic() + CHUNK_SECONDS
        losses: list[Tensor] = []
        for x in chunk.split(self.settings.batch_size):
            losses.append(self.learn(x, *(self._draw(x, self.batches_seen + len(losses)) if self.needs_noise else ())))
            if time.monotonic() > deadline:
                break
        return torch.stack(losses).reshape(len(losses), -1)

    def _draw(self, x: Float[Tensor, "batch input"], step: int) -> list[Tensor]:
        drawn = self.objective.draw(len(x), x.shape[1], self.code_dimensions, self.seed, step)
        return [noise.to(x.device) for noise in drawn]

    def _look_at_losses(self, first: int) -> list[Step]:
        losses = self.losses[first : self.batch, 0].tolist()
        epoch = len(self.history) + 1
        for batch, loss in enumerate(losses, first):
            self._check(loss, f"epoch {epoch}, batch {batch}")
        before = len(self.history) * len(self.losses)
        recorded = [(batch, loss) for batch, loss in enumerate(losses, first) if batch % self.settings.log_every == 0]
        steps = [Step(before + batch, epoch, loss) for batch, loss in recorded]
        self.steps += steps
        return steps

    def _finish_epoch(self) -> Epoch:
        sizes = torch.full((len(self.losses),), self.settings.batch_size, dtype=torch.float64)
        sizes[-1] = len(self.train_images) - self.settings.batch_size * (len(sizes) - 1)
        figures = {}
        for name, losses in zip(self.objective.names, self.losses.cpu().double().unbind(1), strict=True):
            figures[f"train_{name}"] = (losses * sizes).sum().item() / len(self.train_images)
            figures |= {f"{split}_{name}": self._measure(name, x) for split, x in self.splits.items()}
        for name, figure in figures.items():
            self._check(figure, f"{name} after epoch {len(self.history) + 1}, batch {self.batch - 1}")
        self.history.append(Epoch(len(self.history) + 1, **figures))
        self.batch = 0
        return self.history[-1]

    def _measure(self, name: str, images: UInt8[Tensor, "n *image"]) -> float:
        if name == "nats":
            return self.objective.nats(self.model, images)
        return mean_squared_error(self.model, images, TEST_BATCH)

    def _check(self, loss: float, where: str) -> None:
        if not math.isfinite(loss):
            raise UserError(
                f"training diverged: expected a finite loss, found {loss} in {where} "
                f"(learning rate {self.settings.learning_rate}); lower train.learning_rate"
            )
