"""The registered models, one version per run, and the champions among them.

The alias `champion-NAME` belongs to the best model of the data set NAME, on the same images as the state that is
tracked. `champion` is that of the set that was tracked last.
"""

import re

from autoencoder.record.state import State
from autoencoder.tracking.client import entities
from autoencoder.tracking.store import ABSENT, EXISTS, Store, accepting

REGISTERED = "autoencoder"
CHAMPION = "champion"


def register(store: Store, run_id: str, state: State) -> None:
    """Register the run's model, and give the champions' aliases to the best: the lowest by `track.champion`.

    An alias that a person moved stays.
    """
    client = store.client
    if not client.search_registered_models(f"name = '{REGISTERED}'"):
        with accepting(EXISTS):
            client.create_registered_model(REGISTERED)
    if not registered_version(store, run_id) and (model := store.model(run_id)):
        there, given = _aliases(store)
        aliases = forget(store, run_id)
        new = client.create_model_version(REGISTERED, model.artifact_location, run_id, model_id=model.model_id)
        for alias in aliases:
            if alias in given and not _is_by_hand(alias, there, given):
                _give(store, alias, new.version)
            else:
                client.set_registered_model_alias(REGISTERED, alias, new.version)
    for alias, version in _due(store, state).items():
        _give(store, alias, version)


def registered_version(store: Store, run_id: str) -> str | None:
    """The number of the registered version of the run's model."""
    if not (model := store.model(run_id)):
        return None
    there = (str(v.version) for v in _versions(store, run_id) if v.source == model.artifact_location)
    return next(there, None)


def forget(store: Store, run_id: str) -> list[str]:
    """Delete all that is registered of the run; return the aliases that it had."""
    found = [str(version.version) for version in _versions(store, run_id)]
    aliases = [alias for alias, version in _aliases(store)[0].items() if version in found]
    for version in found:
        store.client.delete_model_version(REGISTERED, version)
    return aliases


def missing(store: Store, run_id: str, state: State) -> dict[str, str]:
    """What `register` would do for the run."""
    return _due(store, state) if registered_version(store, run_id) else {REGISTERED: "no version"}


def moved_by_hand(store: Store, state: State) -> list[str]:
    """A note for each alias that a person moved."""
    there, given = _aliases(store)
    return [
        f"{alias} stays at version {there[alias]}, where somebody moved it; delete the alias to have the best again"
        for alias in _names(state)
        if _is_by_hand(alias, there, given)
    ]


def _due(store: Store, state: State) -> dict[str, str]:
    """The aliases that are not where they belong, and the versions where they do."""
    there, given = _aliases(store)
    if not (best := _best(store, state, there.get(_names(state)[0]))):
        return {}
    names = [name for name in _names(state) if not _is_by_hand(name, there, given)]
    return {name: best for name in names if {there.get(name), given.get(name)} != {best}}


def _best(store: Store, state: State, present: str | None) -> str | None:
    """The version with the lowest figure of all whose runs are there, on the images of `state`.

    None is worse than `state` itself, nor than the version `present` if that is one of them: MLflow ranks few quickly.
    """
    data, figure = f"dataset.digest = '{state.data_md5}'", f"metrics.`{state.champion}`"
    bound = state.figures[state.champion]
    if present:
        run_id = str(store.client.get_model_version(REGISTERED, present).run_id)
        there = next(store.search(f"{data} AND attributes.run_id = '{run_id}'"), None)
        if there and registered_version(store, run_id):
            bound = min(bound, there.data.metrics.get(state.champion, bound))
    ranked = store.search(f"{data} AND {figure} <= {bound!r}", f"{figure} ASC")
    return next(filter(None, (registered_version(store, run.info.run_id) for run in ranked)), None)


def _names(state: State) -> tuple[str, str]:
    return f"{CHAMPION}-{re.sub(r'[^a-zA-Z0-9_-]', '-', state.params['data.name'])}", CHAMPION


def _give(store: Store, alias: str, version: str) -> None:
    """Move the alias to the version. A tag remembers it, whenever this is cut short: what differs is by hand."""
    before = _aliases(store)[0].get(alias, "")
    store.client.set_registered_model_tag(REGISTERED, f"autoencoder.{alias}", f"{before} {version}")
    store.client.set_registered_model_alias(REGISTERED, alias, version)
    store.client.set_registered_model_tag(REGISTERED, f"autoencoder.{alias}", version)


def _is_by_hand(alias: str, there: dict[str, str], given: dict[str, str]) -> bool:
    return alias in there and alias in given and there[alias] not in given[alias].split()


def _aliases(store: Store) -> tuple[dict[str, str], dict[str, str]]:
    """The version of every alias, and that to which this project moved it last."""
    with accepting(*ABSENT):
        model = store.client.get_registered_model(REGISTERED)
        given = {name.removeprefix("autoencoder."): text for name, text in model.tags.items()}
        return {alias: str(version) for alias, version in model.aliases.items()}, given
    return {}, {}


def _versions(store: Store, run_id: str) -> list[entities.model_registry.ModelVersion]:
    return list(store.client.search_model_versions(f"name = '{REGISTERED}' AND run_id = '{run_id}'"))
