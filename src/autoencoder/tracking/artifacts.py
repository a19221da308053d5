"""The files that MLflow keeps for a run or a model."""

import tempfile
from contextlib import suppress
from pathlib import Path

from autoencoder.files import md5
from autoencoder.record import content
from autoencoder.tracking.client import MlflowException, get_artifact_repository
from autoencoder.tracking.store import Store


def hashes(store: Store, location: str) -> dict[str, str]:
    """The MD5 of every file below the artifact location that can be read, by name as in `figures/code.png`."""
    with tempfile.TemporaryDirectory() as folder:
        with suppress(MlflowException):  # some of the files cannot be read
            get_artifact_repository(location, store.uri).download_artifacts("", folder)
        return hashes_of_folder(Path(folder))


def hashes_of_folder(folder: Path) -> dict[str, str]:
    """The MD5 of every file below `folder`, by name."""
    return {file.relative_to(folder).as_posix(): md5(file) for file in folder.rglob("*") if file.is_file()}


def put(store: Store, run_id: str, contents: dict[str, bytes | None]) -> None:
    """Log files with these `contents`, by name, to the run; None removes the file of that name."""
    removed = [name for name, text in contents.items() if text is None]
    with tempfile.TemporaryDirectory() as folder:
        for name, text in contents.items():
            if text is not None:
                content.write(Path(folder, name), text)
        if len(removed) < len(contents):
            store.client.log_artifacts(run_id, folder)
    for name in removed:
        get_artifact_repository(store.client.get_run(run_id).info.artifact_uri, store.uri).delete_artifacts(name)
