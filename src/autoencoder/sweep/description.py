"""sweeps/NAME.yaml: which params are searched, by which method, for the lowest of which figure."""

import itertools
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from autoencoder import params, paths
from autoencoder.errors import UserError
from autoencoder.files import read_yaml
from autoencoder.record.lock import flatten, put

VALIDATION = 0.1  # the fraction held out where params.yaml holds out none


class File(params.Section):
    """The content of sweeps/NAME.yaml; `search` has a list of values, or `low` and `high` (and `log`), by param.

    `set` are params that all states share. `rungs` has the number of states by the number of epochs: all begin with
    the fewest, and the best go on.
    """

    method: Literal["grid", "random", "tpe"]
    objective: str
    search: dict[str, Any]
    set: dict[str, Any] | None = None
    states: params.PositiveInt | None = None
    rungs: dict[int, params.PositiveInt] | None = None


@dataclass(frozen=True)
class Range:
    """Numbers between `low` and `high`, both included; whole ones if these are."""

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True)
class Rung:
    """So many `states` are trained for so many `epochs`; `offset` is added to the number of a point."""

    epochs: int
    states: int
    offset: int
    points: int  # of the first rung

    def number(self, point: int) -> int:
        """The number of the state of this point, which counts from one."""
        return self.offset + point

    @property
    def numbers(self) -> range:
        """All numbers that its states may have."""
        return range(self.offset + 1, self.offset + self.points + 1)


@dataclass(frozen=True)
class Sweep:
    """A sweep: `base` are the flat params of all its states, but for those of `search` and the epochs of a rung."""

    name: str
    method: str
    objective: str
    base: dict[str, Any]
    search: dict[str, list[Any] | Range]
    rungs: list[Rung]

    def grid(self) -> list[dict[str, Any]]:
        """All points of a search over lists."""
        values = [choices for choices in self.search.values() if isinstance(choices, list)]
        return [dict(zip(self.search, point, strict=True)) for point in itertools.product(*values)]

    def rung(self, number: int) -> Rung:
        """The rung of the state with this number."""
        return next(rung for rung in self.rungs if number in rung.numbers)

    def params(self, point: dict[str, Any], epochs: int) -> dict[str, Any]:
        """The flat params of a state. Raises UserError if they are no params."""
        return check(self.base | point | {"train.epochs": epochs}, self.name)


def load(path: Path) -> Sweep:
    """Read and check a sweep. Raises UserError."""
    file = params.validated(File, read_yaml(path, remedy=f"name a file of {paths.SWEEPS}"), path)
    if not file.objective.startswith("validation/"):
        raise UserError(
            f"{path}: objective: expected a figure under validation/, found {file.objective!r}: what is chosen by "
            "test images is no longer tested by them"
        )
    base = flatten(params.load().model_dump()) | flatten(file.set or {})
    base["data.validation"] = base["data.validation"] or VALIDATION
    if unknown := [name for name in file.search if name not in base]:
        raise UserError(f"{path}: search: expected params of {paths.PARAMS}, found {', '.join(unknown)}")
    if not file.search:
        raise UserError(f"{path}: search: expected at least one param, found none")
    search = {name: _values(path, name, given) for name, given in file.search.items()}
    sweep = Sweep(path.stem, file.method, file.objective, check(base, path), search, [])
    return Sweep(**vars(sweep) | {"rungs": _rungs(path, file, sweep)})


def check(flat: dict[str, Any], where: Path | str) -> dict[str, Any]:
    """The `flat` params. Raises UserError if they are no params."""
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        put(nested, name, value)
    try:
        params.check(nested)
    except UserError as error:
        raise UserError(f"{where}: {str(error).removeprefix(f'{paths.PARAMS}: ')}") from None
    return flat


def _values(path: Path, name: str, given: Any) -> list[Any] | Range:
    if isinstance(given, list) and given:
        if len({json.dumps(value) for value in given}) == len(given):
            return given
    elif isinstance(given, dict) and {"low", "high"} <= given.keys() <= {"low", "high", "log"}:
        found = Range(**given)
        numbers = all(type(value) in (int, float) and math.isfinite(value) for value in (found.low, found.high))
        if numbers and found.low < found.high and type(found.log) is bool and not (found.log and found.low <= 0):
            return found
    raise UserError(
        f"{path}: search.{name}: expected a list of different values, or {{low: …, high: …, log: true}} with low "
        f"below high, and above 0 for log, found {given!r}"
    )


def _rungs(path: Path, file: File, sweep: Sweep) -> list[Rung]:
    lists = all(isinstance(values, list) for values in sweep.search.values())
    if file.method == "grid" and not lists:
        raise UserError(f"{path}: method: grid expects a list of values for every param, found a range")
    if file.rungs and file.states:
        raise UserError(f"{path}: expected states or rungs, whose first is the number of states, found both")
    if "train.epochs" in file.search:
        raise UserError(f"{path}: search.train.epochs: expected rungs for trainings of different lengths")
    rungs = sorted((file.rungs or {}).items()) or [(sweep.base["train.epochs"], file.states or len(sweep.grid()))]
    counts = [count for _, count in rungs]
    if rungs[0][0] < 1 or counts != sorted(counts, reverse=True):
        raise UserError(f"{path}: rungs: expected fewer states for more epochs, found {file.rungs}")
    if not (file.rungs or file.states or lists):
        raise UserError(f"{path}: expected the number of states, or rungs, for a search over a range")
    if lists and counts[0] > len(sweep.grid()):
        raise UserError(f"{path}: expected at most {len(sweep.grid())} states, as the lists give, found {counts[0]}")
    if file.method == "grid" and counts[0] != len(sweep.grid()):
        raise UserError(f"{path}: expected the {len(sweep.grid())} states of the grid, found {counts[0]}")
    return [Rung(epochs, count, index * counts[0], counts[0]) for index, (epochs, count) in enumerate(rungs)]
