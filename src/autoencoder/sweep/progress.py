"""What a sweep prints: a line per finished state, and on a terminal what runs, the best and the time that is left."""

import sys
import time
from collections.abc import Collection
from typing import Any

from autoencoder.record import identity
from autoencoder.sweep.description import Sweep
from autoencoder.sweep.runner import Job
from autoencoder.sweep.study import State

UP_AND_CLEAR = "\x1b[{}A\x1b[J"


class Progress:
    """Prints how a sweep goes on from the states that are `known`."""

    def __init__(self, sweep: Sweep, known: Collection[State]) -> None:
        self.sweep = sweep
        self.running: dict[int, Job] = {}
        self.noted: dict[int, dict[str, Any]] = {}  # by number, what the runner noted last
        self.best = min((state.value for state in known), default=None)
        self.states_left = sum(rung.states for rung in sweep.ladder) - len(known)
        self.epochs_left = sum(self._epochs(rung.offset + 1) * rung.states for rung in sweep.ladder)
        self.epochs_left -= sum(self._epochs(state.number) for state in known)
        self.began, self.epochs_done, self.lines = time.monotonic(), 0, 0
        print(f"{sweep.name}: {len(known)} states known, {self.states_left} to train", flush=True)

    @property
    def prepared(self) -> bool:
        """Whether a training has begun, for which the images were prepared."""
        return bool(self.noted) or self.epochs_done > 0

    def note(self, found: dict[str, Any]) -> None:
        """Take what the runner notes of a state in training; another thread calls this."""
        self.noted[found["number"]] = found

    def started(self, job: Job) -> None:
        """Show a job that was given to the engine."""
        self.running[job.number] = job

    def ended(self, job: Job, outcome: State | str) -> None:
        """Print the state that came of a job, or why none did."""
        if isinstance(outcome, State):
            better = self.best is None or outcome.value < self.best
            self.best = outcome.value if better else self.best
            figure = f"{self.sweep.objective} {outcome.value:.6g}{' (the best so far)' if better else ''}"
            outcome = f"{job.name}: {identity.named(outcome.point)}, {outcome.epochs} epochs: {figure}"
        del self.running[job.number]
        self.epochs_done += self._epochs(job.number)
        self.epochs_left -= self._epochs(job.number)
        self.states_left -= 1
        self._print(outcome)

    def show(self) -> None:
        """Show on a terminal what runs."""
        if sys.stdout.isatty():
            best = "" if self.best is None else f"best so far {self.best:.6g}, "
            lines = [*map(self._line, self.running.values()), f"{best}{self.states_left} states left{self._estimate()}"]
            self._print("\n".join(lines))
            self.lines = len(lines)

    def _print(self, text: str) -> None:
        """Print in the place of what `show` has printed."""
        print(f"{UP_AND_CLEAR.format(self.lines) if self.lines else ''}{text}", flush=True)
        self.lines = 0

    def _line(self, job: Job) -> str:
        if not (found := self.noted.get(job.number)):
            return f"  {job.name}: preparing"
        so_far = "" if found["validation_mse"] is None else f", validation mse {found['validation_mse']:.6g}"
        return f"  {job.name}: epoch {found['epoch']} of {job.params['train.epochs']}{so_far}"

    def _estimate(self) -> str:
        """The time that the epochs left take at the pace so far; nothing before the first state has ended."""
        if not self.epochs_done:
            return ""
        begun = [(number, found["epoch"]) for number, found in self.noted.items() if number in self.running]
        running = sum(max(epoch - self.sweep.rung(number).epochs + self._epochs(number), 0) for number, epoch in begun)
        pace = (time.monotonic() - self.began) / (self.epochs_done + running)
        minutes = pace * (self.epochs_left - running) / 60
        return f", about {minutes:.0f} min" if minutes >= 1 else ", less than a minute"

    def _epochs(self, number: int) -> int:
        """Epochs of this state that the rung below has not run."""
        epochs = self.sweep.rung(number).epochs
        return epochs - max((rung.epochs for rung in self.sweep.ladder if rung.epochs < epochs), default=0)
