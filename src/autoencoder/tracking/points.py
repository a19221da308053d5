"""The points of a training's curves in a run: what is there, what is lacking, and what contradicts."""

from autoencoder.record.curves import Point
from autoencoder.tracking import journal
from autoencoder.tracking.client import entities
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


def log(store: Store, run_id: str, points: list[Point]) -> None:
    """Log `points`, at the time of each if it is known, else now."""
    now = journal.now()
    metrics = [entities.Metric(name, value, time or now, step) for name, step, value, time in points]
    for first in range(0, len(metrics), BATCH):
        store.client.log_batch(run_id, metrics=metrics[first : first + BATCH])
