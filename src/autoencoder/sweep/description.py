"""sweeps/NAME.yaml: which params are searched, by which method, for the lowest of which figure."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from autoencoder import params, paths
from autoencoder.errors import UserError
from autoencoder.files import read_yaml
from autoencoder.record.lock import flatten, put

VALIDATION = 0.1  # the fraction held out where params.yaml holds out none


@dataclass(frozen=True)
class Rung:
    """So many `states` of `points` are trained for so many `epochs`. The state of point n has the number offset + n."""

    epochs: int
    states: int
    offset: int
    points: int

    @property
    def numbers(self) -> range:
        """All numbers that its states may have."""
        return range(self.offset + 1, self.offset + self.points + 1)


class Sweep(params.Section):
    """The content of sweeps/NAME.yaml.

    `search` has by param a list of values, or `low` and `high` (and `log`). `set` are params that all states share.
    `states` are so many; or `rungs` has their number by that of the epochs: all begin with the fewest, the best go on.
    `base` are the flat params of all states: those of params.yaml and of `set`, with a validation split.
    """

    name: str
    method: Literal["grid", "random", "tpe"]
    objective: str
    search: dict[str, Any]
    set: dict[str, Any] | None = None
    states: params.PositiveInt | None = None
    rungs: dict[params.PositiveInt, params.PositiveInt] | None = None
    base: dict[str, Any]

    @property
    def lists(self) -> bool:
        """Whether the values of every param are listed."""
        return all(isinstance(values, list) for values in self.search.values())

    @property
    def grid(self) -> list[dict[str, Any]]:
        """All points of a search over lists."""
        return [dict(zip(self.search, point, strict=True)) for point in itertools.product(*self.search.values())]

    @property
    def ladder(self) -> list[Rung]:
        """The rungs, from the fewest epochs to the most; one if the file has none."""
        epochs: int = self.base["train.epochs"]
        counts = self.rungs or {epochs: self.states or len(self.grid)}
        points = max(counts.values())
        return [Rung(*rung, index * points, points) for index, rung in enumerate(sorted(counts.items()))]

    def rung(self, number: int) -> Rung:
        """The rung of the state with this number."""
        return next(rung for rung in self.ladder if number in rung.numbers)

    def params(self, point: dict[str, Any], epochs: int) -> dict[str, Any]:
        """The flat params of a state. Raises UserError if they are wrong."""
        flat = self.base | point | {"train.epochs": epochs}
        nested: dict[str, Any] = {}
        for name, value in flat.items():
            put(nested, name, value)
        params.check(nested)
        return flat


def load(path: Path) -> Sweep:
    """Read and check a sweep. Raises UserError."""
    content = read_yaml(path, remedy=f"name a file of {paths.SWEEPS}")
    sweep = params.validated(Sweep, content | {"name": path.stem, "base": {}}, path)
    base = flatten(params.load().model_dump()) | flatten(sweep.set or {})
    base["data.validation"] = base["data.validation"] or VALIDATION
    sweep = sweep.model_copy(update={"base": base})
    if faults := list(_faults(sweep)):
        raise UserError(f"{path}: {faults[0]}")
    for point in sweep.grid if sweep.lists else [{}]:
        sweep.params(point, sweep.ladder[0].epochs)
    return sweep


def _faults(sweep: Sweep) -> Iterator[str]:
    """What contradicts itself in a sweep."""
    if not sweep.objective.startswith("validation/"):
        why = "what is chosen by test images is no longer tested by them"
        yield f"objective: expected a figure under validation/, found {sweep.objective!r}: {why}"
    if not sweep.search or sweep.search.keys() - sweep.base.keys() or "train.epochs" in sweep.search:
        yield f"search: expected params of {paths.PARAMS} (rungs have the epochs), found {', '.join(sweep.search)}"
    if sweep.method == "grid" and not sweep.lists:
        yield "method: grid expects a list of values for every param"
    if (sweep.states and sweep.rungs) or not (sweep.states or sweep.rungs or sweep.lists):
        yield "expected either states, rungs, or lists of values that are all tried"
    counts = [rung.states for rung in sweep.ladder]
    if counts != sorted(counts, reverse=True):
        yield f"rungs: expected fewer states for more epochs, found {sweep.rungs}"
    if sweep.lists and (counts[0] > len(sweep.grid) or (sweep.method == "grid" and counts[0] < len(sweep.grid))):
        yield f"expected as many states as the lists of values give, {len(sweep.grid)}, found {counts[0]}"
