"""The console script `autoencoder`: what is no stage."""

import click

from autoencoder.entry import Group


@click.group(cls=Group)
@click.version_option(package_name="autoencoder")
def main() -> None:
    """Commands beside the pipeline, which `dvc repro` runs."""
