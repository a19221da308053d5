"""The runs of a trained state: how they are found again, begun, and asked where their results come from."""

import getpass
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from autoencoder import paths
from autoencoder.errors import UserError
from autoencoder.files import md5_of_bytes
from autoencoder.record import identity
from autoencoder.record.lineage import Origin, Source
from autoencoder.tracking import contents, tags
from autoencoder.tracking.client import entities
from autoencoder.tracking.store import Store

CHANGES = "uncommitted.diff"  # an artifact: the patch on top of the commit
Run = entities.Run


def of_state(store: Store, key: str, params: dict[str, Any], model_md5: str | None = None) -> list[Run]:
    """The runs of the state `key` with the flat `params`, oldest first: one per model, and any without one yet.

    Runs that were deleted in MLflow are among them if they have a model. A run with the model `model_md5` is found even
    if it has lost its key.
    """
    version_1 = f"tags.`{tags.TRAINING_KEY}` LIKE '%' AND params.seed = '{params.get('seed')}'"
    without_key = [run for run in store.search(version_1) if tags.STATE not in run.data.tags]
    found = list(store.search(f"tags.`{tags.STATE}` = '{key}'", deleted=True))
    found += _given_key(store, key, params, without_key)
    if model_md5 and not with_model(found, model_md5):
        found += _given_key(store, key, params, [*store.search(f"tags.`{tags.MODEL_MD5}` = '{model_md5}'")])
    known = [run for run in found if active(run) or tags.MODEL_MD5 in run.data.tags]
    return sorted(known, key=lambda run: (int(run.info.start_time), run.info.run_id))


def _given_key(store: Store, key: str, params: dict[str, Any], runs: list[Run]) -> list[Run]:
    """Those of `runs` that have the `params`, with the tag by which they are found."""
    read = YAML(typ="safe").load  # MLflow keeps the values of params.yaml as Python's texts
    wanted = identity.differences(params)
    found = [
        run
        for run in runs
        if identity.differences(
            {name: None if text == "None" else read(text) for name, text in run.data.params.items()}
        )
        == wanted
    ]
    for run in found:
        store.client.set_tag(run.info.run_id, tags.STATE, key)
    return found


def active(run: Run) -> bool:
    """Whether the run was not deleted in MLflow, which keeps it until `mlflow gc`."""
    return bool(run.info.lifecycle_stage == "active")


def revived(store: Store, run: Run) -> Run:
    """The run, restored if it was deleted."""
    if active(run):
        return run
    store.client.restore_run(run.info.run_id)
    return store.client.get_run(run.info.run_id)


def with_model(runs: list[Run], model_md5: str) -> Run | None:
    """The oldest of `runs` that has the model with this MD5; one that was deleted only if there is no other."""
    found = [run for run in runs if run.data.tags.get(tags.MODEL_MD5) == model_md5]
    return next(iter(sorted(found, key=active, reverse=True)), None)


def without_model(runs: list[Run]) -> Run | None:
    """The newest of `runs` whose training has not come to a model yet."""
    return next((run for run in reversed(runs) if tags.MODEL_MD5 not in run.data.tags), None)


def begin(store: Store, key: str, params: dict[str, Any], source: Source, began: int | None = None) -> Run:
    """A new run of the state `key`, begun at `began` (ms since 1970) or now.

    Where `mlflow run` began a run that holds no results yet, it is this one.
    """
    described = {tags.STATE: key, tags.USER: getpass.getuser(), tags.STARTED_BY: source.started_by}
    described |= {f"{tags.VERSION}{name}": value for name, value in source.packages.items()}
    experiment, name = store.experiment(), identity.run_name(params)
    empty = store.run(source.mlflow_run) if source.mlflow_run else None
    if not empty or not active(empty) or tags.STATE in empty.data.tags:
        return store.client.create_run(experiment, began, tags.SOURCE | described, name)
    set_tags(store, empty.info.run_id, described)
    store.client.update_run(empty.info.run_id, name=name)
    return store.client.get_run(empty.info.run_id)


def set_tags(store: Store, run_id: str, values: dict[str, str]) -> None:
    """Give the run all tags of `values` at once."""
    store.client.log_batch(run_id, tags=[entities.RunTag(*item) for item in values.items()])


def forget_error(store: Store, run_id: str) -> None:
    """Remove what an earlier training of the run ended with."""
    if tags.ERROR in store.client.get_run(run_id).data.tags:
        store.client.delete_tag(run_id, tags.ERROR)


def warn(store: Store, new: Run, trained: Iterable[Run], code: str) -> None:
    """Let the run `new` and those of `trained` warn of each other in which the same `code` gave another model."""
    for other in trained:
        if other.data.tags.get(tags.CODE) == code and active(other):
            store.client.set_tag(other.info.run_id, tags.DIFFERS, new.info.run_id)
            store.client.set_tag(new.info.run_id, tags.DIFFERS, other.info.run_id)


def log_lineage(store: Store, run_id: str, source: Source) -> None:
    """Log from which commit, and with which changes on top, the results of the run come; nothing without a commit."""
    if not source.commit:
        return
    diff = source.diff.encode("latin-1", "replace")  # a "…" stands for a password
    if diff or any(file.path == CHANGES for file in store.client.list_artifacts(run_id)):
        contents.log_files(store, run_id, {CHANGES: diff or None})
    known = {tags.COMMIT: source.commit, tags.DIRTY: str(bool(diff)).lower(), tags.DIFF: md5_of_bytes(diff)}
    set_tags(store, run_id, known)


def facts(run: Run) -> dict[str, str]:
    """The machine that trained the run's model (see `numerics`) and the versions of its programs."""
    found = {name: text for name, text in run.data.tags.items() if name.startswith((tags.MACHINE, tags.VERSION))}
    return {name.partition(".")[2]: text for name, text in sorted(found.items())}


def facts_of_model(store: Store, model_md5: str) -> dict[str, str]:
    """The `facts` of a run whose model has this MD5; none if there is no such run."""
    with store.errors():
        found = next(store.search(f"tags.`{tags.MODEL_MD5}` = '{model_md5}'"), None)
        return facts(found) if found else {}


def origin(store: Store, run_id: str) -> Origin:
    """Where the results of the run `run_id` come from.

    Raises UserError if there is no such run, it is not of this project, or something of it is gone.
    """
    with store.errors(), tempfile.TemporaryDirectory() as folder:
        if not (run := store.run(run_id)):
            raise UserError(
                f"run {run_id}: not found in MLflow store {store.uri}; "
                "`autoencoder which-run` prints that of the workspace"
            )
        if not holds_results(run) or tags.COMMIT not in run.data.tags:
            raise UserError(f"run {run_id}: expected a run of this project whose code is known, found another")
        there = {file.path for file in store.client.list_artifacts(run_id)}
        changes = [CHANGES] if run.data.tags.get(tags.DIRTY) == "true" else []
        needed = [str(paths.PARAMS), str(paths.LOCK), *changes]
        if gone := [name for name in needed if name not in there]:
            raise UserError(
                f"run {run_id} ({run.info.status}): expected its artifacts {', '.join(needed)}, "
                f"found no {', '.join(gone)}; without them it cannot be brought back"
            )
        content = {name: Path(store.client.download_artifacts(run_id, name, folder)).read_bytes() for name in needed}
        return Origin(
            run.data.tags[tags.COMMIT],
            content.get(CHANGES, b""),
            content[str(paths.PARAMS)],
            content[str(paths.LOCK)],
            run.data.tags[tags.MODEL_MD5],
            facts(run),
        )


def holds_results(run: Run) -> bool:
    """Whether `run` is that of a trained state, of this version or version 1."""
    return bool({tags.STATE, tags.TRAINING_KEY} & run.data.tags.keys())


def discard(store: Store, run_id: str) -> None:
    """Delete the empty run of `mlflow run` once MLflow has closed it: MLflow cannot close a run that is deleted."""
    with store.errors():
        deadline = time.monotonic() + 60
        while store.client.get_run(run_id).info.status == "RUNNING" and time.monotonic() < deadline:
            time.sleep(0.2)
        store.client.delete_run(run_id)
