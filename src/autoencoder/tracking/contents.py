"""What a run holds in MLflow of its curves and files: what is there, what is lacking, and what contradicts."""

import tempfile
from contextlib import suppress
from pathlib import Path

from autoencoder.files import md5
from autoencoder.record import content
from autoencoder.record.curves import Point
from autoencoder.tracking import journal
from autoencoder.tracking.client import MlflowException, entities, get_artifact_repository
from autoencoder.tracking.store import Store

BATCH = 1_000  # metrics that MLflow accepts at once


def missing(store: Store, run: entities.Run, points: list[Point]) -> list[Point]:
    """Those of `points` that `run` does not have."""
    there = _there(store, run, points)
    return [point for point in points if point[:3] not in there]


def contradicts(store: Store, run: entities.Run, points: list[Point]) -> bool:
    """Whether `run` has another value than one of `points` in the same place."""
    there = _there(store, run, points)
    places = {point[:2] for point in there}
    return any(point[:2] in places and point[:3] not in there for point in points)


def added(store: Store, run: entities.Run, points: list[Point]) -> list[str]:
    """The curves of `run` with values that are none of `points`: somebody added them, and MLflow removes none."""
    return sorted({name for name, _, _ in _there(store, run, points) - {point[:3] for point in points}})


def _there(store: Store, run: entities.Run, points: list[Point]) -> set[tuple[str, int, float]]:
    """Name, step and value of each point that `run` has of the curves of `points`."""
    return {
        (name, metric.step, metric.value)
        for name in {point.name for point in points} & set(run.data.metrics)
        for metric in store.client.get_metric_history(run.info.run_id, name)
    }


def log_points(store: Store, run_id: str, points: list[Point]) -> None:
    """Log `points`, at the time of each if it is known, else now."""
    now = journal.now()
    metrics = [entities.Metric(name, value, time or now, step) for name, step, value, time in points]
    for first in range(0, len(metrics), BATCH):
        store.client.log_batch(run_id, metrics=metrics[first : first + BATCH])


def log_files(store: Store, run_id: str, contents: dict[str, bytes | None]) -> None:
    """Log files with these `contents`, by name as in `figures/code.png`; None removes the file of that name."""
    removed = [name for name, text in contents.items() if text is None]
    with tempfile.TemporaryDirectory() as folder:
        for name, text in contents.items():
            if text is not None:
                content.write(Path(folder, name), text)
        if len(removed) < len(contents):
            store.client.log_artifacts(run_id, folder)
    for name in removed:
        get_artifact_repository(store.client.get_run(run_id).info.artifact_uri, store.uri).delete_artifacts(name)


def hashes(store: Store, location: str) -> dict[str, str]:
    """The MD5 of every file below the artifact location that can be read, by name."""
    with tempfile.TemporaryDirectory() as folder:
        with suppress(MlflowException):  # some of the files cannot be read
            get_artifact_repository(location, store.uri).download_artifacts("", folder)
        return hashes_of_folder(Path(folder))


def hashes_of_folder(folder: Path) -> dict[str, str]:
    """The MD5 of every file below `folder`, by name."""
    return {file.relative_to(folder).as_posix(): md5(file) for file in folder.rglob("*") if file.is_file()}
