"""models/*.safetensors, metrics/* and test images → report.html."""

import os
from typing import Any

import click

# The profile of `numerics` for numpy alone, set before numpy is imported. The page needs no torch.
PINNED = {"OPENBLAS_CORETYPE": "Haswell", "OPENBLAS_NUM_THREADS": "1"}


@click.command()
def report() -> None:
    """Write the page that explains this run: one file, which needs no network."""
    os.environ.update(PINNED)

    from autoencoder import files, params, paths
    from autoencoder.report import page, run

    settings = params.load()
    recipe: dict[str, Any] = {
        "seed": settings.seed,
        "data": settings.data.model_dump(),
        "model": settings.model.model_dump(),
        "train": settings.train.model_dump(),
    }
    content = page.render(run.load(recipe)).encode()
    files.write_atomically(paths.REPORT, content)
    click.echo(f"{paths.REPORT}: open it in a browser ({len(content) / 1e6:.2f} MB, needs no network)")
