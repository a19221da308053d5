"""models/*.safetensors, metrics/* and test images → report.html."""

import click

OF_PICTURES = ("image_size", "channels", "test_fraction")  # printed only if changed


@click.command()
def report() -> None:
    """Write the page that explains this run: one file, which needs no network."""
    from autoencoder import numerics, params, paths

    settings = params.load()
    numerics.pin(settings.runtime)  # the page needs numpy, and no torch

    from autoencoder import files
    from autoencoder.article import PARAMS
    from autoencoder.report import page, run

    data = settings.data.model_dump()
    recipe = {
        "seed": settings.seed,
        "data": {key: value for key, value in data.items() if key not in OF_PICTURES or value != PARAMS[f"data.{key}"]},
        "model": settings.model.model_dump(),
        "corruption": settings.corruption.model_dump(),
        "constraint": settings.constraint.model_dump(),
        "train": settings.train.model_dump(),
    }
    content = page.render(run.load(recipe)).encode()
    files.write_atomically(paths.REPORT, content)
    click.echo(f"{paths.REPORT}: open it in a browser ({len(content) / 1e6:.2f} MB, needs no network)")
