"""Pictures beside their reconstructions, the oddest first."""

from collections.abc import Sequence
from pathlib import Path

import torch
from matplotlib.figure import Figure

from autoencoder.analysis.layout import MARGIN, WIDTH, label_columns, mosaic, new_figure, pictures, place, show_pixels
from autoencoder.data.decode import decode
from autoencoder.data.images import scale, unscale
from autoencoder.data.pictures import shown
from autoencoder.using.encode import Row
from autoencoder.using.trained import Trained

COLUMNS = 8
LONGEST = 14  # characters of a name below a picture


def sheet(trained: Trained, rows: Sequence[Row], total: int) -> Figure:
    """The pictures of `rows` side by side, the reconstruction below each, then its name and its squared error."""
    shape, lowest, columns = trained.description.image_shape, trained.model.lowest, min(COLUMNS, len(rows))
    pixels = b"".join(decode(row.path, trained.wanted).pixels for row in rows)
    x = scale(torch.frombuffer(bytearray(pixels), dtype=torch.uint8).reshape(len(rows), -1), lowest)
    with torch.no_grad():
        drawn = [pictures(unscale(each, lowest), shape) for each in (x, trained.model(x))]
    strips = [[mosaic(each[first:][:columns], columns) for each in drawn] for first in range(0, len(rows), columns)]
    width, top = WIDTH - 2 * MARGIN, 0.45
    height = width * strips[0][0].shape[0] / strips[0][0].shape[1]
    step = 2 * height + 0.62
    title = f"The {len(rows)} of {total:,} pictures with the largest squared errors"
    figure = new_figure(title, top + step * len(strips))
    for number, pair in enumerate(strips):
        for below, strip in enumerate(pair):
            axes = place(figure, MARGIN, top + number * step + below * (height + 0.05), width, height)
            show_pixels(axes, strip)
        texts = [f"{_short(row.path)}\n{row.squared_error:.1f}" for row in rows[number * columns :][:columns]]
        label_columns(axes, texts, shape[-1])
        axes.tick_params(labelsize=7)
    return figure


def _short(path: str) -> str:
    name = shown(Path(path).stem)
    short = name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
    return short.replace("$", r"\$")  # matplotlib sets what is between two of them as mathematics
