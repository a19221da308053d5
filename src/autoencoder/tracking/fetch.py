"""Files of a run, named by its id or by a registered model, from the MLflow store."""

from collections.abc import Sequence
from pathlib import Path

from autoencoder.errors import UserError
from autoencoder.tracking.client import MlflowException
from autoencoder.tracking.store import Store

PREFIX = "models:/"


def fetch(store: Store, source: str, files: Sequence[Path], folder: Path) -> list[Path]:
    """Copy `files` of the run `source`, an id, `models:/NAME@ALIAS` or `models:/NAME/VERSION`, into `folder`.

    Return where they are. Raises UserError if there is no such run or it has not all of them.
    """
    with store.errors():
        run_id = _run_of_model(store, source) if source.startswith(PREFIX) else source
        if not store.run(run_id):
            raise UserError(
                f"{source}: expected a file, the id of a run or {PREFIX}NAME@ALIAS; MLflow store {store.uri} has none"
            )
        try:
            return [Path(store.client.download_artifacts(run_id, str(file), str(folder))) for file in files]
        except (MlflowException, OSError):
            names = " and ".join(map(str, files))
            raise UserError(
                f"run {run_id}: expected {names} in it, not found: the run is of an earlier version, or not finished; "
                "dvc repro, or autoencoder track"
            ) from None


def _run_of_model(store: Store, source: str) -> str:
    name, at, alias = source.removeprefix(PREFIX).partition("@")
    if at:
        return str(store.client.get_model_version_by_alias(name, alias).run_id)
    name, _, version = name.partition("/")
    return str(store.client.get_model_version(name, version).run_id)
