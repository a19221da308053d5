"""The page's charts as SVG: drawings of 640 units' width, coloured and sized by page.css."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, UInt8
from markupsafe import Markup
from numpy import ndarray

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 640, 66, 14, 34, 60
MAP = 500  # units of height
MARKER = '<path class="marker"/>'  # which page.js moves
ERROR = "mean squared error"

Axis = tuple[str, Sequence[float]]  # its name, and its numbers
Chart = tuple[Markup, dict[str, Any]]  # the drawing, and for page.js where numbers lie in it


@dataclass(frozen=True)
class Frame:
    """Where numbers between `x` and between `y` lie in the drawing; `log` is for y."""

    x: tuple[float, float]
    y: tuple[float, float]
    log: bool = False
    height: int = 340

    def across(self, x: float) -> float:
        return round(LEFT + (x - self.x[0]) / (self.x[1] - self.x[0]) * (WIDTH - LEFT - RIGHT), 1)

    def down(self, y: float) -> float:
        low, high, value = (math.log(v) if self.log else v for v in (*self.y, y))
        return round(self.height - BOTTOM - (value - low) / (high - low) * (self.height - TOP - BOTTOM), 1)

    def path(self, name: str, points: Iterable[tuple[float, float]], between: str = "L", end: str = "") -> str:
        """A line through the points."""
        return f'<path class="{name}" d="M{between.join(f"{self.across(x)} {self.down(y)}" for x, y in points)}{end}"/>'

    def dots(self, name: str, points: Iterable[tuple[float, float]]) -> str:
        """A round dot at each of the points: a line of no length with round ends."""
        return self.path(name, points, "h0M", "h0")

    def chart(self, name: str, words: str, x: Axis, y: Axis, *parts: str) -> Chart:
        """The parts with axes; page.js finds the drawing by its name, and screen readers read the words."""
        right, floor = WIDTH - RIGHT, self.height - BOTTOM
        drawing = "".join(
            [
                f'<svg class="chart" id="chart-{name}" viewBox="0 0 {WIDTH} {self.height}" role="img" aria-label="{words}">',
                f'<path class="grid" d="{"".join(f"M{LEFT} {self.down(tick)}H{right}" for tick in y[1])}"/>',
                *(f'<text class="y" x="{LEFT - 8}" y="{self.down(tick)}">{_number(tick)}</text>' for tick in y[1]),
                *(f'<text class="x" x="{self.across(tick)}" y="{floor + 22}">{_number(tick)}</text>' for tick in x[1]),
                f'<text class="name" x="{LEFT - 56}" y="14">{y[0]}</text>',
                f'<text class="name end" x="{right}" y="{self.height - 6}">{x[0]}</text>',
                *(*parts, MARKER, "</svg>"),
            ]
        )
        return Markup(drawing), {"x": [*self.x, LEFT, right], "y": [*self.y, floor, TOP], "log": self.log}  # noqa: S704


def _number(value: float) -> str:
    return f"{value:.6g}".replace("-", "−")


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers from low to high: steps of 1, 2 or 5."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    return [round(n * step, 12) for n in range(math.ceil(low / step), math.floor(high / step * 1.000001) + 1)]


def whole(low: int, high: int) -> list[float]:
    """Round whole numbers from low to high, low among them."""
    return sorted({float(low), *(tick for tick in ticks(0, max(high, 5)) if low < tick <= high)})


def learning(history: Sequence[dict[str, float]], optimum: float | None, published: Sequence[float]) -> Chart:
    """Training and test error by epoch, the optimum, and what was published (with half a unit of its last digit)."""
    train, test = ([(row["epoch"], row[name]) for row in history] for name in ("train_mse", "test_mse"))
    (first, start), (last, end), top = test[0], test[-1], max(mse for _, mse in train + test)
    frame = Frame((first - 0.5, last + 0.5), (0, top * 1.06))
    words = f"The test error falls from {start:.4f} after the first epoch to {end:.4f} after the last"
    return frame.chart(
        "learning",
        words if optimum is None else f"{words}; the optimum is {optimum:.4f}",
        ("epoch", whole(int(first), int(last))),
        (ERROR, ticks(0, top)),
        *(frame.path("band", [(x, y - 0.005), (x, y + 0.005)]) for (x, _), y in zip(test, published, strict=False)),
        "" if optimum is None else frame.path("limit", [(x, optimum) for x in frame.x]),
        frame.path("second", train) + frame.path("first", test) + frame.dots("dots", test),
    )


def by_rank(optimum: Sequence[float], code: int, mse: float, equal: float, ranks: int) -> Chart:
    """The error of PCA by rank, on a logarithmic scale; the run is a dot, with a line to `equal`, the rank as good.

    It shows at least `ranks`, twice the code's length, and `equal`.
    """
    optimum = optimum[: max(ranks, 2 * code, math.ceil(equal)) + 1]
    low, high = max(min(optimum), mse / 50) * 0.8, max(*optimum, mse) * 1.1
    frame = Frame((0, len(optimum) - 0.5), (low, high), log=True)
    decades = [digit * 10.0**power for power in range(-9, 3) for digit in (1, 2, 5)]
    return frame.chart(
        "rank",
        f"Error of PCA by rank: that of this run is the error of rank {equal:.1f}",
        ("numbers in the code", whole(0, len(optimum) - 1)),
        (ERROR, [y for y in decades if low <= y <= high]),
        frame.path("second", [(rank, error) for rank, error in enumerate(optimum) if error >= low]),
        frame.path("limit", [(code, max(optimum[code], low)), (code, mse), (equal, mse), (equal, low)]),
        frame.dots("run", [(code, mse)]),
    )


def levels(rows: Sequence[dict[str, float]], trained: float) -> Chart:
    """The error by the level of the corruption, the optimum where it is known, and a dot at the level of training."""
    errors = [(row["level"], row["mse"]) for row in rows]
    optimum = [(row["level"], max(row["optimum_mse"], 0)) for row in rows if "optimum_mse" in row]
    frame = Frame((0, rows[-1]["level"]), (0, max(mse for _, mse in errors + optimum) * 1.06))
    return frame.chart(
        "levels",
        f"The error is {errors[0][1]:.4f} without corruption and {errors[-1][1]:.4f} at the level {errors[-1][0]:g}",
        ("level of the corruption", ticks(*frame.x)),
        (f"{ERROR}, against the clean picture", ticks(*frame.y)),
        frame.path("limit", optimum) if optimum else "",
        frame.path("first", errors) + frame.dots("dots", errors),
        frame.dots("run", [pair for pair in errors if pair[0] == trained]),
    )


def bars(name: str, words: str, across: str, up: str, values: Sequence[float]) -> Chart:
    """A bar for each of the values, none of which is negative."""
    frame = Frame((0.5, len(values) + 0.5), (0, max(*values, 1e-9)))
    wide, floor = round(0.78 * (frame.across(2) - frame.across(1)), 2), frame.down(0)
    path = "".join(
        f"M{round(frame.across(place) - wide / 2, 1)} {floor}V{frame.down(value)}h{wide}V{floor}z"
        for place, value in enumerate(values, 1)
    )
    x, y = (across, whole(1, len(values))), (up, ticks(*frame.y))
    return frame.chart(name, words, x, y, f'<path class="bars" d="{path}"/>')


def histogram(errors: Float64[ndarray, " n"]) -> Chart:
    """How many test images have which error; the marker is the reader's."""
    counts, edges = np.histogram(errors, 40, (0.0, errors.max()))
    frame = Frame((0.0, float(edges[-1])), (0, int(counts.max())), height=220)
    corners = zip(np.repeat(edges, 2).tolist(), [0, *np.repeat(counts, 2).tolist(), 0], strict=True)
    x, y = (f"{ERROR} of a picture", ticks(*frame.x)), ("test pictures", ticks(*frame.y, 3))
    words = f"Test images by error: from {errors.min():.3f} to {errors.max():.3f}"
    return frame.chart("histogram", words, x, y, frame.path("area", corners))


def scatter(points: Float64[ndarray, "n 2"], labels: UInt8[ndarray, " n"] | None) -> Chart:
    """The codes as points on their two leading axes, and each class's name at the median of its points."""
    sizes = np.array([WIDTH - LEFT - RIGHT, MAP - TOP - BOTTOM])
    x, y = (float((2.1 * np.abs(points) / sizes).max()) * sizes / 2).tolist()  # one scale for both axes
    frame = Frame((-x, x), (-y, y), height=MAP)
    classes = {} if labels is None else {name: np.median(points[labels == name], 0) for name in np.unique(labels)}
    return frame.chart(
        "map",
        f"The codes of {len(points):,} test images as points on the two leading axes",
        ("first axis", ticks(*frame.x, 6)),
        ("second axis", ticks(*frame.y, 5)),
        frame.dots("cloud", points.tolist()) + '<path class="chosen"/>',
        *(f'<text class="class" x="{frame.across(a)}" y="{frame.down(b)}">{c}</text>' for c, (a, b) in classes.items()),
    )
