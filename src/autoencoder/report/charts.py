"""Where numbers lie in the page's charts, which charts.html.jinja draws."""

import math
from collections.abc import Iterable
from typing import NamedTuple

LEFT, RIGHT, TOP, BOTTOM = 66, 626, 34, 60  # of the space for the data, BOTTOM from below


class Frame(NamedTuple):
    """Numbers between `x` lie from left to right, numbers between `y` from bottom to top; `log` is for y."""

    x: tuple[float, float]
    y: tuple[float, float]
    log: bool = False
    height: int = 340
    left: int = LEFT
    right: int = RIGHT
    top: int = TOP

    @property
    def bottom(self) -> int:
        return self.height - BOTTOM

    def across(self, x: float) -> float:
        return round(LEFT + (x - self.x[0]) / (self.x[1] - self.x[0]) * (RIGHT - LEFT), 1)

    def down(self, y: float) -> float:
        """Numbers below the lowest lie at the bottom."""
        low, high, value = (math.log(v) if self.log else v for v in (*self.y, max(y, self.y[0])))
        return round(self.bottom - (value - low) / (high - low) * (self.bottom - TOP), 1)

    def points(self, xs: Iterable[float], ys: Iterable[float]) -> list[str]:
        """Where the numbers lie, for paths."""
        return [f"{self.across(x)} {self.down(y)}" for x, y in zip(xs, ys, strict=True)]

    def y_ticks(self, about: int = 5) -> list[float]:
        decades = [digit * 10.0**power for power in range(-9, 3) for digit in (1, 2, 5)]
        return [y for y in decades if self.y[0] <= y <= self.y[1]] if self.log else ticks(*self.y, about)

    def whole(self) -> list[float]:
        """Round whole numbers, the lowest of x among them."""
        low, high = math.ceil(self.x[0]), self.x[1]
        return sorted({float(low), *(tick for tick in ticks(0, max(high, 5)) if low < tick <= high)})


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers from low to high: steps of 1, 2 or 5."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    return [round(n * step, 12) for n in range(math.ceil(low / step), math.floor(high / step * 1.000001) + 1)]
