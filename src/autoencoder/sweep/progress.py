"""What a sweep prints: a line per finished state, and on a terminal what runs, the best and the time that is left."""

import sys
import time
from collections.abc import Collection
from typing import Any

from autoencoder.record import identity
from autoencoder.sweep.description import Rung, Sweep
from autoencoder.sweep.runner import Job
from autoencoder.sweep.study import State

UP_AND_CLEAR = "\x1b[{}A\x1b[J"


class Progress:
    """Prints how a sweep goes on from the states that are `known`."""

    def __init__(self, sweep: Sweep, known: Collection[State]) -> None:
        self.sweep, self.terminal = sweep, sys.stdout.isatty()
        self.running: dict[int, tuple[Job, Rung]] = {}
        self.latest: dict[int, dict[str, Any]] = {}  # by number, what the runner noted last
        self.best = min((state.value for state in known), default=None)
        self.began, self.done, self.lines = time.monotonic(), 0, 0
        self.states_left = sum(rung.states for rung in sweep.rungs) - len(known)
        every = sum(self._epochs(rung) * rung.states for rung in sweep.rungs)
        self.left = every - sum(self._epochs(sweep.rung(state.number)) for state in known)
        print(f"{sweep.name}: {len(known)} states known, {self.states_left} to train", flush=True)

    @property
    def prepared(self) -> bool:
        """Whether a training has begun, for which the images were prepared."""
        return bool(self.latest) or self.done > 0

    def note(self, found: dict[str, Any]) -> None:
        """Take what the runner notes of a state in training; another thread calls this."""
        self.latest[found["number"]] = found

    def started(self, job: Job) -> None:
        """A job was given to the engine."""
        self.running[job.number] = job, self.sweep.rung(job.number)

    def finished(self, job: Job, state: State) -> None:
        """A state is there."""
        better = self.best is None or state.value < self.best
        self.best = state.value if better else self.best
        figure = f"{self.sweep.objective} {state.value:.6g}{' (the best so far)' if better else ''}"
        self._end(job, f"{job.name}: {identity.named(state.point)}, {state.epochs} epochs: {figure}")

    def failed(self, job: Job, reason: str) -> None:
        """The training of a state diverged."""
        self._end(job, f"{reason}; the search goes on without this state")

    def show(self) -> None:
        """Draw what runs anew, on a terminal."""
        if not self.terminal:
            return
        lines = [self._line(job) for job, _ in self.running.values()]
        best = f"best so far {self.best:.6g}, " if self.best is not None else ""
        lines.append(f"{best}{self.states_left} states left{self._estimate()}")
        self._clear()
        print("\n".join(lines), flush=True)
        self.lines = len(lines)

    def _line(self, job: Job) -> str:
        found = self.latest.get(job.number)
        if not found:
            return f"  {job.name}: preparing"
        so_far = "" if found["validation_mse"] is None else f", validation mse {found['validation_mse']:.6g}"
        return f"  {job.name}: epoch {found['epoch']} of {job.params['train.epochs']}{so_far}"

    def _estimate(self) -> str:
        """The time that the epochs left take at the pace so far; nothing before the first state has ended."""
        if not self.done:
            return ""
        minutes = (time.monotonic() - self.began) / self.done * self.left / 60
        return f", about {minutes:.0f} min" if minutes >= 1 else ", less than a minute"

    def _end(self, job: Job, line: str) -> None:
        _, rung = self.running.pop(job.number)
        self.done += self._epochs(rung)
        self.left -= self._epochs(rung)
        self.states_left -= 1
        self._clear()
        print(line, flush=True)

    def _epochs(self, rung: Rung) -> int:
        """Epochs of a state of this rung that the rung below has not run."""
        return rung.epochs - max((other.epochs for other in self.sweep.rungs if other.epochs < rung.epochs), default=0)

    def _clear(self) -> None:
        if self.lines:
            print(UP_AND_CLEAR.format(self.lines), end="")
            self.lines = 0
