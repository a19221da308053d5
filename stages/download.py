"""data.name → data/images.safetensors."""

import os
from pathlib import Path

import click

KEPT = Path(".autoencoder/downloads")  # what was verified once is not fetched again when an edit makes DVC ask for it
OFFLINE = Path(".autoencoder/no-mirror")  # tells `make` that no address could be reached, and nothing else went wrong


@click.command()
def download() -> None:
    """Fetch, verify and unpack the images of data.name.

    AUTOENCODER_MIRROR (a directory or URL with the set's files) is asked before the public mirrors.
    """
    from autoencoder import params

    name = params.load().data.name

    from autoencoder import checkpoints, datasets

    try:
        images = datasets.load(name, os.environ.get("AUTOENCODER_MIRROR"), KEPT)
    except datasets.NoMirrorError:
        OFFLINE.parent.mkdir(exist_ok=True)
        OFFLINE.touch()
        raise
    checkpoints.save_images(images)
    sizes = {split: len(images[f"{split}_images"]) for split in ("train", "test")}
    click.echo(f"{name}: {sizes['train']:,} training and {sizes['test']:,} test images in {checkpoints.IMAGES}")
