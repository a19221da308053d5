"""Gives the store what the workspace's record, journals that were left, and git and DVC hold."""

from collections.abc import Iterator
from contextlib import chdir, suppress
from pathlib import Path

from autoencoder.errors import UserError
from autoencoder.record import history, state
from autoencoder.tracking import export, journal, live, tags
from autoencoder.tracking.mirror import Tracked, mirror
from autoencoder.tracking.store import Store


def reconcile(store: Store | None = None) -> Tracked:
    """Give the store all that the workspace's record holds, and the journals that no follower carried to it.

    Raises UserError if params.yaml is wrong, something of the record is missing, or the store cannot be reached.
    """
    store = store or Store()
    with export.begun() as exported:
        recorded = state.read()
        carry_left(store)
        return mirror(store, recorded, exported)


def reconcile_all() -> Iterator[tuple[str, UserError | None]]:
    """Give the store every state that git and DVC hold; yield each commit, with the reason if it could not be tracked.

    Of several commits with one state the newest counts. The reason is a `history.GoneError` if the outputs are nowhere.
    """
    store, commits = Store(), history.states()
    history.fetch(commits)
    searches = history.searches(commits)
    for commit in commits:
        try:
            with history.checked_out(commit) as folder, chdir(folder):
                _label(store, reconcile(store), searches.get(commit, []))
            yield commit, None
        except UserError as error:
            yield commit, error


def _label(store: Store, tracked: Tracked, searched: list[str]) -> None:
    """Tag the run of a state with each sweep that it belongs to, and its name there."""
    with store.errors():
        for name in searched:
            store.client.set_tag(tracked.run_id, f"{tags.SWEEP}{name.rpartition('-')[0]}", name)


def carry(store: Store, path: Path) -> None:
    """Carry the journal at `path` to the store, to its end, and remove it.

    Raises UserError if MLflow cannot be reached; the journal stays then.
    """
    with path.open("rb") as file:
        live.replay(store, journal.entries(file))
    path.unlink(missing_ok=True)
    Path(f"{path}.log").unlink(missing_ok=True)  # what its follower printed; see `journal`


def carry_left(store: Store) -> None:
    """Carry the journals of trainings that are over, and that no follower has carried to the store."""
    for path in journal.left():
        with suppress(FileNotFoundError):  # a follower has just carried it
            with path.open("rb") as file:
                over = not journal.alive(file)
            if over:
                carry(store, path)
