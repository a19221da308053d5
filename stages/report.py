"""models/*.safetensors, metrics/* and test images → report.html."""

import click

RECIPE = {"seed", "data", "model", "corruption", "constraint", "train"}  # what led to the trained state


@click.command()
def report() -> None:
    """Write the page that explains this run: one file, which needs no network."""
    from autoencoder import numerics, params, paths

    settings = params.load()
    numerics.pin(settings.runtime)  # the page needs numpy, and no torch

    from autoencoder import files
    from autoencoder.report import page, run

    recipe = settings.model_dump(include=RECIPE)
    content = page.render(run.load(recipe)).encode()
    files.write_atomically(paths.REPORT, content)
    click.echo(f"{paths.REPORT}: open it in a browser ({len(content) / 1e6:.2f} MB, needs no network)")
