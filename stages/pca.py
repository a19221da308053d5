"""data/images.safetensors → models/pca.safetensors, metrics/pixels.json."""

import click


@click.command()
def pca() -> None:
    """Find what depends on the images alone: the optimum of linear maps at every rank, and how raw pixels classify."""
    from autoencoder import numerics, params, paths

    numerics.configure(params.load().runtime)

    from autoencoder.analysis.classify import pixel_class_errors
    from autoencoder.analysis.optimum import fit, save_optimum
    from autoencoder.analysis.subspace import LARGEST, fit_leading
    from autoencoder.data.images import load_images
    from autoencoder.entry import bar
    from autoencoder.files import write_json

    images = load_images()
    large = images.train[0].numel() > LARGEST
    save_optimum(fit_leading(images) if large else fit(images))
    write_json(paths.PIXELS, {} if large else pixel_class_errors(images, bar("neighbours of raw pixels")))
    click.echo(f"principal axes of {len(images.train):,} training images in {paths.OPTIMUM}")
