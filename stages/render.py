"""models/*.safetensors, metrics/*.csv and test images → figures/*.png."""

import click


@click.command()
def render() -> None:
    """Draw what the model does to images, what its weights are, and how it learned."""
    from autoencoder import numerics, params, paths

    settings = params.load()
    numerics.configure(settings.runtime)

    from autoencoder.analysis import figures, layout, linear_figures
    from autoencoder.analysis.results import load_results
    from autoencoder.files import read_csv, write_atomically
    from autoencoder.models.linear import LinearAutoencoder

    results = load_results()
    history, angles = read_csv(paths.TRAINING), read_csv(paths.ANGLES)
    with layout.style():
        drawn = figures.draw(results, history, settings.data.name, settings.render.examples)
        if isinstance(results.model, LinearAutoencoder):
            drawn |= linear_figures.draw(results.model, results.images.shape, results.optimum, angles)
        for name, figure in drawn.items():
            write_atomically(paths.FIGURES / f"{name}.png", layout.png(figure))
    click.echo(f"{len(drawn)} figures in {paths.FIGURES}/")
