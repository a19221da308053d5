"""Where a state comes from: the commit, what was changed on top of it, and who started the run. Knows no MLflow."""

import os
import platform
from dataclasses import dataclass
from importlib import metadata

from autoencoder import paths
from autoencoder.errors import without_passwords
from autoencoder.files import sha256
from autoencoder.record.git import output

# A patch that `git apply` understands, whatever the user's configuration makes of `git diff`.
CONFIGURATION = ("-c", "diff.noprefix=false", "-c", "diff.mnemonicPrefix=false")
DIFF = (*CONFIGURATION, "diff", "--binary", "--no-color", "--no-ext-diff")


@dataclass(frozen=True)
class Origin:
    """What a run has recorded of where its results come from: all that brings them back."""

    commit: str
    diff: bytes  # the patch on top, empty for a clean tree
    params: bytes  # params.yaml
    lock: bytes  # dvc.lock
    model_md5: str
    facts: dict[str, str]  # the machine (see `numerics`) and the versions of training


@dataclass(frozen=True)
class Source:
    """From which code a process works, and who started it."""

    commit: str | None  # None outside a git repository
    diff: str  # the bytes of the patch on top as Latin-1, for they may have any encoding, without passwords
    started_by: str
    packages: dict[str, str]
    mlflow_run: str | None  # the id of the run that `mlflow run` began


def source() -> Source:
    """The source of what this process does now."""
    patch = without_passwords(diff().decode("latin-1"))
    return Source(commit(), patch, started_by(), packages(), os.environ.get("MLFLOW_RUN_ID"))


def commit() -> str | None:
    """The checked-out commit, or None outside a git repository."""
    return output("rev-parse", "HEAD").decode().strip() or None


def diff() -> bytes:
    """What differs from the commit in tracked files and what code is new, as a patch; empty for a clean tree.

    The patch is bytes, because text files may have any encoding and line ends, and the patch must apply again. dvc.lock
    is left out: DVC writes it while the pipeline runs, and it records results, not causes. Other new files are left out
    as well: they cannot change a result, and may be private.
    """
    tracked = output(*DIFF, "HEAD", "--", ".", ":!dvc.lock")
    new = output("ls-files", "--others", "--exclude-standard", "-z", "--", *paths.CODE).split(b"\0")
    return b"".join([tracked, *(output(*DIFF, "--no-index", os.devnull, os.fsdecode(path)) for path in new if path)])


def started_by() -> str:
    """The command behind this process: `mlflow run`, `dvc exp run NAME`, `dvc repro`; else the user typed it."""
    if "MLFLOW_RUN_ID" in os.environ:
        return "mlflow run"
    if name := os.environ.get("DVC_EXP_NAME"):
        return f"dvc exp run {name}"
    return "dvc repro" if "DVC_STAGE" in os.environ else "by hand"


def versions() -> dict[str, str]:
    """The versions of Python, DVC and MLflow. That of torch is among the facts of the machine."""
    return {"python": platform.python_version(), "dvc": metadata.version("dvc"), "mlflow": metadata.version("mlflow")}


def packages() -> dict[str, str]:
    """The hash of requirements.lock, which pins the version of every package, if there is one."""
    return {"requirements_lock": sha256(paths.REQUIREMENTS)} if paths.REQUIREMENTS.exists() else {}
