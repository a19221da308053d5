"""The points of a training's curves in a run: what is there, what is lacking, and what contradicts."""

from collections.abc import Iterable

from autoencoder.record.curves import Point
from autoencoder.tracking import journal
from autoencoder.tracking.client import Metric, Run
from autoencoder.tracking.store import Store

BATCH = 1_000  # metrics that MLflow accepts at once

Points = dict[tuple[str, int], Point]  # by name and step


def missing(store: Store, run: Run, points: Iterable[Point]) -> Points:
    """Those of `points` that `run` does not have."""
    there = _values(store, run, points)
    return {
        (point.name, point.step): point
        for point in points
        if point.value not in there.get((point.name, point.step), ())
    }


def contradicts(store: Store, run: Run, points: Iterable[Point]) -> bool:
    """Whether `run` has another value than one of `points` in the same place."""
    there = _values(store, run, points)
    return any(point.value not in there.get((point.name, point.step), [point.value]) for point in points)


def added(store: Store, run: Run, points: Iterable[Point]) -> list[str]:
    """The curves of `run` with values that are none of `points`: somebody added them, and MLflow removes none."""
    known = {(point.name, point.step, point.value) for point in points}
    there = _values(store, run, points)
    return sorted(
        {name for (name, step), values in there.items() for value in values if (name, step, value) not in known}
    )


def _values(store: Store, run: Run, points: Iterable[Point]) -> dict[tuple[str, int], list[float]]:
    found: dict[tuple[str, int], list[float]] = {}
    for name in {point.name for point in points} & set(run.data.metrics):
        for metric in store.client.get_metric_history(run.info.run_id, name):
            found.setdefault((name, metric.step), []).append(metric.value)
    return found


def log(store: Store, run_id: str, points: Points) -> None:
    """Log `points`, at the time of each if it is known, else now."""
    now = journal.now()
    metrics = [Metric(point.name, point.value, point.time or now, point.step) for point in points.values()]
    for first in range(0, len(metrics), BATCH):
        store.client.log_batch(run_id, metrics=metrics[first : first + BATCH])
