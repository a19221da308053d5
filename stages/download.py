"""data.name → data/images.safetensors."""

import os

import click


@click.command()
def download() -> None:
    """Fetch, verify and unpack the images of data.name.

    AUTOENCODER_MIRROR (a directory or URL with the set's files) is asked before the public mirrors.
    """
    from autoencoder import params, paths

    name = params.load().data.name

    from autoencoder import checkpoints, datasets

    try:
        images = datasets.load(name, os.environ.get("AUTOENCODER_MIRROR"), paths.DOWNLOADS)
    except datasets.NoMirrorError:
        paths.NO_MIRROR.parent.mkdir(exist_ok=True)
        paths.NO_MIRROR.touch()
        raise
    checkpoints.save_images(images)
    sizes = {split: len(images[f"{split}_images"]) for split in ("train", "test")}
    click.echo(f"{name}: {sizes['train']:,} training and {sizes['test']:,} test images in {paths.IMAGES}")
