"""data.name → data/images.safetensors."""

import os

import click

from autoencoder import checkpoints, datasets, params


@click.command()
def download() -> None:
    """Fetch, verify and unpack the images of data.name.

    AUTOENCODER_MIRROR (a directory or URL with the set's files) is asked before the public mirrors.
    """
    name = params.load().data.name
    images = datasets.load(name, os.environ.get("AUTOENCODER_MIRROR"))
    checkpoints.save_images(images)
    sizes = {split: len(images[f"{split}_images"]) for split in ("train", "test")}
    click.echo(f"{name}: {sizes['train']:,} training and {sizes['test']:,} test images in {checkpoints.IMAGES}")
