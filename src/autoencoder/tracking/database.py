"""The SQLite database of the store as a file: whether it is one, and the folder that it names. Knows no MLflow.

MLflow keeps the absolute path of the repository in the locations of artifacts.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

from autoencoder.errors import UserError
from autoencoder.tracking import server

ARTIFACTS = "mlruns"  # the folder of artifacts, beside the database
LOCATIONS = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "model_versions": ("source", "storage_location"),
}


def check() -> None:
    """Let the repository's own database name the folder that it is in, wherever the repository was before.

    Raises UserError if the store is a file that is no whole database.
    """
    uri = server.uri()
    path = Path(uri.removeprefix("sqlite:///")).absolute()
    if not uri.startswith("sqlite:///") or not path.exists():
        return
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=60)) as database, database:
            _follow(database, path.parent)
    except sqlite3.Error as error:
        if error.sqlite_errorname.startswith("SQLITE_READONLY"):
            return
        raise UserError(
            f"{path}: expected MLflow's database, found {error}; move it away, and `autoencoder track --all` makes a "
            "new one of what git and DVC hold"
        ) from None


def _follow(database: sqlite3.Connection, folder: Path) -> None:
    (first,) = database.execute("SELECT artifact_location FROM experiments ORDER BY experiment_id LIMIT 1").fetchone()
    before, found, _ = unquote(urlsplit(first).path).rpartition(f"/{ARTIFACTS}")
    if not found or Path(before) == folder or "MLFLOW_TRACKING_URI" in os.environ:
        return
    for table, columns in LOCATIONS.items():
        for column in columns:
            for old, new in ((before, str(folder)), (Path(before).as_uri(), folder.as_uri())):
                database.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",  # noqa: S608 (names of this file)
                    (new, len(old) + 1, len(old) + 1, f"{old}/"),
                )
