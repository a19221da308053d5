"""What `autoencoder sweep` does."""

import gc
import os
from pathlib import Path

from autoencoder import paths
from autoencoder.errors import UserError
from autoencoder.sweep import description, drive, engine, runner, study, table
from autoencoder.sweep.drive import Search
from autoencoder.sweep.progress import Progress


def run(file: Path, jobs: int | None, where: str, *, render_best: int, report: bool) -> None:
    """Search as `file` describes, with so many `jobs` at once, and print what was found. Raises UserError."""
    kind, _, address = where.partition(":")
    if where != "local" and not (kind == "dask" and address):
        raise UserError(f"--engine: expected local, or dask:ADDRESS, found {where!r}")
    study.package()
    gc.enable()  # unlike other commands, this one lasts
    sweep = description.load(file)
    known = drive.finished(sweep)
    try:
        with runner.locked(paths.SWEEP_WORK / f"{sweep.name}.driver", wait=False):
            if not report:
                progress = Progress(sweep, known.values())
                with (
                    engine.dask(address, jobs, progress.note)
                    if address
                    else engine.local(jobs or os.cpu_count() or 1, progress.note)
                ) as at:
                    Search(sweep, at, progress, known).run()
                drive.clean(sweep)
            best = table.ranked(known.values())
            for state in best[:render_best]:
                drive.complete(sweep, state)
                print(f"{sweep.name}-{state.number}: figures and page are there")
    except BlockingIOError:
        raise UserError(f"{file}: expected no other search of this sweep here, found one; wait until it ends") from None
    print(table.table(sweep, best))
