"""The page's charts as SVG: drawings of 640 units' width, coloured and sized by page.css."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, UInt8
from markupsafe import Markup
from numpy import ndarray

from autoencoder.report.findings import equal_rank

WIDTH = 640
LEFT, RIGHT, TOP, BOTTOM = 66, 14, 34, 60
MAP = 500  # units of height
BINS = 40
MARKER = '<path class="marker"/>'  # which page.js moves

Points = Iterable[tuple[float, float]]
Ticks = tuple[str, Sequence[float]]  # the name of an axis, and its numbers


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

    def path(self, name: str, points: Points, *, dots: bool = False) -> str:
        """A line through the points, or a round dot at each of them: a line of no length with round ends."""
        path = ("h0M" if dots else "L").join(f"{self.across(x)} {self.down(y)}" for x, y in points)
        return f'<path class="{name}" d="M{path}{"h0" * dots}"/>'

    def data(self) -> dict[str, Any]:
        """The frame for page.js: numbers, and the units where they lie."""
        return {"x": [*self.x, LEFT, WIDTH - RIGHT], "y": [*self.y, self.height - BOTTOM, TOP], "log": self.log}

    def svg(self, name: str, label: str, x: Ticks, y: Ticks, *parts: str) -> Markup:
        """A drawing with axes: its name for page.js, and what it shows in words."""
        right, floor = WIDTH - RIGHT, self.height - BOTTOM
        head = (
            f'<svg class="chart" id="chart-{name}" viewBox="0 0 {WIDTH} {self.height}" role="img" aria-label="{label}">'
        )
        axes = [
            f'<path class="grid" d="{"".join(f"M{LEFT} {self.down(tick)}H{right}" for tick in y[1])}"/>',
            *(f'<text class="y" x="{LEFT - 8}" y="{self.down(tick)}">{_number(tick)}</text>' for tick in y[1]),
            *(f'<text class="x" x="{self.across(tick)}" y="{floor + 22}">{_number(tick)}</text>' for tick in x[1]),
            f'<text class="name" x="{LEFT - 56}" y="14">{y[0]}</text>',
            f'<text class="name end" x="{right}" y="{self.height - 6}">{x[0]}</text>',
        ]
        return Markup("".join([head, *axes, *parts, "</svg>"]))  # noqa: S704


Chart = tuple[Markup, Frame]


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
    step = ticks(0, max(5, high))[1]
    return sorted({float(low), *(tick for tick in ticks(0, high or 1) if low < tick <= high and step >= 1)})


def learning(history: Sequence[dict[str, float]], optimum: float | None, published: Sequence[float]) -> Chart:
    """Training and test error by epoch, the optimum, and what was published (with half a unit of its last digit)."""
    train, test = ([(row["epoch"], row[name]) for row in history] for name in ("train_mse", "test_mse"))
    (first, start), (last, end), top = test[0], test[-1], max(mse for _, mse in train + test)
    frame = Frame((first - 0.5, last + 0.5), (0, top * 1.06))
    height = 2 * round(frame.down(0) - frame.down(0.005), 1)
    places = [(frame.across(row[0]) - 7, frame.down(mse + 0.005)) for row, mse in zip(test, published, strict=False)]
    words = f"The test error falls from {start:.4f} after the first epoch to {end:.4f} after the last"
    return frame.svg(
        "learning",
        words if optimum is None else f"{words}; the optimum is {optimum:.4f}",
        ("epoch", whole(int(first), int(last))),
        ("mean squared error", ticks(0, top)),
        *(f'<rect class="band" x="{x}" y="{y}" width="14" height="{height}"/>' for x, y in places),
        "" if optimum is None else frame.path("limit", [(x, optimum) for x in frame.x]),
        frame.path("second", train) + frame.path("first", test) + frame.path("dots", test, dots=True) + MARKER,
    ), frame


def by_rank(optimum: Sequence[float], code: int, mse: float, ranks: int) -> Chart:
    """The error of PCA by rank, on a logarithmic scale; the run is a dot, with a line to the rank that is as good.

    It shows at least `ranks`, twice the code's length, and the rank that is as good.
    """
    equal = equal_rank(optimum, mse)
    optimum = optimum[: max(ranks, 2 * code, math.ceil(equal)) + 1]
    low, high = max(min(optimum), mse / 50) * 0.8, max(*optimum, mse) * 1.1
    frame = Frame((0, len(optimum) - 0.5), (low, high), log=True)
    decades = [digit * 10.0**power for power in range(-9, 3) for digit in (1, 2, 5)]
    return frame.svg(
        "rank",
        f"Error of PCA by rank: that of this run is the error of rank {equal:.1f}",
        ("numbers in the code", whole(0, len(optimum) - 1)),
        ("mean squared error", [y for y in decades if low <= y <= high]),
        frame.path("second", [(rank, error) for rank, error in enumerate(optimum) if error >= low]),
        frame.path("limit", [(code, mse), (equal, mse), (equal, low)]),
        frame.path("limit", [(code, mse), (code, max(optimum[code], low))]),
        frame.path("run", [(code, mse)], dots=True) + MARKER,
    ), frame


def angles(cosines_squared: Sequence[float]) -> Markup:
    """The captured share of each principal direction, as bars."""
    n = len(cosines_squared)
    frame = Frame((0.5, n + 0.5), (0, 1))
    wide, floor = round(0.78 * (frame.across(2) - frame.across(1)), 2), frame.down(0)
    bars = "".join(
        f"M{round(frame.across(k) - wide / 2, 1)} {floor}V{frame.down(share)}h{wide}V{floor}z"
        for k, share in enumerate(cosines_squared, 1)
    )
    x, y = ("direction", whole(1, n)), ("captured share, cos² of the angle", [0, 0.25, 0.5, 0.75, 1])
    words = f"{sum(cosines_squared):.1f} of {n} directions are captured"
    return frame.svg("angles", words, x, y, f'<path class="bars" d="{bars}"/>')


def histogram(errors: Float64[ndarray, " n"]) -> Chart:
    """How many test images have which error; the marker is the reader's."""
    counts, edges = np.histogram(errors, BINS, (0.0, errors.max()))
    frame = Frame((0.0, float(edges[-1])), (0, int(counts.max())), height=220)
    step, floor = frame.x[1] / BINS, frame.down(0)
    steps = "".join(f"H{frame.across(n * step)}V{frame.down(count)}" for n, count in enumerate(counts.tolist()))
    area = f'<path class="area" d="M{frame.across(0)} {floor}{steps}H{frame.across(frame.x[1])}V{floor}z"/>'
    x, y = ("mean squared error of a picture", ticks(*frame.x)), ("test pictures", ticks(*frame.y, 3))
    words = f"Test images by error: from {errors.min():.3f} to {errors.max():.3f}"
    return frame.svg("histogram", words, x, y, area, MARKER), frame


def scatter(points: Float64[ndarray, "n 2"], labels: UInt8[ndarray, " n"] | None) -> Chart:
    """The codes as points on their two leading axes, and each class's name at the median of its points."""
    sizes = np.array([WIDTH - LEFT - RIGHT, MAP - TOP - BOTTOM])
    x, y = (float((2.1 * np.abs(points) / sizes).max()) * sizes / 2).tolist()  # one scale for both axes
    frame = Frame((-x, x), (-y, y), height=MAP)
    texts = []
    for name in [] if labels is None else np.unique(labels).tolist():
        across, down = np.median(points[labels == name], axis=0).tolist()
        texts.append(f'<text class="class" x="{frame.across(across)}" y="{frame.down(down)}">{name}</text>')
    return frame.svg(
        "map",
        f"The codes of {len(points):,} test images as points on the two leading axes",
        ("first axis", ticks(*frame.x, 6)),
        ("second axis", ticks(*frame.y, 5)),
        frame.path("cloud", points.tolist(), dots=True),
        '<path class="chosen"/>' + "".join(texts) + MARKER,
    ), frame
