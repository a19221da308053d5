"""The registered models, one version per run, and the champion among them."""

import math

from autoencoder.record.state import State
from autoencoder.tracking.client import ModelVersion
from autoencoder.tracking.store import Store, made_meanwhile

REGISTERED = "autoencoder"
CHAMPION = "champion"


def register(store: Store, run_id: str, state: State) -> None:
    """Register the run's model, and make it the champion if no model of the same data set is better.

    The figure that `track.champion` names decides: the lowest is the best.
    """
    (model_id, *_) = store.models(run_id)
    client = store.client
    if not client.search_registered_models(f"name = '{REGISTERED}'"):
        with made_meanwhile():
            client.create_registered_model(REGISTERED)
    registered = registered_version(store, run_id) or client.create_model_version(
        REGISTERED, client.get_logged_model(model_id).artifact_location, run_id, model_id=model_id
    )
    aliases = client.get_registered_model(REGISTERED).aliases
    if CHAMPION not in aliases or _beats(store, state, aliases[CHAMPION]):
        client.set_registered_model_alias(REGISTERED, CHAMPION, registered.version)


def registered_version(store: Store, run_id: str) -> ModelVersion | None:
    """The registered version of the run's model."""
    versions = store.client.search_model_versions(f"name = '{REGISTERED}' AND run_id = '{run_id}'")
    return next(iter(versions), None)


def _beats(store: Store, state: State, champion: str) -> bool:
    """Whether `state` is better than the champion's version, on the same data."""
    version = store.client.get_model_version(REGISTERED, champion)
    run = store.run(str(version.run_id))
    if not run or run.info.lifecycle_stage != "active":
        return True
    data = [dataset.dataset.digest for dataset in run.inputs.dataset_inputs] if run.inputs else []
    metric = state.champion
    return state.data_md5 in data and state.figures[metric] < run.data.metrics.get(metric, math.inf)
