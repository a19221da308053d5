"""The search itself: rung by rung, what is not known is trained, and the best go on."""

import shutil
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from dataclasses import dataclass, field

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


def finished(sweep: Sweep) -> dict[int, State]:
    """All finished states of the sweep."""
    return study.known(sweep, [number for rung in sweep.rungs for number in rung.numbers])


@dataclass
class Search:
    """A sweep at work: what is known by number, and what is said of it."""

    sweep: Sweep
    engine: Engine
    progress: Progress
    known: dict[int, State]
    commit: str = field(default_factory=commit)

    def run(self) -> None:
        """Train what is not known, so that `known` has all states but those whose training diverges.

        Raises UserError if a state fails otherwise, once those that run at the same time have ended.
        """
        self.searcher = Searcher(self.sweep, self.known)
        alive = list(self.sweep.rungs[0].numbers)[: self.sweep.rungs[0].states]
        for below, rung in zip([None, *self.sweep.rungs], self.sweep.rungs, strict=False):
            if below:
                alive = [state.number - below.offset for state in self.best(below)][: rung.states]
            self._climb(rung, alive)

    def best(self, rung: Rung) -> list[State]:
        """The known states of a rung, the best first."""
        return sorted(
            (self.known[number] for number in rung.numbers if number in self.known),
            key=lambda state: (state.value, state.number),
        )

    def _climb(self, rung: Rung, alive: list[int]) -> None:
        """Train the states of the points `alive` for the epochs of the rung."""
        todo = [point for point in alive if rung.number(point) not in self.known]
        running: dict[Future[None], Job] = {}
        try:
            while todo or running:
                slots = self.engine.slots() if self.progress.prepared or not self.engine.shared else 1
                while todo and len(running) < slots:
                    if job := self._job(rung, todo.pop(0), frozenset(alive)):
                        running[self.engine.submit(job)] = job
                        self.progress.started(job)
                done, _ = wait(running, timeout=runner.POLL, return_when=FIRST_COMPLETED)
                for future in done:
                    self._finish(running.pop(future), future)
                self.progress.show()
        except UserError:
            for future in running:
                future.cancel()
            wait(running)
            raise

    def _job(self, rung: Rung, point: int, alive: frozenset[int]) -> Job | None:
        """The job of a point; the first rung proposes it, the others know it from there."""
        values = self.searcher.ask(point) if not rung.offset else self.known[point].point
        if values is None:
            return None
        flat = self.sweep.params(values, rung.epochs)
        return Job(self.sweep.name, rung.number(point), point, alive, self.commit, flat)

    def _finish(self, job: Job, future: "Future[None]") -> None:
        try:
            future.result()
            self.engine.collect(job)
        except UserError as error:
            if runner.DIVERGED not in str(error):
                raise
            self.progress.failed(job, str(error))
            found = None
        except (CancelledError, OSError) as error:
            raise UserError(
                f"{job.name}: lost ({type(error).__name__}: {error}); what is finished is kept, type it again"
            ) from None
        else:
            found = study.known(self.sweep, [job.number])[job.number]
            self.known[job.number] = found
            self.progress.finished(job, found)
        if job.number == job.point:
            self.searcher.tell(job.point, found)


def complete(sweep: Sweep, state: State) -> None:
    """Draw the figures and the page of a state too, under its name. Nothing is trained again."""
    flat = sweep.params(state.point, state.epochs)
    targets = ("evaluate", "render", "report")
    job = Job(sweep.name, state.number, state.number, frozenset(), commit(), flat, targets, again=True)
    runner.run(job, lambda _: None)


def clean(sweep: Sweep) -> None:
    """Remove the sweep's folder of workspaces, unless a process works there."""
    folder = runner.work(sweep.name)
    for path in folder.glob("*.lock"):
        try:
            with runner.locked(path, wait=False):
                pass
        except BlockingIOError:
            return
    shutil.rmtree(folder, ignore_errors=True)
