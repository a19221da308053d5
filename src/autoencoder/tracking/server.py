"""Where the MLflow store is, its SQLite database as a file, and MLflow's own server on it. Knows no mlflow."""

import os
import socket
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

from autoencoder.errors import UserError

LOOPBACK = ("127.0.0.1", "localhost")
AUTHENTICATION = ("MLFLOW_AUTH_ADMIN_PASSWORD", "MLFLOW_FLASK_SERVER_SECRET_KEY")

# By default MLflow starts four servers and eight processes for jobs of language models, and each of them imports all of
# MLflow. Without the jobs the page is there sooner. The caller's values win.
ENVIRONMENT = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}

SQLITE = "sqlite:///"
ARTIFACTS = "mlruns"  # the folder of artifacts, beside the database
LOCATIONS = (  # the columns in which MLflow keeps the absolute place of artifacts
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def root() -> Path:
    """The repository whose state is tracked: DVC's, also in the copy of it that a DVC experiment runs in."""
    return Path(os.environ.get("DVC_ROOT", ".")).resolve()


def uri() -> str:
    """The store that MLFLOW_TRACKING_URI names, by default `mlflow.db` in the repository's root.

    Raises UserError for a root in whose place MLflow would make its database, or a folder, elsewhere.
    """
    if given := os.environ.get("MLFLOW_TRACKING_URI"):
        return given
    name = str(root())
    if {"?", "%", "\n"} & set(name) or {"'", '"'} <= set(name) or name != name.encode("utf-8", "ignore").decode():
        raise UserError(
            f"{name!r}: expected a path in UTF-8 without ?, %, line ends and both kinds of quotes, where MLflow can "
            "keep its database; rename the folder, or set MLFLOW_TRACKING_URI"
        )
    return f"{SQLITE}{root() / 'mlflow.db'}"


def database() -> Path | None:
    """The file of the store, if the store is an SQLite database."""
    return Path(uri().removeprefix(SQLITE)).absolute() if uri().startswith(SQLITE) else None


def check_database() -> None:
    """Let the repository's own database name the folder that it is in, wherever the repository was before.

    Raises UserError if the store is a file that is no whole database.
    """
    path = database()
    if not path or not path.exists():
        return
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=60)) as connection, connection:
            _follow(connection, path.parent)
    except sqlite3.Error as error:
        if error.sqlite_errorname.startswith("SQLITE_READONLY"):
            return
        raise UserError(
            f"{path}: expected MLflow's database, found {error}; move it away, and `autoencoder track --all` makes a "
            "new one of what git and DVC hold"
        ) from None


def _follow(connection: sqlite3.Connection, folder: Path) -> None:
    """Replace the folder in which the database was made by `folder`, wherever the database names it."""
    (first,) = connection.execute("SELECT artifact_location FROM experiments ORDER BY experiment_id LIMIT 1").fetchone()
    path = unquote(urlsplit(first).path) if first.startswith("file:") else first
    before, found, _ = path.rpartition(f"/{ARTIFACTS}")
    if not found or Path(before) == folder or "MLFLOW_TRACKING_URI" in os.environ:
        return
    for table, column in LOCATIONS:
        for old, new in ((before, str(folder)), (Path(before).as_uri(), folder.as_uri())):
            connection.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",  # noqa: S608 (names of this file)
                (new, len(old) + 1, len(old) + 1, f"{old}/"),
            )


def check_free(host: str, port: int) -> None:
    """Raise UserError if no server can listen there; MLflow would print ten lines, and exit with status 0."""
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        raise UserError(
            f"--host {host} --port {port}: expected a free address, found {error}; try another port"
        ) from None


def command(host: str, port: int) -> tuple[list[str], dict[str, str]]:
    """The arguments and environment of MLflow's server on the store. It answers requests for its own names alone.

    Raises UserError outside a repository, if the store is a server itself, or if `host` can be reached by others and no
    password is set.
    """
    if not (root() / "dvc.yaml").exists():
        raise UserError(f"dvc.yaml: not found in {root()}; run from the repository's root")
    if uri().startswith("http"):
        raise UserError(f"MLFLOW_TRACKING_URI is a server: open {uri()} in a browser")
    arguments = [sys.executable, "-m", "mlflow", "server", "--host", host, "--port", str(port), "--workers", "1"]
    if host not in LOOPBACK:
        if missing := [name for name in AUTHENTICATION if not os.environ.get(name)]:
            raise UserError(
                f"--host {host}: others can reach it, so a password is needed; set {' and '.join(missing)}, or leave "
                f"--host at {LOOPBACK[0]}"
            )
        arguments += ["--app-name", "basic-auth"]
    names = [f"{name}{suffix}" for name in (*LOOPBACK, host) for suffix in ("", ":*")]
    defaults = ENVIRONMENT | {"MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(names)}
    # The address of the store may hold a password, and everybody on this machine can read a process's arguments.
    return arguments, defaults | os.environ | {"MLFLOW_BACKEND_STORE_URI": uri()}
