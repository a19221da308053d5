"""The page's charts as SVG: drawings of 640 units' width, coloured and sized by page.css."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

WIDTH = 640
LEFT, RIGHT, TOP, BOTTOM = 66, 14, 34, 60

MAP = 500  # units of height

Points = Iterable[tuple[float, float]]


@dataclass(frozen=True)
class Frame:
    """Where numbers between `x` and between `y` lie in the drawing; `log` is for y."""

    x: tuple[float, float]
    y: tuple[float, float]
    log: bool = False
    height: int = 340

    def across(self, x: float) -> float:
        """Units from the left edge."""
        return round(LEFT + (x - self.x[0]) / (self.x[1] - self.x[0]) * (WIDTH - LEFT - RIGHT), 1)

    def down(self, y: float) -> float:
        """Units from the upper edge."""
        low, high, value = (math.log(v) if self.log else v for v in (*self.y, y))
        return round(self.height - BOTTOM - (value - low) / (high - low) * (self.height - TOP - BOTTOM), 1)

    def line(self, points: Points, name: str) -> str:
        """A line through the points."""
        path = "L".join(f"{self.across(x)} {self.down(y)}" for x, y in points)
        return f'<path class="{name}" d="M{path}"/>'

    def dots(self, points: Points, name: str) -> str:
        """A round dot at each of the points: a line of no length with round ends."""
        path = "".join(f"M{self.across(x)} {self.down(y)}h0" for x, y in points)
        return f'<path class="{name}" d="{path}"/>'

    def text(self, x: float, y: float, text: str, name: str = "note") -> str:
        """A text that begins at a point."""
        return f'<text class="{name}" x="{self.across(x)}" y="{self.down(y)}">{text}</text>'

    def data(self) -> dict[str, Any]:
        """The frame for page.js: numbers, and the units where they lie."""
        return {
            "x": [*self.x, LEFT, WIDTH - RIGHT],
            "y": [*self.y, self.height - BOTTOM, TOP],
            "log": self.log,
        }

    def axes(self, x_name: str, y_name: str, x_ticks: Sequence[float], y_ticks: Sequence[float]) -> str:
        """Grid, numbers and names."""
        right, floor = WIDTH - RIGHT, self.height - BOTTOM
        parts = [f'<path class="grid" d="{"".join(f"M{LEFT} {self.down(y)}H{right}" for y in y_ticks)}"/>']
        parts += [f'<text class="y" x="{LEFT - 8}" y="{self.down(y)}">{number(y)}</text>' for y in y_ticks]
        parts += [f'<text class="x" x="{self.across(x)}" y="{floor + 22}">{number(x)}</text>' for x in x_ticks]
        parts += [
            f'<text class="name" x="{LEFT - 56}" y="14">{y_name}</text>',
            f'<text class="name end" x="{right}" y="{self.height - 6}">{x_name}</text>',
        ]
        return "".join(parts)


def number(value: float) -> str:
    """A tick's number, without needless digits."""
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


def svg(frame: Frame, name: str, label: str, *parts: str) -> Markup:
    """A drawing, its name for page.js, and what it shows in words."""
    head = f'<svg class="chart" id="chart-{name}" viewBox="0 0 {WIDTH} {frame.height}" role="img" aria-label="{label}">'
    return Markup(f"{head}{''.join(parts)}</svg>")  # noqa: S704


def learning(
    history: Sequence[dict[str, float]], optimum: float, published: Sequence[float], label: str
) -> tuple[Markup, Frame]:
    """Training and test error by epoch, the optimum, and what was published (with half a unit of its last digit)."""
    epochs = [row["epoch"] for row in history]
    top = max(max(row["train_mse"], row["test_mse"]) for row in history)
    frame = Frame((epochs[0] - 0.5, epochs[-1] + 0.5), (0, top * 1.06))
    half = round(frame.down(0) - frame.down(0.005), 1)
    places = [(frame.across(epoch) - 7, frame.down(mse + 0.005)) for epoch, mse in zip(epochs, published, strict=False)]
    printed = "".join(f'<rect class="band" x="{x}" y="{y}" width="14" height="{2 * half}"/>' for x, y in places)
    drawing = svg(
        frame,
        "learning",
        label,
        frame.axes("epoch", "mean squared error", whole(int(epochs[0]), int(epochs[-1])), ticks(0, top)),
        printed,
        frame.line([(frame.x[0], optimum), (frame.x[1], optimum)], "limit"),
        frame.line([(row["epoch"], row["train_mse"]) for row in history], "second"),
        frame.line([(row["epoch"], row["test_mse"]) for row in history], "first"),
        frame.dots([(row["epoch"], row["test_mse"]) for row in history], "dots"),
        '<path class="marker"/>',
    )
    return drawing, frame


def by_rank(optimum: Sequence[float], code: int, mse: float, equal: float, label: str) -> tuple[Markup, Frame]:
    """The error of PCA by rank, on a logarithmic scale; the run is a dot, with a line to the rank that is as good."""
    ranks = len(optimum) - 1
    low, high = max(min(optimum), mse / 50) * 0.8, max(*optimum, mse) * 1.1
    frame = Frame((0, ranks + 0.5), (low, high), log=True)
    decades = [digit * 10.0**power for power in range(-9, 3) for digit in (1, 2, 5)]
    drawing = svg(
        frame,
        "rank",
        label,
        frame.axes(
            "numbers in the code", "mean squared error", whole(0, ranks), [y for y in decades if low <= y <= high]
        ),
        frame.line([(rank, error) for rank, error in enumerate(optimum) if error >= low], "second"),
        frame.line([(code, mse), (equal, mse), (equal, low)], "limit"),
        frame.line([(code, mse), (code, optimum[code])], "limit"),
        frame.dots([(code, mse)], "run"),
        '<path class="marker"/>',
    )
    return drawing, frame


def angles(cosines_squared: Sequence[float], label: str) -> Markup:
    """The captured share of each principal direction, as bars."""
    n = len(cosines_squared)
    frame = Frame((0.5, n + 0.5), (0, 1))
    wide = round(0.78 * (frame.across(2) - frame.across(1)), 2)
    floor = frame.down(0)
    bars = "".join(
        f"M{round(frame.across(k) - wide / 2, 1)} {floor}V{frame.down(share)}h{wide}V{floor}z"
        for k, share in enumerate(cosines_squared, 1)
    )
    return svg(
        frame,
        "angles",
        label,
        frame.axes("direction", "captured share, cos² of the angle", whole(1, n), [0, 0.25, 0.5, 0.75, 1]),
        f'<path class="bars" d="{bars}"/>',
    )


def histogram(counts: Sequence[int], low: float, high: float, label: str) -> tuple[Markup, Frame]:
    """How many test images have which error; the marker is the reader's."""
    frame = Frame((low, high), (0, max(counts)), height=220)
    step = (high - low) / len(counts)
    steps = "".join(f"H{frame.across(low + n * step)}V{frame.down(count)}" for n, count in enumerate(counts))
    drawing = svg(
        frame,
        "histogram",
        label,
        frame.axes("mean squared error of a picture", "test pictures", ticks(low, high), ticks(0, max(counts), 3)),
        f'<path class="area" d="M{frame.across(low)} {frame.down(0)}{steps}H{frame.across(high)}V{frame.down(0)}z"/>',
        '<path class="marker"/>',
    )
    return drawing, frame


def scatter(points: Points, names: Points, labels: Sequence[str], label: str) -> tuple[Markup, Frame]:
    """The codes as points on their two leading axes, and each class's name at the mean of its points."""
    points = list(points)
    sizes = (WIDTH - LEFT - RIGHT, MAP - TOP - BOTTOM)
    unit = max(2.1 * abs(value) / size for point in points for value, size in zip(point, sizes, strict=True))
    x, y = (unit * size / 2 for size in sizes)  # one scale for both axes
    frame = Frame((-x, x), (-y, y), height=MAP)
    texts = "".join(frame.text(x, y, name, "class") for (x, y), name in zip(names, labels, strict=True))
    drawing = svg(
        frame,
        "map",
        label,
        frame.axes("first axis", "second axis", ticks(*frame.x, 6), ticks(*frame.y, 5)),
        frame.dots(points, "cloud"),
        '<path class="chosen"/>',
        texts,
        '<path class="marker"/>',
    )
    return drawing, frame
