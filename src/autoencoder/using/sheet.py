"""Pictures beside their reconstructions, the oddest first."""

from collections.abc import Sequence
from pathlib import Path

import torch
from matplotlib.figure import Figure

from autoencoder.analysis.layout import MARGIN, WIDTH, label_columns, mosaic, new_figure, pictures, place, show_pixels
from autoencoder.data.images import scale, unscale
from autoencoder.using.encode import Odd
from autoencoder.using.trained import Trained

COLUMNS = 8
LONGEST = 14  # characters of a name below a picture


def sheet(trained: Trained, odd: Sequence[Odd], total: int) -> Figure:
    """Rows of pictures, the reconstruction below each, then its name and its squared error."""
    images = torch.stack([each.image for each in odd])
    x, lowest = scale(images, trained.model.lowest), trained.model.lowest
    with torch.no_grad():
        originals, rebuilt = unscale(x, lowest), unscale(trained.model(x), lowest)
    columns = min(COLUMNS, len(odd))
    strips = [
        [mosaic(pictures(pixels[first : first + columns], images.shape), columns) for pixels in (originals, rebuilt)]
        for first in range(0, len(odd), columns)
    ]
    width = WIDTH - 2 * MARGIN
    height = width * strips[0][0].shape[0] / strips[0][0].shape[1]
    step, top = 2 * height + 0.62, 0.45
    figure = new_figure(
        f"The {len(odd)} of {total:,} pictures with the largest squared errors", top + step * len(strips)
    )
    for row, pair in enumerate(strips):
        for below, strip in enumerate(pair):
            axes = place(figure, MARGIN, top + row * step + below * (height + 0.05), width, height)
            show_pixels(axes, strip)
        texts = [f"{_short(each.path)}\n{each.squared_error:.1f}" for each in odd[row * columns :][:columns]]
        label_columns(axes, texts, images.shape[-1])
        axes.tick_params(labelsize=7)
    return figure


def _short(path: str) -> str:
    name = Path(path).stem
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
