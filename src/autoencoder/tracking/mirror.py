"""The record of a state → its run in MLflow. What the run holds already is left alone."""

import getpass
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
from autoencoder.files import md5, md5_of_bytes
from autoencoder.record import lineage
from autoencoder.record.state import State
from autoencoder.tracking import contents, journal, model, registry, runs, tags, view
from autoencoder.tracking.client import entities
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
    """A run, the address of its page, and all that `track` prints of it."""

    run_id: str
    name: str
    link: str
    text: str

    def __str__(self) -> str:
        return self.text


def mirror(store: Store, state: State, exported: Callable[[], Path]) -> Tracked:
    """Give the run of `state` what it lacks, and return it; `exported` gives the folder of the model's program."""
    with store.lock(state.key), store.errors():
        source = lineage.source()
        found = find(store, state)
        run = runs.revived(store, found) if found else _begin_run(store, state, source)
        run_id = run.info.run_id
        lacking = missing(store, run, state)
        if lacking["data"]:
            _log_dataset(store, run_id, state)
        store.client.log_batch(run_id, params=[entities.Param(*item) for item in lacking["params"].items()])
        runs.set_tags(store, run_id, lacking["tags"])
        contents.log_points(store, run_id, lacking["curves"])
        if state.code_as_recorded and (lacking["code"] or str(paths.LOCK) in lacking["files"]):  # other code may draw
            runs.log_lineage(store, run_id, source)
        contents.log_files(store, run_id, lacking["files"])
        if lacking["model"]:
            model.log_model(store, run_id, exported())
        _log_figures(store, run_id, state, lacking["figures"])
        _delete_twins(store, run, state)
        with store.lock("registry"):
            registry.register(store, run_id, state)
        _mark_as_current(store, run_id)
        if lacking["end"]:  # the results are there, whatever a journal recorded of the training
            runs.forget_error(store, run_id)
            ended = run.info.end_time or run.info.start_time  # how long training took is not in the record
            store.client.set_terminated(run_id, "FINISHED", ended)
        return tracked(store, run_id, state)


def _begin_run(store: Store, state: State, source: lineage.Source) -> runs.Run:
    """A new run of `state`; it and the runs in which the same code gave another model warn of each other."""
    others = runs.of_state(store, state.key, state.params)
    new = runs.begin(store, state.key, state.params, source)
    runs.warn(store, new, [run for run in others if tags.MODEL_MD5 in run.data.tags], state.code)
    return new


def which(store: Store, state: State) -> tuple[Tracked | None, list[str]]:
    """The run of `state`, if there is one, and the kinds of what it lacks."""
    with store.errors():
        if not (run := find(store, state)):
            return None, []
        lacking = missing(store, run, state)
        return tracked(store, run.info.run_id, state), [kind for kind in lacking if lacking[kind]]


def find(store: Store, state: State) -> runs.Run | None:
    """The run of `state`: the one with its model, else one whose model is not known yet and whose curves fit."""
    there = runs.of_state(store, state.key, state.params, state.model_md5)
    if run := runs.with_model(there, state.model_md5):
        return run
    unfinished = runs.without_model(there)
    return unfinished if unfinished and not contents.contradicts(store, unfinished, state.curves) else None


def tracked(store: Store, run_id: str, state: State) -> Tracked:
    """What `track` prints of the run of `state`."""
    run = store.client.get_run(run_id)
    ui = without_passwords(store.uri) if store.uri.startswith("http") else "http://127.0.0.1:5000"
    name, experiment = str(run.info.run_name), run.info.experiment_id
    link = f"{ui}/#/experiments/{experiment}/runs/{run_id}"
    lines = [f"MLflow run {name!r} holds this state: {link}", f"All runs, the best first: {view.link(ui, experiment)}"]
    if other := run.data.tags.get(tags.DIFFERS):
        lines.insert(0, f"warning: another training of this state gave another model: run {other}")
    curves = contents.added(store, run, state.curves)
    lines += [f"note: {curve} has values that somebody added; MLflow cannot remove them" for curve in curves]
    lines += [f"note: {note}" for note in registry.moved_by_hand(store, state)]
    return Tracked(run_id, name, link, "\n".join(lines))


def missing(store: Store, run: runs.Run, state: State) -> dict[str, Any]:
    """What `run` lacks of `state`, by kind; nothing of a kind is an empty list or dict."""
    there = contents.hashes(store, str(run.info.artifact_uri))
    files = _files(run, state)
    logged = store.model(run.info.run_id)
    measured = {(metric.key, metric.value) for metric in logged.metrics or []} if logged else set()
    return {
        "its place": [] if runs.active(run) else ["deleted"],
        "data": [] if run.inputs and run.inputs.dataset_inputs else [state.data_md5],
        "params": {name: value for name, value in state.params.items() if name not in run.data.params},
        "tags": {name: value for name, value in _tags(run, state).items() if run.data.tags.get(name) != value},
        "curves": contents.missing(store, run, state.curves),
        "code": _missing_lineage(run, state, there),
        "files": {name: content for name, content in files.items() if there.get(name) != md5_of_bytes(content)}
        | {name: None for name in there if name.startswith(DRAWN) and name not in files},  # an earlier drawing left it
        "figures": {
            name: value
            for name, value in state.figures.items()
            if run.data.metrics.get(name) != value or (name, value) not in measured
        },
        "model": [] if model.whole(store, logged) else [state.model_md5],
        "registration": registry.missing(store, run.info.run_id, state),
        "end": [] if run.info.status == "FINISHED" and tags.ERROR not in run.data.tags else ["FINISHED"],
    }


def _tags(run: runs.Run, state: State) -> dict[str, str]:
    """The tags that `run` should have of `state`."""
    wanted = {tags.MODEL_MD5: state.model_md5, tags.MODEL_SHA256: state.model_sha256, tags.CODE: state.code}
    wanted |= {tags.NOTE: description(state), tags.IMAGES: "True"}
    wanted |= {name: str(value) for name, value in state.knobs.items()}
    if run.data.tags.get(tags.CODE, state.code) != state.code and tags.MODEL_MD5 in run.data.tags:
        wanted[tags.REPRODUCED] = "bit for bit, by other code"
    return wanted


def description(state: State) -> str:
    """What a run's page shows first, in Markdown."""
    figures = state.figures
    lines = [f"Test MSE **{figures['test/final_mse']:.4f}**"]
    lines += [phrase.format(figures[name]) for name, phrase in PHRASES.items() if name in figures]
    if "pca/directions_captured" in figures:
        of = state.params["model.code_dimensions"]
        lines.append(f"{figures['pca/directions_captured']:.1f} of {of} principal directions captured")
    return ", ".join(lines) + f". Data: {state.params['data.name']}."


def _missing_lineage(run: runs.Run, state: State, there: dict[str, str]) -> list[str]:
    """The names under which `run` should have, and does not have, from which code its results come."""
    found = run.data.tags
    if tags.COMMIT not in found or tags.DIRTY not in found:
        return [tags.COMMIT] if state.code_as_recorded and lineage.commit() else []
    if found[tags.DIRTY] != "true":
        return [runs.CHANGES] if runs.CHANGES in there else []
    logged = there.get(runs.CHANGES)
    return [] if logged and logged == found.get(tags.DIFF, logged) else [runs.CHANGES]


def _files(run: runs.Run, state: State) -> dict[str, bytes]:
    """The content of every file of the run of `state`, by name."""
    pictures = {str(path): path.read_bytes() for path in state.files}
    return pictures | _grid(run) | {name: text.encode() for name, text in state.documents.items()}


def _grid(run: runs.Run) -> dict[str, bytes]:
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


def _log_dataset(store: Store, run_id: str, state: State) -> None:
    source = json.dumps({"uri": str(paths.IMAGES), "md5": state.data_md5})
    dataset = entities.Dataset(state.params["data.name"], state.data_md5, "dvc", source)
    context = [entities.InputTag("mlflow.data.context", "training")]
    with store.lock("datasets"):  # two first runs on the same data would both make MLflow's entry for it
        store.client.log_inputs(run_id, [entities.DatasetInput(dataset, context)])


def _log_figures(store: Store, run_id: str, state: State, figures: dict[str, float]) -> None:
    """Log the final numbers as the latest values, linked to the model and the data they are about."""
    logged = store.model(run_id)
    about = (logged.model_id if logged else None, state.params["data.name"], state.data_md5, run_id)
    metrics = []
    for name, value in figures.items():
        there = [(metric.step, metric.timestamp) for metric in store.client.get_metric_history(run_id, name)]
        step, moment = max(there, default=(0, 0))
        metrics.append(entities.Metric(name, value, max(journal.now(), moment + 1), step, *about))
    store.client.log_batch(run_id, metrics=metrics)


def _delete_twins(store: Store, run: runs.Run, state: State) -> None:
    """Delete the other runs of this model, with what is registered of them: locks are per repository.

    Version 1 made some by intent.
    """
    for twin in runs.of_state(store, state.key, state.params):
        known, run_id = twin.data.tags, twin.info.run_id
        same = known.get(tags.MODEL_MD5) == state.model_md5 and run_id != run.info.run_id
        if same and runs.active(twin) and tags.TRAINING_KEY not in known:
            registry.forget(store, run_id)
            model.discard(store, twin)
            store.client.delete_run(run_id)


def _mark_as_current(store: Store, run_id: str) -> None:
    """Let this run alone carry the tag of this workspace's current state. A DVC experiment's copy is no workspace."""
    if Path.cwd() != store.root:
        return
    workspace = f"{getpass.getuser()}@{socket.gethostname()}:{store.root}"
    tag = f"{tags.WORKSPACE}.{hashlib.sha256(workspace.encode()).hexdigest()[:8]}"  # others may be in the same state
    carrying = {run.info.run_id for run in store.search(f"tags.`{tag}` LIKE '%'")}
    for other in carrying - {run_id}:
        store.client.delete_tag(other, tag)
    if run_id not in carrying:
        store.client.set_tag(run_id, tag, workspace)
