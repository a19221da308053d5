"""What `autoencoder sweep` does."""

import gc
import os
from collections.abc import Iterable
from pathlib import Path

from autoencoder import paths
from autoencoder.errors import UserError
from autoencoder.record import history
from autoencoder.sweep import description, drive, engine, runner, study
from autoencoder.sweep.description import Sweep
from autoencoder.sweep.progress import Progress
from autoencoder.sweep.study import Searcher, State


def run(file: Path, jobs: int | None, where: str, *, render_best: int, report: bool) -> None:
    """Search as `file` describes, with so many `jobs` at once, and print what was found. Raises UserError."""
    kind, _, address = where.partition(":")
    if where != "local" and not (kind == "dask" and address):
        raise UserError(f"--engine: expected local, or dask:ADDRESS, found {where!r}")
    study.package()
    gc.enable()  # unlike other commands, this one lasts
    sweep = description.load(file)
    try:
        with runner.locked(paths.SWEEP_WORK / f"{sweep.name}.driver", wait=False):
            known = study.known(sweep, [number for rung in sweep.ladder for number in rung.numbers])
            if not report:
                progress = Progress(sweep, known.values())
                here = engine.local(jobs or os.cpu_count() or 1, progress.note)
                with engine.dask(address, jobs, progress.note) if address else here as at:
                    drive.Search(sweep, at, progress, known).run()
                _fetch(sweep, known)
                drive.clean(sweep)
            for state in drive.ranked(known.values())[:render_best]:
                drive.complete(sweep, state)
                print(f"{sweep.name}-{state.number}: its figures and its page are there, too")
    except BlockingIOError:
        raise UserError(f"{file}: expected no other search of this sweep here, found one; wait until it ends") from None
    print(table(sweep, drive.ranked(known.values())))


def _fetch(sweep: Sweep, known: Iterable[int]) -> None:
    """Fetch the outputs that workers have pushed, and say which states still lack some."""
    commits = study.experiments(sweep.name)
    history.fetch([commits[number] for number in known])
    if lacking := [f"{sweep.name}-{number}" for number in known if history.not_cached(commits[number])]:
        names = ", ".join(lacking)
        print(f"note: not all outputs of {names} are in DVC's cache or came from its remote; dvc exp pull fetches them")


def table(sweep: Sweep, states: list[State]) -> str:
    """The `states`, and what each param is worth."""
    rows = [("state", "epochs", sweep.objective, *sweep.search)]
    for state in states:
        name, values = f"{sweep.name}-{state.number}", map(str, state.point.values())
        rows.append((name, str(state.epochs), f"{state.value:.6g}", *values))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    asked = ", ".join(f"{rung.states} for {rung.epochs} epoch{'s' * (rung.epochs > 1)}" for rung in sweep.ladder)
    total = sum(rung.states for rung in sweep.ladder)
    lines += ["", f"{len(states)} of {total} states are known ({asked}; by {sweep.method})."]
    if others := [f"{sweep.name}-{state.number}" for state in states if state.other_code]:
        lines.append(
            f"Other code than the present made {', '.join(others)}; `dvc exp remove` them to train them again."
        )
    worth = [f"{name} {share:.0%}" for name, share in Searcher(sweep, states).importances().items()]
    if worth:
        lines.append(f"What each param is worth, after {sweep.ladder[0].epochs} epochs: {', '.join(worth)}.")
    return "\n".join(lines)
