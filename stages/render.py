"""models/*.safetensors, metrics/ and test images → figures/*.png, figures/family/*.png."""

import click


@click.command()
def render() -> None:
    """Draw what the model does to images, what its weights are, and how it learned."""
    from autoencoder import numerics, params, paths

    settings = params.load()
    numerics.configure(settings.runtime)

    from autoencoder.analysis import figures, gallery, layout
    from autoencoder.analysis.results import load_results
    from autoencoder.files import keep_only, read_csv, write_atomically

    results = load_results()
    history = read_csv(paths.TRAINING)
    tables = {path.stem: read_csv(path) for path in sorted(paths.FAMILY.glob("*.csv"))}
    with layout.style():
        drawn = figures.draw(results, history, settings.data.name, settings.render.examples)
        of_family = gallery.draw(results, history[-1]["test_mse"], tables)
        for folder, named in ((paths.FIGURES, drawn), (paths.FAMILY_FIGURES, of_family)):
            for name, figure in named.items():
                write_atomically(folder / f"{name}.png", layout.png(figure))
    keep_only(paths.FAMILY_FIGURES, {f"{name}.png" for name in of_family})
    click.echo(f"{len(drawn) + len(of_family)} figures in {paths.FIGURES}/")
