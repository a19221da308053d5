"""The record of a state → its run in MLflow. What the run holds already is left alone."""

import hashlib
import io
import json
import socket
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from autoencoder import paths
from autoencoder.errors import without_passwords
from autoencoder.files import md5
from autoencoder.record import lineage
from autoencoder.record.lineage import Source
from autoencoder.record.state import State
from autoencoder.tracking import artifacts, journal, model, points, registry, runs, tags, view
from autoencoder.tracking.client import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag
from autoencoder.tracking.store import Store

SHOWN_AS = "reconstructions"  # the name of the picture in the image grid
GRID = "images"  # the folder of artifacts that MLflow's image grid shows
DRAWN = (f"{paths.FIGURES}/", f"{GRID}/{SHOWN_AS}+")  # how names of files begin that only `track` logs
GRID_PIXELS = 220  # of the small copy that the image grid shows: three runs fit side by side

PHRASES = {  # what the description says of each figure, where there is one
    "test/ratio_to_optimum": "{:.3f} times the best of its rank (PCA)",
    "test/equivalent_rank": "as good as {:.1f} principal components",
    "test/neighbour_error": "nearest neighbours of codes {:.1%} wrong",
    "test/probe_error": "a linear classifier of codes {:.1%} wrong",
    "test/final_nats": "-ELBO {:.1f} nats",
    "test/importance_weighted_nats": "importance-weighted {:.1f} nats",
    "test/active_units": "{:.0f} active units",
    "test/mean_active": "{:.1f} numbers active",
    "test/dead_units": "{:.0f} never active",
    "test/squared_jacobian_norm": "squared norm of the Jacobian {:.2f}",
    "test/denoising_mse": "{:.4f} on noisy images",
    "test/ratio_to_denoising_optimum": "{:.3f} times that of the best linear filter",
}


@dataclass(frozen=True)
class Tracked:
    """A run, its page and that of all runs, the run in which the same code gave another model if any, and notes."""

    run_id: str
    name: str
    link: str
    comparison: str
    differs_from: str | None
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        warning = f"warning: another training of this state gave another model: run {self.differs_from}\n"
        return (
            f"{warning if self.differs_from else ''}MLflow run {self.name!r} holds this state: {self.link}\n"
            f"All runs, the best first: {self.comparison}" + "".join(f"\nnote: {note}" for note in self.notes)
        )


def mirror(store: Store, state: State, exported: Callable[[], Path]) -> Tracked:
    """Give the run of `state` what it lacks, and return it; `exported` gives the folder of the model's program."""
    with store.lock(state.key), store.errors():
        source = lineage.source()
        found = find(store, state)
        run = runs.revived(store, found) if found else _begin_run(store, state, source)
        run_id = run.info.run_id
        lacking = missing(store, run, state)
        _log_dataset(store, run_id, state, lacking["data"])
        _log_params_and_tags(store, run_id, lacking)
        points.log(store, run_id, lacking["curves"])
        if state.code_as_recorded and (lacking["code"] or str(paths.LOCK) in lacking["files"]):  # other code may draw
            runs.log_lineage(store, run_id, source)
        _log_files(store, run, lacking["files"])
        if lacking["model"]:
            model.log_model(store, run_id, exported())
        _log_figures(store, run_id, state, lacking["figures"])
        _delete_twins(store, run, state)
        with store.lock("registry"):
            registry.register(store, run_id, state)
        _mark_as_current(store, run_id)
        if lacking["end"]:
            _finish(store, run_id)
        return tracked(store, run_id, state)


def _begin_run(store: Store, state: State, source: Source) -> Run:
    """A new run of `state`; it and the runs in which the same code gave another model warn of each other."""
    others = runs.of_state(store, state.key, state.params)
    new = runs.begin(store, state.key, state.params, source)
    runs.warn(store, new, [run for run in others if tags.MODEL_MD5 in run.data.tags], state.code)
    return new


def which(store: Store, state: State) -> tuple[Tracked | None, list[str]]:
    """The run of `state`, if there is one, and what it lacks."""
    with store.errors():
        if run := find(store, state):
            return tracked(store, run.info.run_id, state), [
                name for name, lacking in missing(store, run, state).items() if lacking
            ]
        return None, []


def find(store: Store, state: State) -> Run | None:
    """The run of `state`: the one with its model, else one whose model is not known yet and whose curves fit."""
    there = runs.of_state(store, state.key, state.params, state.model_md5)
    if run := runs.with_model(there, state.model_md5):
        return run
    unfinished = runs.without_model(there)
    return unfinished if unfinished and not points.contradicts(store, unfinished, state.curves) else None


def tracked(store: Store, run_id: str, state: State) -> Tracked:
    """What `track` prints of the run of `state`."""
    run = store.client.get_run(run_id)
    ui = without_passwords(store.uri) if store.uri.startswith("http") else "http://127.0.0.1:5000"
    experiment = run.info.experiment_id
    link = f"{ui}/#/experiments/{experiment}/runs/{run_id}"
    differs = run.data.tags.get(tags.DIFFERS)
    curves = points.added(store, run, state.curves)
    added = [f"{name} has values that somebody added; MLflow cannot remove them" for name in curves]
    notes = (*added, *registry.moved_by_hand(store, state))
    return Tracked(run_id, str(run.info.run_name), link, view.link(ui, experiment), differs, notes)


def missing(store: Store, run: Run, state: State) -> dict[str, dict[Any, Any]]:
    """What `run` lacks of `state`, by kind and name."""
    wanted = {tags.MODEL_MD5: state.model_md5, tags.MODEL_SHA256: state.model_sha256, tags.CODE: state.code}
    wanted |= {tags.NOTE: description(state), tags.IMAGES: "True"}
    wanted |= {name: str(value) for name, value in state.knobs.items()}
    if run.data.tags.get(tags.CODE, state.code) != state.code and tags.MODEL_MD5 in run.data.tags:
        wanted[tags.REPRODUCED] = "bit for bit, by other code"
    there = artifacts.hashes(store, str(run.info.artifact_uri))
    logged = store.model(run.info.run_id)
    measured = {(metric.key, metric.value) for metric in logged.metrics or []} if logged else set()
    return {
        "its place": {} if runs.active(run) else {"deleted": "restore"},
        "data": {} if run.inputs and run.inputs.dataset_inputs else {"data": state.data_md5},
        "params": {name: value for name, value in state.params.items() if name not in run.data.params},
        "tags": {name: value for name, value in wanted.items() if run.data.tags.get(name) != value},
        "curves": points.missing(store, run, state.curves),
        "code": _missing_lineage(run, state, there),
        "files": _missing_files(run, state, there),
        "figures": {
            name: value
            for name, value in state.figures.items()
            if run.data.metrics.get(name) != value or (name, value) not in measured
        },
        "model": {} if model.whole(store, logged) else {"model": state.model_md5},
        "registration": registry.missing(store, run.info.run_id, state),
        "end": {} if run.info.status == "FINISHED" and tags.ERROR not in run.data.tags else {"end": "FINISHED"},
    }


def description(state: State) -> str:
    """What a run's page shows first, in Markdown."""
    figures = state.figures
    lines = [f"Test MSE **{figures['test/final_mse']:.4f}**"]
    lines += [phrase.format(figures[name]) for name, phrase in PHRASES.items() if name in figures]
    if "pca/directions_captured" in figures:
        of = state.params["model.code_dimensions"]
        lines.append(f"{figures['pca/directions_captured']:.1f} of {of} principal directions captured")
    return ", ".join(lines) + f". Data: {state.params['data.name']}."


def _missing_lineage(run: Run, state: State, there: dict[str, str]) -> dict[str, str]:
    """The names under which `run` should have, and does not have, from which code its results come."""
    found = run.data.tags
    if tags.COMMIT not in found or tags.DIRTY not in found:
        return {tags.COMMIT: "commit"} if state.code_as_recorded and lineage.commit() else {}
    wanted = found.get(tags.DIFF) or there.get(runs.CHANGES) if found[tags.DIRTY] == "true" else None
    changed = there.get(runs.CHANGES) != wanted or (found[tags.DIRTY] == "true" and not wanted)
    return {runs.CHANGES: "patch"} if changed else {}


def _missing_files(run: Run, state: State, there: dict[str, str]) -> dict[str, bytes | None]:
    """The content of every file that `run` lacks, by name; None for one that an earlier drawing has left in it."""
    wanted = _contents(run, state)
    lacking = {name: text for name, text in wanted.items() if there.get(name) != artifacts.md5_of(text)}
    left = [name for name in there if name.startswith(DRAWN) and name not in wanted]
    return lacking | dict.fromkeys(left)


def _contents(run: Run, state: State) -> artifacts.Contents:
    """Every file of the run of `state`, by name."""
    pictures = {str(path): path.read_bytes() for path in state.files}
    return pictures | _grid(run) | {name: text.encode() for name, text in state.documents.items()}


def _log_dataset(store: Store, run_id: str, state: State, lacking: dict[Any, Any]) -> None:
    if lacking:
        source = json.dumps({"uri": str(paths.IMAGES), "md5": state.data_md5})
        dataset = Dataset(state.params["data.name"], state.data_md5, "dvc", source)
        context = [InputTag("mlflow.data.context", "training")]
        with store.lock("datasets"):  # two first runs on the same data would both make MLflow's entry for it
            store.client.log_inputs(run_id, [DatasetInput(dataset, context)])


def _log_params_and_tags(store: Store, run_id: str, lacking: dict[str, dict[Any, Any]]) -> None:
    params = [Param(*item) for item in lacking["params"].items()]
    store.client.log_batch(run_id, params=params, tags=[RunTag(*item) for item in lacking["tags"].items()])


def _log_figures(store: Store, run_id: str, state: State, figures: dict[str, float]) -> None:
    """The final numbers, linked to the model and the data they are about."""
    logged = store.model(run_id)
    about = (logged.model_id if logged else None, state.params["data.name"], state.data_md5, run_id)
    metrics = [Metric(name, value, *_latest(store, run_id, name), *about) for name, value in figures.items()]
    store.client.log_batch(run_id, metrics=metrics)


def _latest(store: Store, run_id: str, name: str) -> tuple[int, int]:
    """The time and step at which a value counts as the latest one of the metric."""
    there = [(metric.step, metric.timestamp) for metric in store.client.get_metric_history(run_id, name)]
    step, moment = max(there, default=(0, 0))
    return max(journal.now(), moment + 1), step


def _log_files(store: Store, run: Run, lacking: dict[str, bytes | None]) -> None:
    run_id = run.info.run_id
    artifacts.write(store, run_id, {name: content for name, content in lacking.items() if content is not None})
    for name, content in lacking.items():
        if content is None:
            artifacts.remove(store, str(run.info.artifact_uri), name)


def _grid(run: Run) -> artifacts.Contents:
    """The reconstructions for MLflow's image grid, which lays the runs side by side: the picture and a small copy.

    The grid reads name, step, time and an identifier from the file's name, as `MlflowClient.log_image` writes it. Here
    the identifier is the picture's MD5, and the time is the run's.
    """
    if not paths.GRID.exists():
        return {}
    identifier = uuid.UUID(md5(paths.GRID))
    name = f"{GRID}/{SHOWN_AS}+step+0+timestamp+{run.info.start_time}+{identifier}"
    large, small = io.BytesIO(), io.BytesIO()
    with Image.open(paths.GRID) as image:
        image.save(large, "PNG")
        image.thumbnail((GRID_PIXELS, GRID_PIXELS))
        image.save(small, "WEBP")
    return {f"{name}.png": large.getvalue(), f"{name}+compressed.webp": small.getvalue()}


def _delete_twins(store: Store, run: Run, state: State) -> None:
    """Delete the other runs of this model, with what is registered of them: locks are per repository."""
    there = runs.of_state(store, state.key, state.params)
    for twin in runs.twins(there, run, state.model_md5):
        registry.forget(store, twin.info.run_id)
        model.discard(store, twin)
        store.client.delete_run(twin.info.run_id)


def _mark_as_current(store: Store, run_id: str) -> None:
    """Let this run alone carry the tag of this workspace's current state. A DVC experiment's copy is no workspace."""
    if Path.cwd() != store.root:
        return
    workspace = f"{lineage.user()}@{socket.gethostname()}:{store.root}"
    tag = f"{tags.WORKSPACE}.{hashlib.sha256(workspace.encode()).hexdigest()[:8]}"  # others may be in the same state
    carrying = [run.info.run_id for run in store.search(f"tags.`{tag}` LIKE '%'")]
    for other in set(carrying) - {run_id}:
        store.client.delete_tag(other, tag)
    if run_id not in carrying:
        store.client.set_tag(run_id, tag, workspace)


def _finish(store: Store, run_id: str) -> None:
    """Record that the training has ended well: its results are there, whatever its journal recorded."""
    run = store.client.get_run(run_id)
    if tags.ERROR in run.data.tags:
        store.client.delete_tag(run_id, tags.ERROR)
    ended = run.info.end_time or run.info.start_time  # how long training took is not in the record
    store.client.set_terminated(run_id, "FINISHED", ended)
