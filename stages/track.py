"""All that the other stages put out → the MLflow store."""

import click


@click.command()
def track() -> None:
    """Make MLflow hold one run with the results of this state; what is there already is left alone."""
    from autoencoder import state, tracking

    run = tracking.Store().mirror(state.read())
    click.echo(f"MLflow run {run.info.run_name!r} ({run.info.run_id}) holds this state")
