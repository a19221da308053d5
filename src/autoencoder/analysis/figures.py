"""Figures that every model has, of tensors and recorded numbers. Nothing is saved here."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from autoencoder import article
from autoencoder.analysis.family_figures import grid
from autoencoder.analysis.layout import (
    BLUE,
    GREY,
    INK,
    LEGIBLE,
    MARGIN,
    ORANGE,
    WIDTH,
    count,
    label_columns,
    mosaic,
    new_figure,
    pictures,
    place,
    show_pixels,
    show_signed,
    table_columns,
    whole_numbers,
)
from autoencoder.analysis.results import Results
from autoencoder.data.images import rescale, scale, unscale
from autoencoder.models.linear import LinearAutoencoder

GRID = 10  # images in the picture for MLflow's grid

# How the code follows from the original, and the reconstruction from the code.
MAPS = ("$f($original$)$", "$g($code$)$")
LINEAR_MAPS = (r"$W_\mathrm{enc}\,$original", r"$W_\mathrm{dec}\,$code")


@torch.no_grad()
def draw(results: Results, history: Sequence[dict[str, float]], data_name: str, examples: int) -> dict[str, Figure]:
    """The figures by name, with `history` as in metrics/training.csv and `examples` reconstructions."""
    chosen = choose(results.images.test_labels, len(results.images.test), examples)
    images = results.images.test[chosen]
    labels = None if results.images.test_labels is None else results.images.test_labels[chosen]
    codes = results.model.encode(results.inputs(images))
    rebuilt = rescale(results.model.decode(codes), results.model.lowest)
    k = results.description.code_dimensions
    first = choose(results.images.test_labels, len(results.images.test), GRID)[:GRID]
    grid_x = results.inputs(results.images.test[first])
    grid_original, grid_rebuilt = (unscale(x, results.model.lowest) for x in (grid_x, results.model(grid_x)))
    linear = isinstance(results.model, LinearAutoencoder)
    as_printed = linear and data_name == article.PARAMS["data.name"] and k == article.PARAMS["model.code_dimensions"]
    printed = article.TEST_LOSSES if as_printed else ()
    return {
        "code": code(images[:1], codes[:1], rebuilt[:1], LINEAR_MAPS if linear else MAPS),
        "reconstructions": reconstructions(images, rebuilt, labels, k),
        "training_curve": training_curve(history, results.optimum_mse("test"), printed),
        "grid": grid(grid_original, grid_rebuilt, results.images.shape),
    }


def choose(labels: UInt8[Tensor, " n"] | None, n: int, count: int) -> Int64[Tensor, " chosen"]:
    """Indices of the first image of every class, then of the second of every class, … until there are `count` of `n`.

    At least one per class, at most all; sorted by class. Without classes: the first images.
    """
    if labels is None:
        return torch.arange(min(count, n))
    classes = labels.unique()
    of_class = labels.unsqueeze(1) == classes
    occurrence = (of_class.cumsum(0) * of_class).sum(1)
    order = (occurrence * len(classes) + of_class.long().argmax(1)).argsort()
    chosen = order[: max(count, len(classes))]
    by_class: Tensor = chosen[labels[chosen].argsort(stable=True)]
    return by_class


def reconstructions(
    images: UInt8[Tensor, "n channels height width"],
    reconstruction: Float[Tensor, "n input"],
    labels: UInt8[Tensor, " n"] | None,
    code_dimensions: int,
) -> Figure:
    """Original, reconstruction and their difference, a column per image, its class above, if any, its error below."""
    n, x = len(images), scale(images)
    original, rebuilt = unscale(x), unscale(reconstruction)
    strips = [mosaic(pictures(pixels, images.shape), n) for pixels in (original, rebuilt, rebuilt - original)]
    height, width = strips[0].shape[:2]
    left, top, strip_width, gap = 1.25, 0.68, 0.62 * n - 0.06, 0.09
    strip_height = strip_width * height / width
    figure = new_figure(
        f"{_amount(images.shape)}, rebuilt from {count(code_dimensions, 'number')}",
        top + 3 * (strip_height + gap) + 0.42,
        max(5.0, left + strip_width + 0.65),
    )
    for row, (strip, name) in enumerate(zip(strips, ("original", "reconstruction", "difference"), strict=True)):
        axes = place(figure, left, top + row * (strip_height + gap), strip_width, strip_height)
        picture = show_signed(axes, strip, 1.0) if name == "difference" else show_pixels(axes, strip)
        axes.set_ylabel(name, rotation=0, ha="right", va="center")
        if row == 0 and labels is not None:
            label_columns(axes, [str(label) for label in labels.tolist()], images.shape[-1])
            axes.tick_params(labeltop=True, labelbottom=False)
    errors = (reconstruction - x).square().mean(1).tolist()
    texts = [f"{error:.0e}" if 0 < error < 5e-4 else f"{error:.3f}" for error in errors]  # noqa: PLR2004 (0.000)
    label_columns(axes, texts, images.shape[-1])
    axes.set_xlabel("mean squared error of the image, pixels scaled to [−1, 1]")
    bar = place(figure, left + strip_width + MARGIN, top + 2 * (strip_height + gap), 0.09, strip_height)
    figure.colorbar(picture, bar, ticks=[-1, 0, 1])
    return figure


def _amount(shape: Sequence[int]) -> str:
    """How many numbers an image of `shape` […, channels, height, width] is: pixels, if it is grey."""
    return f"{math.prod(shape[-3:])} {'pixels' if shape[-3] == 1 else 'colour values'}"


def code(
    image: UInt8[Tensor, "1 channels height width"],
    code: Float[Tensor, "1 code"],
    reconstruction: Float[Tensor, "1 input"],
    maps: tuple[str, str],
) -> Figure:
    """An image, its code as numbers in a picture, and its reconstruction; `maps` are the formulas of the latter two."""
    inputs, dimensions = reconstruction.numel(), code.numel()
    title = f"{_amount(image.shape)} → {count(dimensions, 'number')}: {inputs / dimensions:.3g}-fold compression"
    figure = new_figure(title, 2.55)
    side, gap, top = 1.75, 0.45, 0.7
    panels = (
        (MARGIN, "original", unscale(scale(image))),
        (WIDTH - MARGIN - side, f"reconstruction, {maps[1]}", unscale(reconstruction)),
    )
    for left, name, pixels in panels:
        axes = place(figure, left, top, side, side)
        show_pixels(axes, pictures(pixels, image.shape)[0])
        axes.set_title(name)
    left = MARGIN + side + gap
    axes = place(figure, left, top, WIDTH - 2 * left, side)
    axes.set_title(f"code, {maps[0]}")
    _show_code(axes, code[0], WIDTH - 2 * left)
    for x in (left - gap / 2, WIDTH - left + gap / 2):
        figure.text(x / figure.get_figwidth(), 1 - (top + side / 2) / figure.get_figheight(), "→", size=16, ha="center")
    return figure


def _show_code(axes: Axes, code: Float[Tensor, " code"], width: float) -> None:
    columns = table_columns(len(code))
    cells = torch.full((math.ceil(len(code) / columns) * columns,), torch.nan)
    cells[: len(code)] = code
    limit = code.abs().max().item()
    show_signed(axes, cells.reshape(-1, columns), limit)
    axes.set_aspect("auto")
    texts = [f"{value:z.1f}".replace("-", "−") for value in code.tolist()]
    if len(code) > LEGIBLE:
        axes.set_xlabel(f"{len(code)} numbers between −{limit:.1f} and {limit:.1f}")
        return
    size = min(10.0, 72 * width / columns / (0.75 * max(map(len, texts))))
    for index, (text, value) in enumerate(zip(texts, code.tolist(), strict=True)):
        colour = "white" if abs(value) > 0.6 * limit else INK
        axes.text(index % columns, index // columns, text, ha="center", va="center", size=size, color=colour)


def training_curve(history: Sequence[dict[str, float]], optimum: float | None, printed: Sequence[float]) -> Figure:
    """The rows of metrics/training.csv, the optimum, if any, and the article's `printed` losses, if they apply."""
    epochs, train_mse, test_mse = ([row[name] for row in history] for name in ("epoch", "train_mse", "test_mse"))
    both = list(zip(epochs, test_mse, printed, strict=False))
    met = sum(round(mse / article.DIVISOR, article.DECIMALS) == loss for _, mse, loss in both)
    reached = (
        f"{test_mse[-1] / optimum:.3g} times the PCA optimum" if optimum else f"A mean error of {test_mse[-1]:.3g}"
    )
    title = f"{reached} after {count(len(test_mse), 'epoch')}"
    figure = new_figure(f"{met} of {len(both)} published losses met; {title}" if both else title, 3.95)
    axes = place(figure, 0.75, 0.4, WIDTH - 0.85, 3.05)
    if "validation_mse" in history[0]:
        axes.plot(epochs, [row["validation_mse"] for row in history], color=ORANGE, lw=1.2, label="validation images")
    if both:
        axes.errorbar(
            [epoch for epoch, _, _ in both],
            [loss * article.DIVISOR for _, _, loss in both],
            0.5 * 10**-article.DECIMALS * article.DIVISOR,
            fmt="none",
            ecolor=ORANGE,
            elinewidth=8,
            alpha=0.5,
            label="test images, as published (± rounding)",
        )
    axes.plot(epochs, test_mse, color=BLUE, lw=1.5, marker="o", ms=3.5, label="test images")
    axes.plot(
        epochs, train_mse, color=GREY, lw=1, marker="o", ms=2, label="training images, while they are learned from"
    )
    if optimum:
        axes.axhline(optimum, color=INK, lw=1, ls=(0, (5, 3)), label="test images, PCA of the same rank")
    axes.set_ylim(0)
    axes.set_xlabel("epoch")
    axes.set_ylabel("mean squared error, pixels in [−1, 1]")
    axes.xaxis.set_major_locator(whole_numbers())
    axes.legend(frameon=False)
    return figure
