"""data/images.safetensors → models/pca.safetensors."""

import click


@click.command()
def pca() -> None:
    """Find the optimum that a linear autoencoder can reach, at every rank: no other param changes it."""
    from autoencoder import numerics, params, paths

    numerics.configure(params.load().runtime)

    from autoencoder import checkpoints
    from autoencoder import pca as principal

    images = checkpoints.load_images()
    checkpoints.save_optimum(principal.fit(images["train_images"], images["test_images"]))
    click.echo(f"principal axes of {len(images['train_images']):,} training images in {paths.OPTIMUM}")
