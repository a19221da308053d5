"""The journal of a training → a run in MLflow, while the training runs or afterwards."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from autoencoder.errors import without_passwords
from autoencoder.record.curves import Point
from autoencoder.record.identity import defining
from autoencoder.record.lineage import Source
from autoencoder.tracking import contents, journal, runs, tags
from autoencoder.tracking.client import entities
from autoencoder.tracking.store import Store

Entries = list[dict[str, Any]]  # the lines of a journal that were written since it was read last

# The end of a journal without one.
KILLED: dict[str, Any] = {"status": "KILLED", "error": "the process was killed", "ended": None}


def replay(store: Store, entries: Iterator[Entries]) -> None:
    """Carry the journal that `entries` read, as it comes, to a run of its state.

    If a model of the state is known, the training is a proof of it, and is looked at when it is over. A journal without
    a whole header is damaged, or of another version, and is passed over.
    """
    first = next(entries, None)
    if not first or not first[0].keys() >= journal.HEADER:
        return
    header, batches = first[0], chain([first[1:]], entries)
    with store.errors(), store.lock(header["key"]):
        there = runs.of_state(store, header["key"], defining(header["params"]))
        trained = [run for run in there if tags.MODEL_MD5 in run.data.tags]
        if any(run.data.tags.get(tags.BEGAN) == str(header["began"]) for run in trained):
            return  # this journal was carried to its end before
        if trained:
            _compare(store, there, trained, header, list(batches))
        else:
            _follow(store, runs.without_model(there) or _begin_run(store, header), header, batches)


def _compare(
    store: Store, there: list[runs.Run], trained: list[runs.Run], header: dict[str, Any], batches: list[Entries]
) -> None:
    """Compare a training that ended well with those that are known: the same bytes are a proof, others a new run."""
    end = next((entry for batch in batches for entry in batch if entry.get("status") == "FINISHED"), None)
    if not end:
        return
    same = runs.with_model(trained, end["model_md5"])
    if not same:
        _follow(store, runs.without_model(there) or _begin_run(store, header), header, batches, trained)
    elif tags.BEGAN not in same.data.tags and header["began"] <= same.info.start_time:  # another workspace tracked it
        _follow(store, runs.revived(store, same), header, batches)
    else:
        day = datetime.fromtimestamp(end["ended"] / 1000, UTC).isoformat(timespec="seconds")
        proof = {tags.REPRODUCED: f"bit for bit, {day}", tags.CODE: header["code"]}
        runs.set_tags(store, runs.revived(store, same).info.run_id, proof)


def _follow(
    store: Store, run: runs.Run, header: dict[str, Any], batches: Iterable[Entries], trained: Iterable[runs.Run] = ()
) -> None:
    """Carry what a training records to `run`, and in the end how it ended.

    If `run` has other values in the same places it was another training, which was killed: a new run takes its place.
    Where the training ends in another model than those of `trained` by the same code, the runs warn of each other.
    """
    run_id = run.info.run_id
    _describe(store, run_id, header)
    end = KILLED
    for batch in batches:
        new = [Point(**point) for entry in batch for point in entry.get("points", [])]
        run = store.client.get_run(run_id)
        if contents.contradicts(store, run, new):
            store.client.set_terminated(run_id, "KILLED")
            run = _begin_run(store, header)
            run_id = run.info.run_id
            _describe(store, run_id, header)
        contents.log_points(store, run_id, contents.missing(store, run, new))
        end = next((entry for entry in batch if "status" in entry), end)
    runs.warn(store, run, trained, header["code"])
    ended = end["ended"] and max(end["ended"], int(run.info.start_time))
    store.client.set_terminated(run_id, end["status"], ended)
    names = {"model_md5": tags.MODEL_MD5, "error": tags.ERROR, "seconds": tags.SECONDS}
    known = {tag: without_passwords(str(end[name])) for name, tag in names.items() if name in end}
    runs.set_tags(store, run_id, known)  # last: a run that has a model is not followed again


def _begin_run(store: Store, header: dict[str, Any]) -> runs.Run:
    source = Source(**header["source"])
    return runs.begin(store, header["key"], defining(header["params"]), source, header["began"])


def _describe(store: Store, run_id: str, header: dict[str, Any]) -> None:
    """Log what is known when a training begins: its params, machine, versions and code."""
    store.client.update_run(run_id, status="RUNNING")
    runs.forget_error(store, run_id)
    there = store.client.get_run(run_id).data.params
    params = [entities.Param(*item) for item in defining(header["params"]).items() if item[0] not in there]
    store.client.log_batch(run_id, params=params)
    known = {tags.CODE: header["code"], tags.BEGAN: str(header["began"])}
    known |= {f"{tags.MACHINE}{name}": value for name, value in header["facts"].items()}
    known |= {f"{tags.VERSION}{name}": value for name, value in header["versions"].items()}
    runs.set_tags(store, run_id, known)
    runs.log_lineage(store, run_id, Source(**header["source"]))
