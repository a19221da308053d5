"""dvc.yaml and dvc.lock: the stages of the pipeline, and the hashes of what they read and wrote."""

import hashlib
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from autoencoder import paths
from autoencoder.errors import UserError
from autoencoder.files import md5, read_yaml

REMEDY = f"git checkout {paths.LOCK}, or dvc repro without it"  # DVC refuses one with a conflict of git's, too


@dataclass(frozen=True)
class Stage:
    """A stage by what DVC hashes: its command, the MD5 of each dependency and output by path, its params by name."""

    cmd: str
    deps: dict[str, str]
    params: dict[str, Any]
    outs: dict[str, str] = field(default_factory=dict)

    @property
    def code(self) -> str:
        """SHA-256, in hexadecimal, of the stage's command and modules, whatever its data and params are."""
        modules = {path: md5 for path, md5 in self.deps.items() if path.endswith(".py")}
        return hashlib.sha256(json.dumps([self.cmd, modules], sort_keys=True).encode()).hexdigest()

    @property
    def key(self) -> str:
        """SHA-256, in hexadecimal, of all that goes into the stage: command, dependencies and params."""
        return self._key(flatten(self.params))

    @property
    def beginning(self) -> str:
        """`key` without the number of epochs: a longer training begins with the very steps of a shorter one."""
        return self._key({name: value for name, value in flatten(self.params).items() if name != "train.epochs"})

    def _key(self, params: dict[str, Any]) -> str:
        params = {name: float(value) if type(value) is int else value for name, value in params.items()}
        inputs = {"cmd": self.cmd, "deps": self.deps, "params": params}  # 0 is 0.0, as for DVC
        return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def recorded(lock: str | None = None) -> dict[str, Stage]:
    """The stages of dvc.lock, or of its text `lock`, by name: what was run last and what came of it.

    Raises UserError if there is no dvc.lock, or it is not one.
    """
    stages = read_yaml(paths.LOCK, lock, remedy=REMEDY).get("stages", {})
    try:
        return {
            name: Stage(
                stage["cmd"],
                {dep["path"]: str(dep["md5"]) for dep in stage.get("deps", [])},
                stage.get("params", {}).get(str(paths.PARAMS), {}),
                {out["path"]: str(out["md5"]) for out in stage.get("outs", [])},
            )
            for name, stage in stages.items()
        }
    except (AttributeError, KeyError, TypeError):
        raise UserError(
            f"{paths.LOCK}: expected command, deps, params and outs of every stage, found a damaged file; "
            f"git checkout {paths.LOCK}"
        ) from None


def current(name: str) -> Stage:
    """Stage `name` of dvc.yaml with the files and params of the workspace as they are, and no outputs.

    After `dvc repro` its key is that of `recorded()[name]`; a running stage can compute it before DVC records it.
    Raises UserError if a dependency or a param is missing.
    """
    stage = read_yaml(paths.PIPELINE, remedy=f"git checkout {paths.PIPELINE}")["stages"][name]
    params = read_yaml(paths.PARAMS, remedy=f"git checkout {paths.PARAMS}")
    try:
        return Stage(
            stage["cmd"],
            {path: md5(Path(path)) for path in stage["deps"]},
            {param: params[param] for param in stage.get("params", [])},
        )
    except FileNotFoundError as error:
        raise UserError(f"{error.filename}: not found, and stage {name} depends on it; dvc repro") from None
    except KeyError as error:
        raise UserError(f"{paths.PARAMS}: key {error} is missing; git checkout {paths.PARAMS}") from None


def put(params: dict[str, Any], name: str, value: Any) -> None:
    """Set the dotted `name` in the nested `params`. Raises UserError if one of its sections is a value."""
    *sections, key = name.split(".")
    for section in sections:
        params = params.setdefault(section, {})
        if not isinstance(params, dict):
            raise UserError(f"{paths.PARAMS}: unknown key {name!r} ({section!r} is a value)")
    params[key] = value


def flatten(params: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"seed": 42, "train.epochs": 20, …}` of nested params: the dotted names that DVC and MLflow use."""
    flat: dict[str, Any] = {}
    for name, value in params.items():
        flat |= flatten(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def params(stages: dict[str, Stage]) -> dict[str, Any]:
    """The params with which `stages` were recorded, by dotted names."""
    return flatten({name: value for stage in stages.values() for name, value in stage.params.items()})


def stale(stages: dict[str, Stage]) -> set[str]:
    """The names of the recorded `stages` that read another content than the recorded output of the stage that wrote it.

    After `dvc repro evaluate`, for example, the figures of an earlier model are still on record.
    """
    written = {path: md5 for stage in stages.values() for path, md5 in stage.outs.items()}
    return {
        name for name, stage in stages.items() if any(written.get(path, md5) != md5 for path, md5 in stage.deps.items())
    }


def lock_without(names: set[str]) -> str:
    """The text of dvc.lock without the stages `names`."""
    lock = read_yaml(paths.LOCK, remedy=REMEDY)
    lock["stages"] = {name: stage for name, stage in lock["stages"].items() if name not in names}
    text = io.StringIO()
    YAML(typ="safe", pure=True).dump(lock, text)
    return text.getvalue()
