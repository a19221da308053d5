"""The course of a training as points of curves, by the names that MLflow shows."""

from collections.abc import Iterable
from typing import NamedTuple


class Point(NamedTuple):
    """One value of a curve; `time` is in milliseconds since 1970, or None if it is not known."""

    name: str
    step: int
    value: float
    time: int | None = None


def points(
    epochs: Iterable[dict[str, float]], steps: Iterable[dict[str, float]], moment: int | None = None
) -> list[Point]:
    """The curves' points in rows of metrics/training.csv and metrics/steps.csv."""
    curves = [
        Point(name.replace("_", "/", 1), int(row["epoch"]), value, moment)
        for row in epochs
        for name, value in row.items()
        if name != "epoch" and value is not None
    ]
    return curves + [Point("train/step_mse", int(row["step"]), row["mse"], moment) for row in steps]
