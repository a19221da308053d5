"""data/images.safetensors → models/pca.safetensors."""

import click


@click.command()
def pca() -> None:
    """Find the optimum that a linear autoencoder can reach, at every rank: no other param changes it."""
    from autoencoder import numerics, params, paths

    numerics.configure(params.load().runtime)

    from autoencoder.analysis.optimum import fit, save_optimum
    from autoencoder.analysis.subspace import LARGEST, fit_leading
    from autoencoder.data.images import load_images

    images = load_images()
    large = images.train[0].numel() > LARGEST
    save_optimum(fit_leading(images) if large else fit(images))
    click.echo(f"principal axes of {len(images.train):,} training images in {paths.OPTIMUM}")
