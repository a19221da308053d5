"""data/sets/NAME → data/images.safetensors."""

import os

import click


@click.command()
def download() -> None:
    """Fetch, verify and unpack the images of data.name, or convert its pictures; hold some out for validation.

    AUTOENCODER_MIRROR (a directory or URL with the set's files) is asked before the public mirrors.
    """
    from autoencoder import params, paths

    settings = params.load()
    name = settings.data.name

    from autoencoder.data import pictures
    from autoencoder.data.decode import Wanted

    if pictures.is_folder_of_pictures(name):
        edge, test, validation = settings.data.image_size, settings.data.test_fraction, settings.data.validation
        wanted = Wanted((edge, edge) if edge else None, settings.data.channels)
        for line in pictures.convert(name, paths.IMAGES, wanted, test, validation):
            click.echo(line, err=line.startswith(("note:", "warning:")))
        return

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
