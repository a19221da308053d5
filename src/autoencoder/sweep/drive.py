"""The search itself: rung by rung, what is not known is trained, and the best go on."""

import shutil
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from itertools import pairwise

from autoencoder import paths
from autoencoder.errors import UserError
from autoencoder.record import git
from autoencoder.sweep import runner, study
from autoencoder.sweep.description import Rung, Sweep
from autoencoder.sweep.engine import Engine
from autoencoder.sweep.progress import Progress
from autoencoder.sweep.runner import Job
from autoencoder.sweep.study import Searcher, State

CODE = (*paths.CODE, str(paths.PIPELINE), str(paths.SETS), ".dvc/config")


def commit() -> str:
    """The commit that the states are made from. Raises UserError if the code differs from it."""
    if changed := git.checked("status", "--porcelain", "--", *CODE).strip():
        raise UserError(
            f"expected committed code, for states are made from the commit, found {changed.splitlines()[0]!r}; "
            "git commit, or git stash"
        )
    return git.checked("rev-parse", "HEAD").strip()


def ranked(states: Iterable[State]) -> list[State]:
    """The states with the most epochs first, and of these the best."""
    return sorted(states, key=lambda state: (-state.epochs, state.value, state.number))


class Search:
    """A sweep at work on an engine; `known` are the finished states by number, to which it adds."""

    def __init__(self, sweep: Sweep, engine: Engine, progress: Progress, known: dict[int, State]) -> None:
        self.sweep, self.engine, self.progress, self.known = sweep, engine, progress, known
        self.searcher, self.commit = Searcher(sweep, known.values()), commit()

    def run(self) -> None:
        """Train what is not known; a state whose training diverges is left out.

        Raises UserError if a state fails otherwise, once those that run at the same time have ended.
        """
        ladder = self.sweep.ladder
        self._climb(ladder[0], [*ladder[0].numbers])
        for below, rung in pairwise(ladder):
            there = [self.known[number] for number in below.numbers if number in self.known]
            self._climb(rung, [state.number - below.offset for state in ranked(there)[: rung.states]])

    def _climb(self, rung: Rung, alive: list[int]) -> None:
        """Train the points `alive` for the epochs of the rung."""
        todo = [point for point in alive if rung.offset + point not in self.known]
        running: dict[Future[bytes | None], Job] = {}
        try:
            while todo or running:
                slots = self.engine.slots() if self.progress.prepared or not self.engine.shared else 1
                while todo and len(running) < slots:
                    if job := self._job(rung, todo.pop(0), frozenset(alive)):
                        running[self.engine.submit(job)] = job
                        self.progress.started(job)
                for future in wait(running, timeout=runner.POLL, return_when=FIRST_COMPLETED).done:
                    self._finish(running.pop(future), future)
                self.progress.show()
        finally:
            for future in running:
                future.cancel()
            wait(running)

    def _job(self, rung: Rung, point: int, alive: frozenset[int]) -> Job | None:
        """The job of a point, unless no other point is found; the first rung proposes it, the others know it."""
        values = self.known[point].point if rung.offset else self.searcher.ask(point)
        if values is None:
            return None
        flat = self.sweep.params(values, rung.epochs)
        return Job(self.sweep.name, rung.offset + point, point, alive, self.commit, flat)

    def _finish(self, job: Job, future: "Future[bytes | None]") -> None:
        try:
            self.engine.collect(job, future.result())
        except UserError as error:
            if runner.DIVERGED not in str(error):
                raise
            self.progress.ended(job, f"{error}; the search goes on without this state")
        else:
            found = self.known[job.number] = study.known(self.sweep, [job.number])[job.number]
            self.progress.ended(job, found)
            if job.number == job.point:
                self.searcher.tell(found)


def complete(sweep: Sweep, state: State) -> None:
    """Draw the figures and the page of a state too, under its name. Nothing is trained again."""
    flat = sweep.params(state.point, state.epochs)
    targets = ("evaluate", "render", "report")
    job = Job(sweep.name, state.number, state.number, frozenset(), commit(), flat, targets, again=True)
    runner.run(job, lambda _: None)


def clean(sweep: Sweep) -> None:
    """Remove the sweep's folder of workspaces, unless a process works there."""
    folder = runner.work(sweep.name)
    try:
        for path in folder.glob("*.lock"):
            with runner.locked(path, wait=False):
                pass
    except BlockingIOError:
        return
    shutil.rmtree(folder, ignore_errors=True)
