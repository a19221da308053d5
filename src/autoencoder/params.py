"""params.yaml as frozen, typed values. An unknown key, a wrong type or a value out of range is one clear line."""

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from autoencoder import paths
from autoencoder.errors import UserError

PositiveInt = Annotated[int, Field(ge=1, lt=2**31)]


class Section(BaseModel):
    """Immutable, and strict: a number in quotes is not a number, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Data(Section):
    """Which images: a name of `datasets`."""

    name: Literal["mnist", "fashion_mnist", "kmnist", "digits"]


class Model(Section):
    """Which autoencoder, and the length of its code."""

    name: Literal["linear"]
    code_dimensions: PositiveInt


class Train(Section):
    """How the weights are found; `log_every` counts batches."""

    epochs: PositiveInt
    batch_size: PositiveInt
    optimizer: Literal["sgd", "adam"]
    learning_rate: Annotated[float, Field(gt=0, le=1e9)]  # far beyond sense, and finite as float32
    momentum: Annotated[float, Field(ge=0, lt=1)]
    log_every: PositiveInt


class Evaluate(Section):
    """Images per forward pass; no metric depends on it beyond rounding."""

    batch_size: PositiveInt


class Render(Section):
    """Columns of figures/reconstructions.png."""

    examples: Annotated[int, Field(ge=1, le=100)]


class Track(Section):
    """The figure by which the champion is chosen among the registered models of a dataset: the lowest."""

    champion: Literal["test/final_mse", "test/ratio_to_optimum", "train/final_mse"]


class Runtime(Section):
    """Where and how the numbers are computed: see `numerics`."""

    device: Literal["auto", "cpu", "cuda", "mps"]
    numerics: Literal["portable", "fast"]
    threads: Annotated[int, Field(ge=1, le=1024)]


class Params(Section):
    """The whole of params.yaml."""

    seed: Annotated[int, Field(ge=0, lt=2**63)]
    data: Data
    model: Model
    train: Train
    evaluate: Evaluate
    render: Render
    track: Track
    runtime: Runtime


def load(path: Path = paths.PARAMS) -> Params:
    """Read and check `path`.

    YAML is read as DVC reads it (ruamel.yaml, YAML 1.2: `1e-3` is a number, a repeated key is an error).
    Raises UserError with every fault on one line.
    """
    try:
        values = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"{path}: not found in {path.absolute().parent}; run from the repository's root, or `git checkout {path}`"
        ) from None
    except (YAMLError, ValueError) as error:  # ValueError: no UTF-8, no such date, …
        raise UserError(
            f"{path}: not readable as YAML: {' '.join(str(error).split())}; `git checkout {path}` brings it back"
        ) from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected keys and values, found {values!r}; `git checkout {path}` brings it back")
    return check(values, path)


def check(values: dict[str, Any], path: Path = paths.PARAMS) -> Params:
    """The nested `values` of `path` as params. Raises UserError with every fault on one line."""
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        faults = "; ".join(_describe(dict(fault)) for fault in error.errors())
        raise UserError(f"{path}: {faults}") from None


def _describe(fault: dict[str, Any]) -> str:
    location: tuple[str, ...] = tuple(str(part) for part in fault["loc"])
    name = ".".join(location)
    if fault["type"] == "extra_forbidden":
        known = _keys(location[:-1])
        near = difflib.get_close_matches(location[-1], known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
        return f"unknown key {name!r} ({hint})"
    if fault["type"] == "missing":
        return f"key {name!r} is missing"
    found = fault["input"]
    if fault["type"] == "literal_error":
        expected = fault["ctx"]["expected"]
        choices = expected.replace("'", "").replace(" or ", ", ").split(", ")
        near = difflib.get_close_matches(str(found), choices, n=1)
        return f"{name}: expected {expected}, found {found!r}" + (f" (did you mean {near[0]!r}?)" if near else "")
    expected = {"model_type": "keys and values", "invalid_key": "a name as key"}.get(fault["type"])
    expected = expected or fault["msg"].removeprefix("Input should be ")
    return f"{name}: expected {expected}, found {found!r}"


def _keys(location: tuple[str, ...]) -> list[str]:
    section: Any = Params
    for part in location:
        section = section.model_fields[part].annotation
    return list(section.model_fields)
