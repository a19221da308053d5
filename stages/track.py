"""All that the other stages put out → the MLflow store, and mlruns/tracked."""

from dataclasses import asdict

import click


@click.command()
def track() -> None:
    """Make MLflow hold one run with the results of this state; what is there already is left alone."""
    from autoencoder import params, paths
    from autoencoder.files import write_json
    from autoencoder.record import lock
    from autoencoder.tracking.reconcile import reconcile
    from autoencoder.tracking.store import ReadOnlyError

    params.load()  # raises the error of a wrong params.yaml
    try:
        click.echo(reconcile())
    except ReadOnlyError as error:  # a colleague who may only look can run the pipeline
        click.echo(f"note: {error}", err=True)
    others = {name: asdict(stage) for name, stage in sorted(lock.recorded().items()) if name != "track"}
    write_json(paths.TRACKED, others)
