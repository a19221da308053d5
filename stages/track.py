"""All that the other stages put out → the MLflow store."""

import click


@click.command()
def track() -> None:
    """Make MLflow hold one run with the results of this state; what is there already is left alone."""
    from autoencoder import follower, journal, state, tracking

    recorded, store = state.read(), tracking.Store()
    left = journal.path(recorded.key)
    if left.exists():
        follower.replay(store, left)
    run = store.mirror(recorded)
    if other := run.data.tags.get(tracking.DIFFERS):
        click.echo(f"warning: training this state again gave another model; compare with run {other}", err=True)
    click.echo(f"MLflow run {run.info.run_name!r} ({run.info.run_id}) holds this state")
