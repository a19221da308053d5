"""The files that MLflow keeps for a run or a model: what they hold, and how they are written and removed."""

import hashlib
import tempfile
from pathlib import Path

from autoencoder.files import md5
from autoencoder.tracking.client import LocalArtifactRepository, MlflowException, get_artifact_repository
from autoencoder.tracking.store import Store

Contents = dict[str, bytes]  # by name, as in `figures/code.png`


def md5_of(content: bytes) -> str:
    """The MD5 of `content`, in hexadecimal."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def hashes(store: Store, location: str) -> dict[str, str]:
    """The MD5 of every file below the artifact location, by name; those of a server are downloaded."""
    repository = get_artifact_repository(location, store.uri)
    if isinstance(repository, LocalArtifactRepository):
        return _hashes(Path(repository.artifact_dir))
    with tempfile.TemporaryDirectory() as folder:
        try:
            return _hashes(Path(repository.download_artifacts("", folder)))
        except MlflowException:  # some of the files cannot be read
            return _hashes(Path(folder))


def _hashes(folder: Path) -> dict[str, str]:
    return {file.relative_to(folder).as_posix(): md5(file) for file in folder.rglob("*") if file.is_file()}


def write(store: Store, run_id: str, contents: Contents) -> None:
    """Log every file of `contents` to the run."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in contents.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            parent = Path(name).parent.as_posix()
            store.client.log_artifact(run_id, str(path), None if parent == "." else parent)


def remove(store: Store, location: str, name: str) -> None:
    """Remove the file `name` below the artifact location."""
    get_artifact_repository(location, store.uri).delete_artifacts(name)
