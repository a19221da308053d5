"""Where states are trained: on this machine, or on the workers of a Dask scheduler."""

import logging
import re
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from autoencoder import paths
from autoencoder.errors import UserError
from autoencoder.files import md5_of_bytes, write_atomically
from autoencoder.record import content, git, history
from autoencoder.sweep.runner import Job, Note, run

REMOTE = "origin"
TOPIC = "autoencoder sweep"
KEPT = "what is finished is kept; mend that, and type it again"


@dataclass(frozen=True)
class Engine:
    """`submit` begins a job, `slots` is how many to begin at once, and `collect` takes what came of one.

    `shared` is whether the jobs share a cache: the first one then prepares the images for all.
    """

    submit: "Callable[[Job], Future[bytes | None]]"
    slots: Callable[[], int]
    collect: Callable[[Job, bytes | None], None]
    shared: bool


@contextmanager
def local(jobs: int, note: Note) -> Iterator[Engine]:
    """So many jobs at once on the present machine."""
    pool = ThreadPoolExecutor(jobs)
    try:
        yield Engine(lambda job: pool.submit(run, job, note), lambda: jobs, lambda _, __: None, shared=True)
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def dask(address: str, jobs: int | None, note: Note) -> Iterator[Engine]:
    """The workers of the Dask scheduler at `address`, which git's remote and DVC's remote connect with this clone.

    Raises UserError if Dask is not installed, the scheduler does not answer or dies, workers die at the same state, or
    the commit is not in git's remote.
    """
    try:
        from distributed import Client, KilledWorker
    except ModuleNotFoundError:
        raise UserError(
            "--engine dask: expected the package distributed, found it is not installed; "
            "uv pip install --require-hashes -r requirements-sweep.lock"
        ) from None
    if not git.output("branch", "--remotes", "--contains", "HEAD"):
        raise UserError(f"--engine dask: expected the present commit in a branch of {REMOTE}, found none; git push")
    try:
        client = Client(address, timeout=10)
    except (OSError, ValueError) as error:
        raise UserError(f"--engine dask:{address}: expected a Dask scheduler, found {error}") from None
    logging.disable(logging.ERROR)  # Dask logs what becomes one line below
    try:
        with client:
            client.subscribe_topic(TOPIC, lambda event: note(event[1]))
            pool = client.get_executor(pure=False)
            yield Engine(
                partial(pool.submit, run_on_worker),
                lambda: jobs or sum(client.nthreads().values()) + 1,  # a job waits, so that no worker does
                collect,
                shared=False,
            )
    except (CancelledError, OSError) as error:
        if getattr(error, "errno", None):  # the system's, such as a full disk; Dask's have no number
            raise
        found = "that the scheduler is gone"
    except KilledWorker as error:
        found = f"that {error.last_worker.address} was the last of {error.allowed_failures + 1} workers that died of it"
    else:
        return
    raise UserError(f"--engine dask:{address}: expected an end, found {found}; what is finished is kept; type it again")


def collect(job: Job, figures: bytes | None) -> None:
    """Fetch the experiment of `job` from git's remote; its `figures` go to DVC's cache, where the others come later."""
    git.checked("fetch", "--quiet", REMOTE, f"+{job.ref}:{job.ref}")
    if figures is not None:
        write_atomically(content.cached(md5_of_bytes(figures)), figures)


def run_on_worker(job: Job) -> bytes | None:
    """Make the experiment of `job` in the clone in which this Dask worker was started, and push it.

    Returns its metrics/evaluation.json, or None if the experiment was pushed before. Raises UserError if there is no
    clone, no commit, or the experiment cannot be made or pushed.
    """
    from distributed import get_worker

    worker = get_worker()
    if not paths.PIPELINE.exists():
        raise UserError(f"worker {worker.address}: expected to be started in a clone, found {Path.cwd()}")
    if git.git("cat-file", "-e", job.commit).returncode:
        git.checked("fetch", "--quiet", REMOTE)
    if git.checked("ls-remote", REMOTE, job.ref):
        return None
    run(job, partial(worker.log_event, TOPIC), lambda folder: dvc("push", "--with-deps", *job.targets, folder=folder))
    pushed = git.git("push", "--quiet", REMOTE, job.ref)  # last: what git's remote has, DVC's remote has
    if pushed.returncode and not git.checked("ls-remote", REMOTE, job.ref):  # else another worker was first
        raise UserError(f"{job.name}: git push: {' '.join(pushed.stderr.decode().split())}; {KEPT}")
    figures = content.cached(history.recorded(job.ref)["evaluate"].outs[str(paths.EVALUATION)])
    return figures.read_bytes() if figures.exists() else None


def dvc(*arguments: str, folder: Path | None = None) -> None:
    """Run DVC in `folder`, by default the current one. Raises UserError with the cause if it fails."""
    done = git.dvc(*arguments, folder=folder)
    if done.returncode:
        errors = re.findall("^ERROR: (?:unexpected error - )?(.*)", done.stderr.decode(), re.MULTILINE) or ["no reason"]
        raise UserError(f"dvc {' '.join(arguments)}: {errors[0]}; {KEPT}")
