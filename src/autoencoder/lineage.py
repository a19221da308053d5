"""Where a state comes from: the commit, what was changed on top of it, and who started the run. Knows no MLflow."""

import getpass
import os
import platform
import subprocess
from importlib import metadata

CODE = ("src", "stages")


def commit() -> str | None:
    """The checked-out commit, or None outside a git repository."""
    return _git("rev-parse", "HEAD").strip() or None


def diff() -> str:
    """What differs from the commit in tracked files and what code is new, as a patch; empty for a clean tree.

    dvc.lock is left out: DVC is writing it while the pipeline runs, and it says what came out rather than what went in.
    Other new files cannot change a result, and nobody has said that they may leave this machine.
    """
    tracked = _git("diff", "HEAD", "--binary", "--", ".", ":!dvc.lock")
    new = _git("ls-files", "--others", "--exclude-standard", "-z", "--", *CODE).split("\0")
    return "".join([tracked, *(_git("diff", "--no-index", "--binary", os.devnull, path) for path in new if path)])


def started_by() -> str:
    """The command behind this process: `mlflow run`, `dvc exp run NAME`, `dvc repro`, or the tracker itself."""
    if "MLFLOW_RUN_ID" in os.environ:
        return "mlflow run"
    if name := os.environ.get("DVC_EXP_NAME"):
        return f"dvc exp run {name}"
    return "dvc repro" if "DVC_STAGE" in os.environ else "autoencoder track"


def versions() -> dict[str, str]:
    """The versions of Python, of this package, and of what trains and tracks."""
    packages = {name: metadata.version(name) for name in ("autoencoder", "torch", "dvc", "mlflow")}
    return {"python": platform.python_version()} | packages


def user() -> str:
    """The name of the account."""
    return getpass.getuser()


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=False).stdout
