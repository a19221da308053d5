"""The MLflow store: how it is made, locked and asked."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import Any

from requests import RequestException
from sqlalchemy.exc import SQLAlchemyError

from autoencoder import paths
from autoencoder.errors import UserError
from autoencoder.tracking import server, view
from autoencoder.tracking.client import MlflowClient, MlflowException, entities

EXPERIMENT = "autoencoder"
PAGE = 1_000  # runs that are asked for at once
FEW = 10  # where the first ones count
KIND = ("mlflow.experimentKind", "custom_model_development")  # MLflow's page then shows what belongs to training
ABSENT = ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")  # how MLflow answers that it does not have what is asked for
EXISTS = "RESOURCE_ALREADY_EXISTS"  # another user of a team's server made it meanwhile: locks are per repository


class ReadOnlyError(UserError):
    """The user may not write to the store."""


class Store:
    """A connection to the MLflow store at `server.uri()`.

    With `create=False` a database that is not there is not made. Raises UserError, in seconds and in one line, when the
    store cannot be reached.
    """

    def __init__(self, *, create: bool = True) -> None:
        self.root, self.uri = server.root(), server.uri()
        with self.lock("store"), self.errors():
            if path := server.database():
                self._create_database(path, create)
            server.check_database()
            self.client = MlflowClient(self.uri, self.uri)
            self.client.search_experiments(max_results=1)

    def _create_database(self, path: Path, create: bool) -> None:
        """Make a SQLite store whole or not at all: MLflow cannot go on with one whose migrations were cut short."""
        if path.is_file() and not path.stat().st_size:
            path.unlink()
        if not create and not path.exists():
            raise UserError(f"MLflow store {self.uri}: not found; `autoencoder track` makes it")
        with _locked(path.parent, os.O_RDONLY):  # another repository may share the store
            if not path.exists():
                unfinished = path.with_name(f"{path.name}.unfinished")
                unfinished.unlink(missing_ok=True)
                with chdir(self.root):  # its first experiment keeps artifacts below the folder that it is made in
                    MlflowClient(f"{server.SQLITE}{unfinished}").search_experiments(max_results=1)
                unfinished.rename(path)

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold the lock `name`, which one process of this repository can hold at a time."""
        folder = self.root / paths.WORK
        folder.mkdir(exist_ok=True)
        with _locked(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT):
            yield

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Raise UserError, in one line, for every error of MLflow, its database or its server."""
        try:
            yield
        except (MlflowException, SQLAlchemyError, RequestException) as error:
            line = f"MLflow store {self.uri}: {error}".partition("\n")[0].rstrip(".")
            status = getattr(getattr(error, "response", None), "status_code", None)
            code = getattr(error, "error_code", None)
            if code == "PERMISSION_DENIED" or status == HTTPStatus.FORBIDDEN or "readonly database" in line:
                raise ReadOnlyError(f"{line}. You may not write there, and what is lacking was not tracked") from None
            remedy = "Type `autoencoder track` when this is mended"
            raise UserError(f"{line}. Nothing is lost: the results are in the workspace. {remedy}") from None

    def search(self, condition: str, order: str | None = None, *, deleted: bool = False) -> Iterator[entities.Run]:
        """The runs of all experiments that meet MLflow's `condition`, those that were deleted too if `deleted`."""
        kind = entities.ViewType.ALL if deleted else entities.ViewType.ACTIVE_ONLY
        by, most = ([order], FEW) if order else (None, PAGE)
        return _pages(lambda token: self.client.search_runs(self._experiments, condition, kind, most, by, token))

    @cached_property
    def _experiments(self) -> list[str]:
        """The ids of all experiments: asking for them takes longer than a search. `experiment` lets one ask anew."""
        experiments = _pages(lambda token: self.client.search_experiments(page_token=token))
        return [str(experiment.experiment_id) for experiment in experiments]

    def run(self, run_id: str) -> entities.Run | None:
        """The run `run_id` as it is now, or None if there is none."""
        with accepting(*ABSENT):
            return self.client.get_run(run_id)
        return None

    def model(self, run_id: str) -> entities.LoggedModel | None:
        """The run's complete model, or None if there is none yet or it was deleted."""
        outputs = self.client.get_run(run_id).outputs
        for output in reversed(outputs.model_outputs if outputs else []):
            with accepting(*ABSENT):
                return self.client.get_logged_model(output.model_id)
        return None

    def experiment(self) -> str:
        """The id of the experiment of MLFLOW_EXPERIMENT_ID or MLFLOW_EXPERIMENT_NAME, else `autoencoder`.

        It is made if need be, with its view. Raises UserError if it was deleted.
        """
        identifier = os.environ.get("MLFLOW_EXPERIMENT_ID")
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
        with self.lock("store"):
            if not identifier and not self.client.get_experiment_by_name(name):
                # MLflow's own default for a database is a folder below the process's, which may be a temporary one.
                beside = None if "MLFLOW_TRACKING_URI" in os.environ else (self.root / server.ARTIFACTS).as_uri()
                with accepting(EXISTS):
                    self.client.create_experiment(name, artifact_location=beside)
            self.__dict__.pop("_experiments", None)  # it may be new, by this process or by another
            by_name = not identifier and self.client.get_experiment_by_name(name)
            found = by_name or self.client.get_experiment(str(identifier))
            if found.lifecycle_stage != "active":
                raise UserError(
                    f"experiment {found.name!r} was deleted in MLflow; `mlflow experiments restore --experiment-id "
                    f"{found.experiment_id}` brings it back, or set MLFLOW_EXPERIMENT_NAME to another"
                )
            for tag, value in (KIND, (view.TAG, view.tag())):
                if found.tags.get(tag) != value:
                    self.client.set_experiment_tag(found.experiment_id, tag, value)
            return str(found.experiment_id)


def _pages(search: Callable[[str | None], Any]) -> Iterator[Any]:
    """All that `search` finds, which gives a page and the token of the next one."""
    page = search(None)
    yield from page
    while page.token:
        page = search(page.token)
        yield from page


@contextmanager
def _locked(path: Path, flags: int) -> Iterator[None]:
    """Hold an exclusive lock on the file or folder `path`."""
    descriptor = os.open(path, flags, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def accepting(*codes: str) -> Iterator[None]:
    """Pass over MLflow's errors of these `codes`."""
    try:
        yield
    except MlflowException as error:
        if error.error_code not in codes:
            raise
