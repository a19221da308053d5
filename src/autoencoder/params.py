"""params.yaml as frozen, typed values. An unknown key, a wrong type or a value out of range is one clear line."""

import difflib
import re
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from autoencoder import paths
from autoencoder.errors import UserError
from autoencoder.files import read_yaml

# Keys of earlier versions, and why they are gone.
GONE = {
    "runtime.numerics": "there is one way of computing, with the same bytes everywhere and as fast as the other was"
}

PositiveInt = Annotated[int, Field(ge=1, lt=2**31)]


class Section(BaseModel):
    """Immutable, and strict: a number in quotes is not a number, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


S = TypeVar("S", bound=Section)


class Data(Section):
    """Which images: the name of a folder of data/sets, and the fraction held out of training for `validation`.

    The other keys are for folders of pictures, see `data.pictures`: `image_size` are the pixels of an edge, and
    `channels` 1 (grey) or 3; None takes them from the pictures.
    """

    name: Annotated[str, Field(pattern=r"^[^/\\.][^/\\]*$")]
    validation: Annotated[float, Field(ge=0, lt=1)]
    image_size: Annotated[int, Field(ge=1, le=4096)] | None
    channels: Literal[1, 3] | None
    test_fraction: Annotated[float, Field(gt=0, lt=1)]


class Model(Section):
    """Which networks, and the length of the code; `models.networks` names the keys that each of them uses."""

    name: Literal["linear", "mlp", "convolutional"]
    code_dimensions: PositiveInt
    hidden: list[PositiveInt]
    channels: list[PositiveInt]
    activation: Literal["relu", "gelu", "tanh", "sigmoid"]


class Corruption(Section):
    """What is done to an image before it is encoded: see `training.corruption`."""

    name: Literal["none", "gaussian", "masking", "salt_and_pepper"]
    level: Annotated[float, Field(ge=0, le=1e3)]


class Constraint(Section):
    """What is asked of the code: see `models.constraint`."""

    name: Literal["none", "l1", "top_k", "contractive", "variational"]
    strength: Annotated[float, Field(gt=0, le=1e9)]
    active: PositiveInt


class Train(Section):
    """How the weights are found; `log_every` counts batches."""

    loss: Literal["mse", "bce"]
    epochs: PositiveInt
    batch_size: PositiveInt
    optimizer: Literal["sgd", "adam"]
    learning_rate: Annotated[float, Field(gt=0, le=1e9)]  # far beyond sense, and finite as float32
    momentum: Annotated[float, Field(ge=0, lt=1)]
    weight_decay: Annotated[float, Field(ge=0, le=1e9)]
    log_every: PositiveInt


class Evaluate(Section):
    """Images per forward pass, on which no metric depends beyond rounding; how many `neighbours` vote on a class."""

    batch_size: PositiveInt
    neighbours: PositiveInt


class Render(Section):
    """Columns of figures/reconstructions.png."""

    examples: Annotated[int, Field(ge=1, le=100)]


class Track(Section):
    """The figure by which the champion is chosen among the registered models of a dataset: the lowest."""

    champion: Literal[
        "test/final_mse",
        "test/ratio_to_optimum",
        "train/final_mse",
        "validation/final_mse",
        "validation/ratio_to_optimum",
    ]


class Runtime(Section):
    """Where and how the numbers are computed: see `numerics`."""

    device: Literal["auto", "cpu", "cuda", "mps"]
    threads: Annotated[int, Field(ge=1, le=1024)]


class Params(Section):
    """The whole of params.yaml."""

    seed: Annotated[int, Field(ge=0, lt=2**63)]
    data: Data
    model: Model
    corruption: Corruption
    constraint: Constraint
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
    return _consistent(validated(Params, read_yaml(path, remedy=f"`git checkout {path}` brings it back"), path), path)


def check(values: dict[str, Any]) -> Params:
    """The nested `values` of params.yaml as params. Raises UserError with every fault on one line."""
    return _consistent(validated(Params, values, paths.PARAMS), paths.PARAMS)


def _consistent(params: Params, path: Path) -> Params:
    """The `params`. Raises UserError where one key contradicts another that uses it."""
    constraint, corruption, champion = params.constraint, params.corruption, params.track.champion
    faults = []
    if constraint.name == "top_k" and constraint.active >= params.model.code_dimensions:
        faults.append(
            "constraint.active: expected fewer active numbers than the code has, "
            f"{params.model.code_dimensions} (model.code_dimensions), found {constraint.active}"
        )
    if corruption.name in ("masking", "salt_and_pepper") and corruption.level > 1:
        faults.append(f"corruption.level: expected a probability for {corruption.name}, found {corruption.level}")
    if champion.startswith("validation/") and not params.data.validation:
        faults.append(f"track.champion: expected data.validation above 0 for {champion!r}, found 0")
    if faults:
        raise UserError(f"{path}: {'; '.join(faults)}")
    return params


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
    if name in GONE:
        return f"{name}: remove it; {GONE[name]}"
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
    expected = expected or re.sub("^(Input should be|List should have) | after validation.*", "", fault["msg"])
    expected = expected.replace("String should match pattern", "text that matches")
    return f"{name}: expected {expected}, found {found!r}"


def _keys(kind: Any, location: tuple[str, ...]) -> list[str]:
    for part in location:
        annotation = kind.model_fields[part].annotation
        kind = next(one for one in (annotation, *get_args(annotation)) if hasattr(one, "model_fields"))
    return list(kind.model_fields)
