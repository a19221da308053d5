"""The console script `autoencoder`: what is no stage."""

import click

from autoencoder.entry import Group


@click.group(cls=Group)
@click.version_option(package_name="autoencoder")
def main() -> None:
    """Commands beside the pipeline, which `dvc repro` runs."""


@main.command()
def track() -> None:
    """Make the MLflow store say what the workspace's results say, whatever happened to it before."""
    from autoencoder import follower, params, tracking

    run = follower.reconcile(tracking.Store(), params.load().track.champion)
    click.echo(f"MLflow run {run.name!r} holds this state: {run.link}")


@main.command()
def which_run() -> None:
    """Print the MLflow run of the workspace's state, its link, and what it lacks. Exit status 1 if it is not whole."""
    from autoencoder import state, tracking

    run, missing = tracking.Store().which(state.read())
    if not run:
        raise click.ClickException("no MLflow run holds this state; autoencoder track")
    click.echo(f"{run.run_id} {run.name!r}\n{run.link}")
    if missing:
        raise click.ClickException(f"the run lacks {', '.join(missing)}; autoencoder track")
