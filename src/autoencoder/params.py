"""params.yaml as frozen, typed values. An unknown key, a wrong type or a value out of range is one clear line."""

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from autoencoder import paths
from autoencoder.errors import UserError
from autoencoder.files import read_yaml

PositiveInt = Annotated[int, Field(ge=1, lt=2**31)]


class Section(BaseModel):
    """Immutable, and strict: a number in quotes is not a number, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


S = TypeVar("S", bound=Section)


def _name_of_a_folder(name: str) -> str:
    if name.startswith(".") or {"/", "\\"} & {*name} or not name:
        raise ValueError(f"the name of a folder of {paths.SETS}")
    return name


class Data(Section):
    """Which images: the name of a folder of data/sets. The other keys are for folders of pictures: see `data.pictures`.

    `image_size` are the pixels of an edge, and `channels` 1 (grey) or 3; None takes them from the pictures.
    """

    name: Annotated[str, AfterValidator(_name_of_a_folder)]
    image_size: Annotated[int, Field(ge=1, le=4096)] | None
    channels: Literal[1, 3] | None
    test_fraction: Annotated[float, Field(gt=0, lt=1)]


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
    return validated(Params, read_yaml(path, remedy=f"`git checkout {path}` brings it back"), path)


def check(values: dict[str, Any]) -> Params:
    """The nested `values` of params.yaml as params. Raises UserError with every fault on one line."""
    return validated(Params, values, paths.PARAMS)


def validated(kind: type[S], values: dict[str, Any], path: Path) -> S:
    """The nested `values` of the file `path` as a `kind`. Raises UserError with every fault on one line."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        faults = "; ".join(_describe(kind, dict(fault)) for fault in error.errors())
        raise UserError(f"{path}: {faults}") from None


def _describe(kind: type[Section], fault: dict[str, Any]) -> str:
    location: tuple[str, ...] = tuple(str(part) for part in fault["loc"])
    name = ".".join(location)
    if fault["type"] == "extra_forbidden":
        known = _keys(kind, location[:-1])
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
    expected = expected or fault["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return f"{name}: expected {expected}, found {found!r}"


def _keys(kind: Any, location: tuple[str, ...]) -> list[str]:
    for part in location:
        kind = kind.model_fields[part].annotation if hasattr(kind, "model_fields") else get_args(kind)[1]
    return list(kind.model_fields)
