"""All that the other stages put out → the MLflow store."""

import click


@click.command()
def track() -> None:
    """Make MLflow hold one run with the results of this state; what is there already is left alone."""
    from autoencoder import params

    champion = params.load().track.champion

    from autoencoder import follower, tracking

    run = follower.reconcile(tracking.Store(), champion)
    click.echo(f"MLflow run {run.name!r} holds this state: {run.link}")
    if run.differs_from:
        click.echo(f"warning: another training of this state gave another model: run {run.differs_from}", err=True)
