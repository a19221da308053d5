"""The journal of a training → a run in MLflow, while the training runs or afterwards."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from autoencoder.errors import without_passwords
from autoencoder.record.curves import Point
from autoencoder.record.identity import defining
from autoencoder.record.lineage import Source
from autoencoder.tracking import journal, points, runs, tags
from autoencoder.tracking.client import Param, Run, RunTag
from autoencoder.tracking.store import Store

Entries = list[dict[str, Any]]  # the lines of a journal that were written since it was read last

KILLED: dict[str, Any] = {
    "status": "KILLED",
    "error": "the process was killed",
    "ended": None,
}  # the end of a journal without one


def replay(store: Store, entries: Iterator[Entries]) -> None:
    """Carry the journal that `entries` read, as it comes, to a run of its state.

    If a model of the state is known, the training is a proof of it, and is looked at when it is over. A journal without
    a whole header is damaged, or of another version, and is passed over.
    """
    first = next(entries, None)
    if not first or not first[0].keys() >= journal.HEADER:
        return
    header, rest = first[0], chain([first[1:]], entries)
    with store.errors(), store.lock(header["key"]):
        there = runs.of_state(store, header["key"], defining(header["params"]))
        trained = [run for run in there if tags.MODEL_MD5 in run.data.tags]
        if any(run.data.tags.get(tags.BEGAN) == str(header["began"]) for run in trained):
            return  # this journal was carried to its end before
        if trained:
            _compare(store, trained, header, list(rest))
        else:
            follow(store, runs.without_model(there) or _begin_run(store, header), header, rest)


def follow(store: Store, run: Run, header: dict[str, Any], batches: Iterable[Entries]) -> None:
    """Carry what a training records to `run`, and in the end how it ended.

    If `run` has other values in the same places it was another training, which was killed: a new run takes its place.
    """
    run_id = run.info.run_id
    _describe(store, run_id, header)
    end = KILLED
    for batch in batches:
        new = _points(batch)
        current = store.client.get_run(run_id)
        if points.contradicts(store, current, new):
            store.client.set_terminated(run_id, "KILLED")
            current = _begin_run(store, header)
            run_id = current.info.run_id
            _describe(store, run_id, header)
        points.log(store, run_id, points.missing(store, current, new))
        end = next((entry for entry in batch if "status" in entry), end)
    names = {"model_md5": tags.MODEL_MD5, "error": tags.ERROR, "seconds": tags.SECONDS}
    known = [RunTag(tag, without_passwords(str(end[name]))) for name, tag in names.items() if name in end]
    ended = end["ended"] and max(end["ended"], int(run.info.start_time))
    store.client.set_terminated(run_id, end["status"], ended)
    store.client.log_batch(run_id, tags=known)  # last: a run that has a model is not followed again


def _compare(store: Store, trained: list[Run], header: dict[str, Any], batches: list[Entries]) -> None:
    """Compare a training that ended well with those that are known: the same bytes are a proof, others a new run."""
    end = next((entry for batch in batches for entry in batch if entry.get("status") == "FINISHED"), None)
    if not end:
        return
    if same := runs.with_model(trained, end["model_md5"]):
        same = runs.revived(store, same)
        if tags.BEGAN not in same.data.tags and header["began"] <= same.info.start_time:  # another workspace tracked it
            follow(store, same, header, batches)
            return
        day = datetime.fromtimestamp(end["ended"] / 1000, UTC).isoformat(timespec="seconds")
        proof = {tags.REPRODUCED: f"bit for bit, {day}", tags.CODE: header["code"]}
        store.client.log_batch(same.info.run_id, tags=[RunTag(*tag) for tag in proof.items()])
        return
    new = _unfinished(store, header, batches) or _begin_run(store, header)
    runs.warn(store, new, trained, header["code"])
    follow(store, new, header, batches)


def _unfinished(store: Store, header: dict[str, Any], batches: list[Entries]) -> Run | None:
    """A run of the state without a model yet whose curves fit those of the journal."""
    run = runs.without_model(runs.of_state(store, header["key"], defining(header["params"])))
    known = [point for batch in batches for point in _points(batch)]
    return run if run and not points.contradicts(store, run, known) else None


def _begin_run(store: Store, header: dict[str, Any]) -> Run:
    source = Source(**header["source"])
    return runs.begin(store, header["key"], defining(header["params"]), source, header["began"])


def _describe(store: Store, run_id: str, header: dict[str, Any]) -> None:
    """Log what is known when a training begins: its params, machine, versions and code."""
    store.client.update_run(run_id, status="RUNNING")
    run = store.client.get_run(run_id)
    if tags.ERROR in run.data.tags:
        store.client.delete_tag(run_id, tags.ERROR)
    params = [Param(*item) for item in defining(header["params"]).items() if item[0] not in run.data.params]
    known = {tags.CODE: header["code"], tags.BEGAN: str(header["began"])}
    known |= {f"{tags.MACHINE}{name}": value for name, value in header["facts"].items()}
    known |= {f"{tags.VERSION}{name}": value for name, value in header["versions"].items()}
    store.client.log_batch(run_id, params=params, tags=[RunTag(*tag) for tag in known.items()])
    runs.log_lineage(store, run_id, Source(**header["source"]))


def _points(entries: Entries) -> list[Point]:
    return [Point(**point) for entry in entries for point in entry.get("points", [])]
