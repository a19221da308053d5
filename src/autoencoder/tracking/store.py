"""MLflow mirrors DVC's record: one run per trained state, found again by its training key.

This is the only module of the pipeline that imports mlflow. Nothing is kept here that the record does not hold, so a
store can be deleted and filled again; docs/tracking.md lists what a run carries.
"""

import fcntl
import gc
import hashlib
import itertools
import json
import math
import os
import socket
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from requests import RequestException
from sqlalchemy.exc import SQLAlchemyError

from autoencoder import paths
from autoencoder.errors import UserError, without_passwords
from autoencoder.files import md5
from autoencoder.record import lineage
from autoencoder.record.curves import Point
from autoencoder.record.lineage import Source
from autoencoder.record.state import State, defining
from autoencoder.tracking import export, journal, server, view

# A dead server is to fail in seconds, and MLflow reads some of these when it is imported. The caller's values win.
for _name, _value in {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}.items():
    os.environ.setdefault(_name, _value)

from mlflow import MlflowClient, pyfunc  # noqa: E402
from mlflow.entities import (  # noqa: E402
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModelOutput,
    Metric,
    Param,
    Run,
    RunTag,
)
from mlflow.entities.model_registry import ModelVersion  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402
from mlflow.models import Model, ModelSignature  # noqa: E402
from mlflow.types import Schema, TensorSpec  # noqa: E402

EXPERIMENT = "autoencoder"
KIND = ("mlflow.experimentKind", "custom_model_development")  # the UI then shows what belongs to training
KEY = "autoencoder.training_key"
FILES = "mlflow.autoencoder.files"  # the UI does not show tags of MLflow's own prefix
DIFFERS = "autoencoder.not_reproduced_by"
ERROR = "autoencoder.error"
MODEL_MD5 = "autoencoder.model_md5"
MODEL_SHA256 = "autoencoder.model_sha256"
BEGAN = "mlflow.autoencoder.began"
STARTED_BY = "autoencoder.started_by"
SOURCE = {"mlflow.source.name": "dvc.yaml", "mlflow.source.type": "LOCAL"}
COMMIT = "mlflow.source.git.commit"
DIRTY = "autoencoder.dirty"
CHANGES = "uncommitted.diff"
MACHINE, VERSION = "machine.", "version."
CURRENT = "autoencoder.workspace"
SERVED_MODEL = Path(__file__).with_name("served_model.py")
REPRODUCED = "autoencoder.reproduced"
SECONDS = "autoencoder.training_seconds"
REGISTERED = "autoencoder"
CHAMPION = "champion"
NOTE = "mlflow.note.content"
GRID_PIXELS = 220  # of the small copy that the grid shows: three runs fit side by side
BATCH = 1_000  # metrics that MLflow accepts at once

# What the article did: a run is named after what it does otherwise.
ARTICLE = {
    "seed": 42,
    "data.name": "mnist",
    "model.name": "linear",
    "model.code_dimensions": 32,
    "train.epochs": 20,
    "train.batch_size": 32,
    "train.optimizer": "sgd",
    "train.learning_rate": 0.03162277660168379,
    "train.momentum": 0.5,
    "train.log_every": 1000,
    "runtime.device": "auto",
    "runtime.numerics": "portable",
    "runtime.threads": 1,
}

SHORT = {"model.code_dimensions": "code", "train.learning_rate": "lr", "train.batch_size": "batch"}


@dataclass(frozen=True)
class Tracked:
    """A run, its page and that of all runs in the UI, and the run of the same state with another model, if any."""

    run_id: str
    name: str
    link: str
    comparison: str
    differs_from: str | None

    def __str__(self) -> str:
        warning = f"warning: another training of this state gave another model: run {self.differs_from}\n"
        return (
            f"{warning if self.differs_from else ''}MLflow run {self.name!r} holds this state: {self.link}\n"
            f"All runs, the best first: {self.comparison}"
        )


class Store:
    """The MLflow store at `server.uri()`.

    With `create=False` a database that is not there is not made. Raises UserError, in seconds and in one line, when the
    store cannot be reached.
    """

    def __init__(self, *, create: bool = True) -> None:
        self.root, self.uri = server.root(), server.uri()
        with self.lock("store"), self._errors():
            self._create_database(create)
            self.client = MlflowClient(self.uri, self.uri)
            self.client.search_experiments(max_results=1)
        if not gc.isenabled():
            gc.freeze()  # see `entry`

    def _create_database(self, create: bool) -> None:
        """Make a SQLite store whole or not at all: MLflow cannot go on with one whose migrations were cut short."""
        path = Path(self.uri.removeprefix("sqlite:///")).absolute()
        if not self.uri.startswith("sqlite:///") or path.exists():
            return
        if not create:
            raise UserError(f"MLflow store {self.uri}: not found; `autoencoder track` makes it")
        with _alone_in(path.parent):  # another repository may share the store
            if not path.exists():
                unfinished = path.with_name(f"{path.name}.unfinished")
                unfinished.unlink(missing_ok=True)
                with chdir(self.root):  # its first experiment keeps artifacts below the folder that it is made in
                    MlflowClient(f"sqlite:///{unfinished}").search_experiments(max_results=1)
                unfinished.rename(path)

    def mirror(self, state: State, champion: str, exported: Callable[[], Path]) -> Tracked:
        """Make the store say what `state` says, and return its run. What it says already is left alone.

        The model with the lowest `champion`, one of the state's figures, among those of its dataset is the champion.
        `exported` gives the folder with the model's program (see `export`).
        """
        with self.lock(state.key), tempfile.TemporaryDirectory() as scratch, self._errors():
            source = lineage.source()
            run = self._run(state) or self._create(state.key, state.params, source)
            missing = self._missing(run, state)
            self._log_dataset(run, state)
            self._log_parameters(run, missing)
            self._log_points(run, missing["curves"])
            if str(paths.LOCK) in missing["files"] and state.code_as_recorded:  # also if other code drew the figures
                self._log_lineage(run, source)
            self._log_files(run, state, missing["files"], Path(scratch))
            if missing["model"]:
                self._log_model(run, exported(), Path(scratch))
            self._log_figures(run, state, missing["figures"])
            with self.lock("registry"):
                self._register(run, state, champion)
            self._mark(run)
            if missing["end"]:
                self._finish(run)
            return self._tracked(run)

    def which(self, state: State) -> tuple[Tracked | None, list[str]]:
        """The run of `state`, if there is one, and what it lacks."""
        with self._errors():
            if run := self._run(state):
                return self._tracked(run), [name for name, lacking in self._missing(run, state).items() if lacking]
            return None, []

    def facts(self, key: str, model_md5: str) -> dict[str, str]:
        """The machine that trained a state (see `numerics`) and the versions there, as the run with its model says."""
        with self._errors():
            run = self._runs(key).get(model_md5)
            return _facts(run) if run else {}

    def origin(self, run_id: str) -> lineage.Origin:
        """Where the results of run `run_id` come from.

        Raises UserError if there is no such run, it is not of this project, or something of it is gone.
        """
        with self._errors(), tempfile.TemporaryDirectory() as folder:
            if not (run := self._get(run_id)):
                raise UserError(
                    f"run {run_id}: not found in MLflow store {self.uri}; "
                    "`autoencoder which-run` prints that of the workspace"
                )
            if lacking := [tag for tag in (KEY, COMMIT) if tag not in run.data.tags]:
                raise UserError(
                    f"run {run_id}: expected a run of this project whose code is known, found no {', '.join(lacking)}"
                )
            there = {file.path for file in self.client.list_artifacts(run_id)}
            needed = [str(paths.PARAMS), str(paths.LOCK), *([CHANGES] if run.data.tags.get(DIRTY) == "true" else [])]
            if gone := [name for name in needed if name not in there]:
                raise UserError(
                    f"run {run_id} ({run.info.status}): expected its artifacts {', '.join(needed)}, "
                    f"found no {', '.join(gone)}; without them it cannot be brought back"
                )
            content = {name: Path(self.client.download_artifacts(run_id, name, folder)).read_bytes() for name in needed}
            return lineage.Origin(
                run.data.tags[COMMIT],
                content.get(CHANGES, b""),
                content[str(paths.PARAMS)],
                content[str(paths.LOCK)],
                run.data.tags[MODEL_MD5],
                _facts(run),
            )

    def _tracked(self, run: Run) -> Tracked:
        ui = without_passwords(self.uri) if self.uri.startswith("http") else "http://127.0.0.1:5000"
        return Tracked(
            run.info.run_id,
            str(run.info.run_name),
            f"{ui}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}",
            view.link(ui, run.info.experiment_id),
            run.data.tags.get(DIFFERS),
        )

    def replay(self, entries: Iterator[list[dict[str, Any]]]) -> None:
        """Make the store say what a training's journal says, as it comes: see `follower`.

        A training of a state whose model is known is no new run but a proof: it is compared with what is there.
        A journal without a whole header is damaged, or another version's, and says nothing.
        """
        begin = next(entries, None)
        if not begin or not begin[0].keys() >= journal.HEADER:
            return
        header, rest = begin[0], itertools.chain([begin[1:]], entries)
        with self._errors(), self.lock(header["key"]):
            runs = self._runs(header["key"])
            if any(run.data.tags.get(BEGAN) == str(header["began"]) for model, run in runs.items() if model):
                return
            if set(runs) <= {None}:
                run = runs.get(None) or self._create_for(header)
                self._follow(run, header, rest)
            else:
                self._compare(runs, header, list(rest))

    def _follow(self, run: Run, header: dict[str, Any], entries: Iterable[list[dict[str, Any]]]) -> None:
        self._begin(run, header)
        end: dict[str, Any] = {"status": "KILLED", "error": "the process was killed", "ended": None}
        for batch in entries:
            points = _points(batch)
            if self._contradicts(run, points):  # another training was killed in it, and did not go on in this one
                self.client.set_terminated(run.info.run_id, "KILLED")
                run = self._create_for(header)
                self._begin(run, header)
            self._log_points(run, self._missing_points(run, points))
            end = next((entry for entry in batch if "status" in entry), end)
        names = {"model_md5": MODEL_MD5, "error": ERROR, "seconds": SECONDS}
        tags = [RunTag(tag, without_passwords(str(end[name]))) for name, tag in names.items() if name in end]
        self.client.set_terminated(run.info.run_id, end["status"], end["ended"])
        self.client.log_batch(run.info.run_id, tags=tags)  # last: a run that has a model is not followed again

    def _begin(self, run: Run, header: dict[str, Any]) -> None:
        run_id = run.info.run_id
        self.client.update_run(run_id, status="RUNNING")
        if ERROR in run.data.tags:
            self.client.delete_tag(run_id, ERROR)
        params = [Param(*item) for item in defining(header["params"]).items() if item[0] not in run.data.params]
        facts = {f"{MACHINE}{name}": value for name, value in header["facts"].items()}
        versions = {f"{VERSION}{name}": value for name, value in header["versions"].items()}
        tags = [RunTag(*tag) for tag in (facts | versions | {BEGAN: str(header["began"])}).items()]
        self.client.log_batch(run_id, params=params, tags=tags)
        self._log_lineage(run, Source(**header["source"]))

    def _compare(
        self, runs: dict[str | None, Run], header: dict[str, Any], entries: list[list[dict[str, Any]]]
    ) -> None:
        end = next((entry for batch in entries for entry in batch if entry.get("status") == "FINISHED"), None)
        if not end:
            return
        if run := runs.get(end["model_md5"]):
            day = datetime.fromtimestamp(end["ended"] / 1000, UTC).isoformat(timespec="seconds")
            self.client.set_tag(run.info.run_id, REPRODUCED, f"bit for bit, {day}")
            return
        points = [point for batch in entries for point in _points(batch)]
        new = self._unfinished(runs, points) or self._create_for(header)
        for other in (run for model, run in runs.items() if model):
            self.client.set_tag(other.info.run_id, DIFFERS, new.info.run_id)
            self.client.set_tag(new.info.run_id, DIFFERS, other.info.run_id)
        self._follow(new, header, entries)

    def lacks_model(self, key: str, model_md5: str) -> bool:
        """Whether the run of state `key` with this model is there, and the model itself is not logged to it."""
        with self._errors():
            run = self._runs(key).get(model_md5)
            return run is not None and not self._models(run)

    def log_model(self, key: str, model_md5: str, exported: Path) -> None:
        """Log the program in the folder `exported` to the run that lacks it, if no other process has done so."""
        with self.lock(key), tempfile.TemporaryDirectory() as scratch, self._errors():
            if self.lacks_model(key, model_md5):
                self._log_model(self._runs(key)[model_md5], exported, Path(scratch))

    def holds_results(self, run_id: str) -> bool:
        """Whether run `run_id` is that of a trained state."""
        with self._errors():
            return KEY in self.client.get_run(run_id).data.tags

    def discard(self, run_id: str) -> None:
        """Delete the empty run of `mlflow run` once MLflow has closed it: it cannot close a run that is deleted."""
        with self._errors():
            deadline = time.monotonic() + 60
            while self.client.get_run(run_id).info.status == "RUNNING" and time.monotonic() < deadline:
                time.sleep(0.2)
            self.client.delete_run(run_id)

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Wait until no other process of this repository holds the lock `name`."""
        folder = self.root / paths.WORK
        folder.mkdir(exist_ok=True)
        with (folder / f"{name}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (MlflowException, SQLAlchemyError, RequestException) as error:
            line = f"MLflow store {self.uri}: {error}".partition("\n")[0].rstrip(".")
            remedy = "Type `autoencoder track` when this is mended"
            raise UserError(f"{line}. Nothing is lost: the results are in the workspace. {remedy}") from None

    def _runs(self, key: str) -> dict[str | None, Run]:
        """The runs of a state by the MD5 of their model, the last of each; None for a training without a model yet.

        There are several if the state could not be reproduced bit for bit.
        """
        runs = sorted(self._search(f"tags.`{KEY}` = '{key}'"), key=lambda run: int(run.info.start_time))
        return {run.data.tags.get(MODEL_MD5): run for run in runs}

    def _search(self, wanted: str) -> list[Run]:
        everywhere = [experiment.experiment_id for experiment in self.client.search_experiments()]
        return list(self.client.search_runs(everywhere, wanted))

    def _run(self, state: State) -> Run | None:
        """The run of `state`: that of its very model, else one whose model is not known yet and that fits."""
        runs = self._runs(state.key)
        return runs.get(state.model_md5) or self._unfinished(runs, state.curves)

    def _unfinished(self, runs: dict[str | None, Run], points: Iterable[Point]) -> Run | None:
        """Of a state's `runs` the one whose model is not known yet, if it does not contradict `points`."""
        run = runs.get(None)
        return run if run and not self._contradicts(run, points) else None

    def _create(self, key: str, params: dict[str, Any], source: Source, began: int | None = None) -> Run:
        """A new run, begun at `began` (ms) or now, or the one that `mlflow run` began if it holds no results yet."""
        tags = {KEY: key, "mlflow.user": lineage.user(), STARTED_BY: source.started_by}
        tags |= {f"{VERSION}{name}": value for name, value in source.packages.items()}
        experiment, name = self._experiment(), run_name(params)
        empty = source.mlflow_run and self._get(source.mlflow_run)
        if not empty or empty.info.lifecycle_stage != "active" or KEY in empty.data.tags:
            return self.client.create_run(experiment, began, SOURCE | tags, name)
        self.client.log_batch(empty.info.run_id, tags=[RunTag(*tag) for tag in tags.items()])
        self.client.update_run(empty.info.run_id, name=name)
        return self.client.get_run(empty.info.run_id)

    def _create_for(self, header: dict[str, Any]) -> Run:
        """A new run for the training whose journal begins with `header`."""
        return self._create(header["key"], defining(header["params"]), Source(**header["source"]), header["began"])

    def _get(self, run_id: str) -> Run | None:
        try:
            return self.client.get_run(run_id)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None

    def _finish(self, run: Run) -> None:
        """Say that the training has ended well: its results are there, whatever its journal said."""
        if ERROR in run.data.tags:
            self.client.delete_tag(run.info.run_id, ERROR)
        ended = run.info.end_time or run.info.start_time  # how long training took is not in the record
        self.client.set_terminated(run.info.run_id, "FINISHED", ended)

    def _log_lineage(self, run: Run, source: Source) -> None:
        """Say from which commit, and with which changes on top, the run's results come."""
        if not source.commit:
            return
        if source.diff:
            with tempfile.TemporaryDirectory() as folder:
                (Path(folder) / CHANGES).write_bytes(source.diff.encode("latin-1", "replace"))  # "…" for a password
                self.client.log_artifact(run.info.run_id, str(Path(folder) / CHANGES))
        tags = [RunTag(COMMIT, source.commit), RunTag(DIRTY, str(bool(source.diff)).lower())]
        self.client.log_batch(run.info.run_id, tags=tags)

    def _experiment(self) -> str:
        """The experiment of MLFLOW_EXPERIMENT_ID or MLFLOW_EXPERIMENT_NAME, else `autoencoder`, and its view."""
        identifier = os.environ.get("MLFLOW_EXPERIMENT_ID")
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
        with self.lock("store"):
            if not identifier and not self.client.get_experiment_by_name(name):
                # MLflow's own default for a database is a folder below the process's, which may be a temporary one.
                beside = None if "MLFLOW_TRACKING_URI" in os.environ else (self.root / "mlruns").as_uri()
                with _made_meanwhile():
                    self.client.create_experiment(name, artifact_location=beside)
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

    def _missing(self, run: Run, state: State) -> dict[str, dict[Any, Any]]:
        """What `run` does not say of `state` yet, by kind and name."""
        tags = {MODEL_MD5: state.model_md5, MODEL_SHA256: state.model_sha256, NOTE: description(state)}
        tags |= {name: str(value) for name, value in state.knobs.items()}
        there = json.loads(run.data.tags.get(FILES, "{}"))
        return {
            "params": {name: value for name, value in state.params.items() if name not in run.data.params},
            "tags": {name: value for name, value in tags.items() if run.data.tags.get(name) != value},
            "curves": self._missing_points(run, state.curves),
            "files": {name: md5 for name, md5 in _hashes(state).items() if there.get(name) != md5},
            "figures": {name: value for name, value in state.figures.items() if run.data.metrics.get(name) != value},
            "model": {} if self._models(run) else {"model": state.model_md5},
            "registration": {} if self._version(run) else {"registration": REGISTERED},
            "end": {} if run.info.status == "FINISHED" and ERROR not in run.data.tags else {"end": "FINISHED"},
        }

    def _missing_points(self, run: Run, points: Iterable[Point]) -> dict[tuple[str, int], Point]:
        wanted = {(point.name, point.step): point for point in points}
        for name in {name for name, _ in wanted} & set(run.data.metrics):
            for metric in self.client.get_metric_history(run.info.run_id, name):
                wanted.pop((name, metric.step), None)
        return wanted

    def _contradicts(self, run: Run, points: Iterable[Point]) -> bool:
        """Whether `run` has another value than one of `points`."""
        wanted = {(point.name, point.step): point.value for point in points}
        return any(
            wanted.get((name, metric.step), metric.value) != metric.value
            for name in {name for name, _ in wanted} & set(run.data.metrics)
            for metric in self.client.get_metric_history(run.info.run_id, name)
        )

    def _log_parameters(self, run: Run, missing: dict[str, dict[Any, Any]]) -> None:
        params = [Param(*item) for item in missing["params"].items()]
        tags = [RunTag(*item) for item in missing["tags"].items()]
        self.client.log_batch(run.info.run_id, params=params, tags=tags)

    def _log_dataset(self, run: Run, state: State) -> None:
        if not (run.inputs and run.inputs.dataset_inputs):
            source = json.dumps({"uri": str(paths.IMAGES), "md5": state.data_md5})
            dataset = Dataset(state.params["data.name"], state.data_md5, "dvc", source)
            tags = [InputTag("mlflow.data.context", "training")]
            with self.lock("datasets"):  # two first runs on the same data would both make MLflow's entry for it
                self.client.log_inputs(run.info.run_id, [DatasetInput(dataset, tags)])

    def _log_points(self, run: Run, points: dict[tuple[str, int], Point]) -> None:
        now = journal.now()
        metrics = [Metric(point.name, point.value, point.time or now, point.step) for point in points.values()]
        for first in range(0, len(metrics), BATCH):
            self.client.log_batch(run.info.run_id, metrics=metrics[first : first + BATCH])

    def _log_figures(self, run: Run, state: State, figures: dict[str, float]) -> None:
        """The final numbers, linked to the model and the data they are about."""
        about = (self._models(run)[0], state.params["data.name"], state.data_md5, run.info.run_id)
        metrics = [Metric(name, value, journal.now(), 0, *about) for name, value in figures.items()]
        self.client.log_batch(run.info.run_id, metrics=metrics)

    def _log_files(self, run: Run, state: State, names: Iterable[str], scratch: Path) -> None:
        run_id = run.info.run_id
        for name in names:
            if text := state.documents.get(name):
                self.client.log_text(run_id, text, name)
            else:
                self.client.log_artifact(run_id, name, str(Path(name).parent))
            if Path(name) == paths.RECONSTRUCTIONS:
                self._log_image(run, paths.RECONSTRUCTIONS, scratch)
        if names:
            self.client.set_tag(run_id, FILES, json.dumps(_hashes(state)))

    def _log_image(self, run: Run, path: Path, scratch: Path) -> None:
        """Show a picture in the UI's image grid, which lays the runs side by side.

        The names are those of `MlflowClient.log_image`, but for the same picture always the same.
        """
        identifier, start = str(uuid.UUID(md5(path))), int(run.info.start_time)
        others = [file.path for file in self.client.list_artifacts(run.info.run_id, "images")]
        age = len([other for other in others if identifier not in other])
        name = f"{path.stem}+step+0+timestamp+{start + age}+{identifier}"
        with Image.open(path) as image:
            image.save(scratch / f"{name}.png")
            image.thumbnail((GRID_PIXELS, GRID_PIXELS))
            image.save(scratch / f"{name}+compressed.webp")
        for suffix in (".png", "+compressed.webp"):
            self.client.log_artifact(run.info.run_id, str(scratch / f"{name}{suffix}"), "images")
        self.client.set_tag(run.info.run_id, "mlflow.loggedImages", "True")

    def _models(self, run: Run) -> list[str]:
        """The ids of the run's complete models: one, or none yet."""
        outputs = self.client.get_run(run.info.run_id).outputs
        return [model.model_id for model in outputs.model_outputs] if outputs else []

    def _log_model(self, run: Run, exported: Path, scratch: Path) -> None:
        """Log the exported program. It becomes the run's output last: a model cut short is none, and stays unseen."""
        experiment, run_id = run.info.experiment_id, run.info.run_id
        for model in self.client.search_logged_models([experiment], f"source_run_id = '{run_id}'"):
            self.client.delete_logged_model(model.model_id)
        params = self.client.get_run(run_id).data.params  # `run` may be older than they are
        model = self.client.create_logged_model(experiment, "autoencoder", run_id, params=params)
        save_model(exported, scratch / "model", Model(run_id=run_id, model_id=model.model_id))
        self.client.log_model_artifacts(model.model_id, str(scratch / "model"))
        self.client.finalize_logged_model(model.model_id, "READY")
        self.client.log_outputs(run_id, [LoggedModelOutput(model.model_id, 0)])

    def _register(self, run: Run, state: State, metric: str) -> None:
        """Register the run's model, and make it the champion if no model of the same dataset is better."""
        (model_id, *_) = self._models(run)
        if not self.client.search_registered_models(f"name = '{REGISTERED}'"):
            with _made_meanwhile():
                self.client.create_registered_model(REGISTERED)
        version = self._version(run) or self.client.create_model_version(
            REGISTERED, self.client.get_logged_model(model_id).artifact_location, run.info.run_id, model_id=model_id
        )
        aliases = self.client.get_registered_model(REGISTERED).aliases
        if CHAMPION not in aliases or self._beats(state, aliases[CHAMPION], metric):
            self.client.set_registered_model_alias(REGISTERED, CHAMPION, version.version)

    def _version(self, run: Run) -> ModelVersion | None:
        """The registered version of the run's model."""
        versions = self.client.search_model_versions(f"name = '{REGISTERED}'")
        return next((version for version in versions if version.run_id == run.info.run_id), None)

    def _beats(self, state: State, champion: str, metric: str) -> bool:
        """Whether `state` is better by `metric` than the champion's version, on the same data."""
        version = self.client.get_model_version(REGISTERED, champion)
        if not (found := self._search(f"attributes.run_id = '{version.run_id}'")):
            return True  # the champion's run was deleted
        (run,) = found
        data = [dataset.dataset.digest for dataset in run.inputs.dataset_inputs] if run.inputs else []
        return state.data_md5 in data and state.figures[metric] < run.data.metrics.get(metric, math.inf)

    def _mark(self, run: Run) -> None:
        """Let this run alone carry the tag that it is the state of this workspace. A DVC experiment's copy is none."""
        if Path.cwd() != self.root:
            return
        workspace = f"{lineage.user()}@{socket.gethostname()}:{self.root}"
        tag = f"{CURRENT}.{hashlib.sha256(workspace.encode()).hexdigest()[:8]}"  # others may be in the same state
        for other in self._search(f"tags.`{tag}` LIKE '%'"):
            if other.info.run_id != run.info.run_id:
                self.client.delete_tag(other.info.run_id, tag)
        if tag not in run.data.tags:
            self.client.set_tag(run.info.run_id, tag, workspace)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Wait until no other process is alone in `folder`."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _made_meanwhile() -> Iterator[None]:
    """What is made here may be there by now: a team's server has other users, who do not know of our locks."""
    try:
        yield
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def save_model(exported: Path, path: Path, model: Model) -> None:
    """Write the exported program as an MLflow model, loadable by `mlflow.pyfunc` and `mlflow.pytorch`, to `path`."""
    example = np.load(exported / export.EXAMPLE)
    inputs = Schema([TensorSpec(example.dtype, (-1, example.shape[1]))])
    about = json.loads((exported / export.ABOUT).read_text())
    outputs = Schema([TensorSpec(example.dtype, (-1, size), name) for name, size in about["outputs"].items()])
    pyfunc.save_model(
        str(path),
        loader_module=SERVED_MODEL.stem,
        data_path=str(exported / export.PROGRAM),
        code_paths=[str(SERVED_MODEL)],
        mlflow_model=model,
        signature=ModelSignature(inputs, outputs),
        input_example=example,
        pip_requirements=[f"{name}=={version(name).partition('+')[0]}" for name in ("mlflow", "numpy", "torch")],
    )
    model.add_flavor("pytorch", model_data="data", pytorch_version=about["torch"], code=None)
    model.save(str(path / "MLmodel"))


def description(state: State) -> str:
    """What a run's page says first, in Markdown."""
    figures = state.figures
    lines = [f"Test MSE **{figures['test/final_mse']:.4f}**"]
    if "test/ratio_to_optimum" in figures:
        lines.append(f"{figures['test/ratio_to_optimum']:.3f} times the best of its rank (PCA)")
    if "pca/directions_captured" in figures:
        of = state.params["model.code_dimensions"]
        lines.append(f"{figures['pca/directions_captured']:.1f} of {of} principal directions captured")
    return ", ".join(lines) + f". Data: {state.params['data.name']}."


def _points(entries: Iterable[dict[str, Any]]) -> list[Point]:
    """The points in a journal's `entries`."""
    return [Point(**point) for entry in entries for point in entry.get("points", [])]


def _facts(run: Run) -> dict[str, str]:
    found = {name: value for name, value in run.data.tags.items() if name.startswith((MACHINE, VERSION))}
    return {name.partition(".")[2]: value for name, value in sorted(found.items())}


def _hashes(state: State) -> dict[str, str]:
    """The MD5 of every file and document of `state`, by name."""
    documents = {
        name: hashlib.md5(text.encode(), usedforsecurity=False).hexdigest() for name, text in state.documents.items()
    }
    return {str(path): md5(path) for path in state.files} | documents


def run_name(params: dict[str, Any]) -> str:
    """What a state does otherwise than the article, such as `code=16 lr=0.01`; short, as the columns of the UI are."""
    known = [name for name in ARTICLE if name in params]
    names = [*known, *sorted(params.keys() - known)]
    differences = {name: params[name] for name in names if ARTICLE.get(name) != params[name]}
    short = {name: SHORT.get(name, name.removesuffix(".name").rpartition(".")[2]) for name in differences}
    return " ".join(f"{short[name]}={value}" for name, value in differences.items()) or "article"
