"""data/sets/NAME → data/images.safetensors."""

import os

import click


@click.command()
def download() -> None:
    """Fetch, verify and unpack the images of data.name, or convert its folder of pictures.

    AUTOENCODER_MIRROR (a directory or URL with the set's files) is asked before the public mirrors.
    """
    from autoencoder import params, paths

    settings = params.load().data
    name = settings.name

    from autoencoder.data import pictures
    from autoencoder.data.decode import Wanted

    if pictures.is_folder_of_pictures(name):
        size = (settings.image_size, settings.image_size) if settings.image_size else None
        for line in pictures.convert(name, paths.IMAGES, Wanted(size, settings.channels), settings.test_fraction):
            click.echo(line, err=line.startswith(("note:", "warning:")))
        return

    from autoencoder.data import sources
    from autoencoder.data.images import save_images

    try:
        images = sources.load(name, os.environ.get("AUTOENCODER_MIRROR"), paths.DOWNLOADS)
    except sources.NoMirrorError:
        paths.NO_MIRROR.parent.mkdir(exist_ok=True)
        paths.NO_MIRROR.touch()
        raise
    save_images(images)
    click.echo(f"{name}: {len(images.train):,} training and {len(images.test):,} test images in {paths.IMAGES}")
