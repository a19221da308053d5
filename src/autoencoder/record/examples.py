"""Experiments worth a look: examples/*.yaml, each with a sentence in its first lines, run by DVC."""

import json
from pathlib import Path
from typing import Any

from autoencoder import article, paths
from autoencoder.errors import UserError
from autoencoder.files import read_yaml
from autoencoder.record.lock import flatten


def names() -> list[str]:
    """The examples of the workspace."""
    return sorted(path.stem for path in paths.EXAMPLES.glob("*.yaml"))


def path(name: str) -> Path:
    """The file of an example. Raises UserError if there is none."""
    if name not in names():
        raise UserError(f"{paths.EXAMPLES}: expected one of {', '.join(names())}, found {name!r}")
    return paths.EXAMPLES / f"{name}.yaml"


def about(name: str) -> str:
    """What to look at: the comment on top of the file."""
    lines = path(name).read_text().splitlines()
    return " ".join(line.removeprefix("# ") for line in lines if line.startswith("#"))


def params(name: str) -> dict[str, Any]:
    """All that defines the example's state, by dotted names: its own params, else the article's.

    What params.yaml holds does not count, but for `runtime`, which is the machine's.
    """
    own = flatten(read_yaml(path(name), remedy=f"git checkout {path(name)}"))
    return {key: own.get(key, value) for key, value in article.PARAMS.items() if not key.startswith("runtime.")}


def command(name: str) -> list[str]:
    """The arguments of DVC for the experiment of this name, which leaves the workspace as it is."""
    edits = [f"{key}={json.dumps(value)}" for key, value in params(name).items()]
    return ["exp", "run", "--name", name, *(argument for edit in edits for argument in ("--set-param", edit))]
