"""data/sets/NAME → data/images.safetensors."""

import os

import click


@click.command()
def download() -> None:
    """Fetch, verify and unpack the images of data.name, and hold some out for validation.

    AUTOENCODER_MIRROR (a directory or URL with the set's files) is asked before the public mirrors.
    """
    from autoencoder import params, paths

    settings = params.load()
    name = settings.data.name

    from autoencoder.data import sources
    from autoencoder.data.images import hold_out, save_images

    try:
        images = sources.load(name, os.environ.get("AUTOENCODER_MIRROR"), paths.DOWNLOADS)
    except sources.NoMirrorError:
        paths.NO_MIRROR.parent.mkdir(exist_ok=True)
        paths.NO_MIRROR.touch()
        raise
    images = hold_out(images, settings.data.validation)
    save_images(images)
    held_out = "" if images.validation is None else f", {len(images.validation):,} validation"
    sizes = f"{len(images.train):,} training{held_out} and {len(images.test):,} test images"
    click.echo(f"{name}: {sizes} in {paths.IMAGES}")
