"""The figures that explain one family each. Pixels are rows of numbers in [0, 1], as `unscale` gives them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import LogLocator, NullLocator
from torch import Tensor

from autoencoder.analysis.explore import Sum
from autoencoder.analysis.layout import (
    BLUE,
    GREY,
    INK,
    MARGIN,
    ORANGE,
    WIDTH,
    column_gap,
    count,
    label_columns,
    mosaic,
    new_figure,
    show_pixels,
    show_signed,
    whole_numbers,
)
from autoencoder.analysis.layout import (
    pictures as rows_as_pictures,
)
from autoencoder.analysis.layout import (
    place as put,
)

Shape = tuple[int, int, int]  # channels, height, width
TENTH = 0.1

# Okabe & Ito 2008, "Color universal design": told apart by the colour-blind; two more, for ten classes, are darker kin.
CLASS_COLOURS = (
    "#000000", "#e69f00", "#56b4e9", "#009e73", "#b8a800", "#0072b2", "#d55e00", "#cc79a7", "#7a4a9c", "#8c8c8c",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A strip of pictures side by side. With a `limit` they are signed, from -limit to limit."""

    name: str
    pixels: Float[Tensor, "n input"]
    limit: float | None = None


def prior(samples: Float[Tensor, "n input"], shape: Shape) -> Figure:
    """What codes that are drawn from the prior stand for."""
    return _table(
        f"{count(len(samples), 'sample')} of the model: codes drawn from N(0, 1), decoded", samples, shape, 12
    )


def traversal(
    pictures: Float[Tensor, "units_values input"], shape: Shape, names: Sequence[str], values: Sequence[float]
) -> Figure:
    """One row for each unit of the code, one column for each of the `values` that the unit takes."""
    rows = [Row(name, row) for name, row in zip(names, pictures.split(len(values)), strict=True)]
    figure, axes = _rows("One image's code, one number of it changed at a time", rows, shape, below=0.55)
    label_columns(axes[-1], [f"{value:z.1f}".replace("-", "−") for value in values], shape[2])
    axes[-1].set_xlabel("value of the number; all others stay as they are")
    return figure


def manifold(pictures: Float[Tensor, "points input"], shape: Shape, side: int) -> Figure:
    """The decoded grid of `explore.manifold_codes`."""
    figure = new_figure(
        "All that a code of two numbers can stand for: each step has an equal share of N(0, 1)",
        6.9 * shape[1] / shape[2] + 0.95,
    )
    axes = _mosaic_at(figure, (0.6, 0.42, 6.9), pictures, shape, columns=side)
    quantiles = torch.special.ndtri((torch.arange(side) + 0.5) / side).tolist()
    shown = range(0, side, max(1, side // 4))
    for axis, size, signs in ((axes.xaxis, shape[2], 1), (axes.yaxis, shape[1], -1)):
        places = [(size + column_gap(shape[2])) * place + (size - 1) / 2 for place in shown]
        axis.set_ticks(places, [f"{signs * quantiles[place]:z.1f}".replace("-", "−") for place in shown])
    axes.tick_params(length=0)
    axes.set_xlabel("first number of the code")
    axes.set_ylabel("second number of the code")
    return figure


def interpolation(
    through_code: Float[Tensor, "pairs_steps input"],
    through_pixels: Float[Tensor, "pairs_steps input"],
    shape: Shape,
    steps: int,
) -> Figure:
    """Between two images of each pair: what lies between their codes, and below it between their pixels."""
    rows = []
    for code, pixels in zip(through_code.split(steps), through_pixels.split(steps), strict=True):
        rows += [Row("codes", code), Row("pixels", pixels)]
    figure, axes = _rows(
        "On the straight line between two images: their codes decoded, their pixels", rows, shape, group=2
    )
    label_columns(axes[-1], ["one image", *[""] * (steps - 2), "the other"], shape[2])
    return figure


def code_map(
    points: Float64[Tensor, "n 2"], shares: Sequence[float], labels: UInt8[Tensor, " n"] | None, what: str
) -> Figure:
    """Codes on two axes. Classes up to ten have colours; the name of each stands at its median."""
    figure = new_figure(f"{count(len(points), 'test image')} by {what}", 6.3)
    axes = put(figure, 0.75, 0.4, WIDTH - 0.9, 5.35)
    classes = [] if labels is None else labels.unique().tolist()
    groups = (
        [(points, GREY)]
        if labels is None or len(classes) > len(CLASS_COLOURS)
        else [(points[labels == label], colour) for label, colour in zip(classes, CLASS_COLOURS, strict=False)]
    )
    for index, (group, colour) in enumerate(groups):
        marker = f"${classes[index]}$" if classes and len(groups) > 1 else "o"
        axes.scatter(
            group[:, 0].numpy(), group[:, 1].numpy(), s=26, color=colour, alpha=0.8, linewidths=0, marker=marker
        )
    for index, label in enumerate(classes):
        place = tuple(points[labels == label].median(0).values.tolist())
        colour = CLASS_COLOURS[index] if len(classes) <= len(CLASS_COLOURS) else INK
        name = axes.annotate(str(label), place, color=colour, weight="bold", size=17, ha="center", va="center")
        name.set_path_effects([withStroke(linewidth=4, foreground="white")])
    axes.set_xlabel(f"first axis, {shares[0]:.0%} of the variance")
    axes.set_ylabel(f"second axis, {shares[1]:.0%} of the variance")
    return figure


def spectrum(mse_by_rank: Float64[Tensor, " ranks"], mse: float, rank: float, code_dimensions: int) -> Figure:
    """The error of PCA by rank, and where this model stands: its code's length, and the rank that is as good."""
    numbers = count(code_dimensions, "number")
    figure = new_figure(f"{numbers} here are as good as {rank:.1f} principal components", 3.6)
    axes = put(figure, 0.85, 0.4, WIDTH - 1.0, 2.65)
    last = min(len(mse_by_rank) - 1, max(2 * code_dimensions, int(1.4 * rank) + 2))
    axes.semilogy(
        range(last + 1), mse_by_rank[: last + 1].tolist(), color=GREY, lw=1.5, label="PCA with so many components"
    )
    axes.hlines(mse, 0, max(rank, code_dimensions), color=BLUE, lw=1, ls=(0, (4, 3)))
    axes.plot(code_dimensions, mse, "o", color=BLUE, ms=7, label=f"this model with its {numbers}")
    axes.plot(rank, mse, "D", color=ORANGE, ms=6, label=f"PCA that is as good: {rank:.1f}")
    axes.set_xlim(0, max(last, code_dimensions))
    axes.set_xlabel("numbers in the code")
    axes.set_ylabel("mean squared error, [−1, 1]")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_locator(whole_numbers())
    axes.legend(frameon=False)
    return figure


def atoms(
    pictures: Float[Tensor, "code input"], activity: Float64[Tensor, " code"], shape: Shape, limit: int = 60
) -> Figure:
    """What each unit adds to a picture, each on its own scale, the most often active first, and how often each is."""
    order = activity.argsort(descending=True, stable=True)
    shown = order[: min(limit, int((activity > 0).sum()))]
    lines = shown.split(12) if len(shown) else ()
    side, top = (WIDTH - 2 * MARGIN) / 12, 0.42
    step = side * shape[1] / shape[2] + 0.2
    kind = f"the {len(shown)} most active of " if 0 < len(shown) < len(order) else ""
    dead = int((activity == 0).sum())
    title = f"What a unit adds to a picture: {kind}{count(len(order), 'unit')}; {dead} never active"
    figure = new_figure(title, top + len(lines) * step + 1.75)
    scaled = pictures / pictures.abs().amax(1, keepdim=True).clamp_min(1e-12)
    for line, units in enumerate(lines):
        place = (MARGIN, top + line * step, side * len(units))
        axes = _mosaic_at(figure, place, scaled[units], shape, limit=1.0)
        label_columns(axes, [_percent(share) for share in activity[units].tolist()], shape[2])
        axes.tick_params(labelsize=8, pad=1)
    below = put(figure, 0.75, top + len(lines) * step + 0.2, WIDTH - 0.9, 1.0)
    below.bar(range(1, len(order) + 1), (100 * activity[order]).tolist(), color=BLUE, width=1)
    below.set_xlim(0.5, len(order) + 0.5)
    below.set_ylim(0)
    below.set_xlabel("unit, by how often it is active")
    below.set_ylabel("% of images")
    below.xaxis.set_major_locator(whole_numbers())
    return figure


def sum_of_atoms(original: Float[Tensor, "1 input"], parts: Sum, shape: Shape, shown: int = 8) -> Figure:
    """One image as a sum: what the code 0 stands for, and what the `shown` largest numbers of the code add to it.

    `parts` is on the scale of pixels.
    """
    n, shown = len(parts.units), min(shown, len(parts.units))
    blank, sums = torch.full_like(original, torch.nan), torch.cat([parts.start, parts.so_far])
    rows = [
        Row(
            "adds", torch.cat([blank, parts.added[:shown], blank, blank]), parts.added.abs().max().item() if n else 1.0
        ),
        Row("sum", torch.cat([parts.start, parts.so_far[:shown], sums[-1:], original]).clamp(0, 1)),
    ]
    figure, axes = _rows(f"One image as a sum of {count(n, 'atom')}, the largest first", rows, shape, above=0.25)
    texts = [f"{value:.1f}".replace("-", "−") for value in parts.values[:shown]]
    label_columns(axes[0], ["", *texts, "", ""], shape[2])
    axes[0].tick_params(labeltop=True, labelbottom=False)
    label_columns(axes[1], ["code 0", *[f"+ {n}." for n in range(1, shown + 1)], f"all {n}", "original"], shape[2])
    return figure


def denoising(
    clean: Float[Tensor, "n input"],
    noisy: Float[Tensor, "n input"],
    rebuilt: Float[Tensor, "n input"],
    shape: Shape,
    corruption: str,
) -> Figure:
    """What the encoder was given, what was made of it, and what it should have been; below, errors as in evaluation."""
    rows = [Row("noisy", noisy.clamp(0, 1)), Row("rebuilt", rebuilt.clamp(0, 1)), Row("clean", clean)]
    figure, axes = _rows(f"Rebuilt from images with {corruption}", rows, shape, below=0.75)
    before, after = (4 * (pixels - clean).square().mean(1) for pixels in (noisy, rebuilt))
    texts = [f"{first:.2f}\n→ {second:.2f}" for first, second in zip(before.tolist(), after.tolist(), strict=True)]
    label_columns(axes[-1], texts, shape[2])
    axes[-1].set_xlabel("mean squared error before → after, pixels scaled to [−1, 1]")
    return figure


def noise_levels(
    levels: Sequence[float], mse: Sequence[float], optimum: Sequence[float] | None, trained: float, corruption: str
) -> Figure:
    """The error by the level of the noise, beside that of the best linear map for each level."""
    figure = new_figure(f"Error by level of {corruption}", 3.4)
    axes = put(figure, 0.85, 0.4, WIDTH - 1.0, 2.45)
    axes.plot(levels, mse, color=BLUE, lw=1.5, marker="o", ms=4, label="this model")
    if optimum is not None:
        label = "best linear map of the same rank, another for every level (Wiener)"
        axes.plot(levels, optimum, color=INK, lw=1, ls=(0, (5, 3)), marker="s", ms=3, label=label)
    axes.axvline(trained, color=GREY, lw=1, ls=":")
    axes.text(trained, 1, " trained", transform=axes.get_xaxis_transform(), va="top")
    axes.set_ylim(0)
    axes.set_xlabel("level of the noise")
    axes.set_ylabel("mean squared error, [−1, 1]")
    axes.legend(frameon=False)
    return figure


def contraction(
    singular_values: Float64[Tensor, " code"],
    images: Float[Tensor, "n input"],
    tangents: Float[Tensor, "n_count input"],
    shape: Shape,
) -> Figure:
    """The mean singular values of the Jacobian; below, images and the directions in which their codes change most."""
    count, side, top = len(tangents) // len(images), 0.88, 3.2
    gap = side * column_gap(shape[2]) / shape[2]
    step, width = side * shape[1] / shape[2] + gap, side * count + gap * (count - 1)
    figure = new_figure(
        "Singular values of the Jacobian of the code, means over images", top + len(images) * step + 0.25
    )
    axes = put(figure, 0.85, 0.4, WIDTH - 1.0, 2.1)
    axes.plot(range(1, len(singular_values) + 1), singular_values.tolist(), color=BLUE, marker="o", ms=3.5, lw=1.2)
    axes.set_ylim(0)
    axes.set_xlabel("direction of the image, by how much it changes the code")
    axes.set_ylabel("singular value")
    axes.xaxis.set_major_locator(whole_numbers())
    for index, (image, directions) in enumerate(zip(images.split(1), tangents.split(count), strict=True)):
        place = top + index * step
        shown = _mosaic_at(figure, (0.85, place, side), image, shape)
        limit = directions.abs().max().item()
        tangent = _mosaic_at(figure, (1.1 + side, place, width), directions, shape, limit=limit)
    shown.set_xlabel("image")
    tangent.set_xlabel("the directions in which its code changes most, the first one most")
    return figure


def grid(original: Float[Tensor, "n input"], rebuilt: Float[Tensor, "n input"], shape: Shape) -> Figure:
    """Few images, each above its reconstruction, to be compared where pictures are small: no text, no margin."""
    columns = 5
    pairs = [torch.cat(pair) for pair in zip(original.split(columns), rebuilt.split(columns), strict=True)]
    canvas = _canvas(torch.cat(pairs), shape, columns)
    height, width = canvas.shape[:2]
    figure = Figure(figsize=(5, 5 * height / width))
    _show(figure.add_axes((0, 0, 1, 1)), canvas, None)
    return figure


def _percent(share: float) -> str:
    """Two digits, and no more than are needed."""
    return f"{100 * share:.0f}%" if share >= TENTH else f"{100 * share:.2g}%"


def _rows(
    title: str, rows: Sequence[Row], shape: Shape, *, group: int = 0, above: float = 0.0, below: float = 0.3
) -> tuple[Figure, list[Axes]]:
    """A figure with strips of equally many pictures, their names beside them, and space above and below for labels.

    After every `group` rows there is a wider gap.
    """
    columns = len(rows[0].pixels)
    left, top, gap = 1.15, 0.42 + above, 0.06
    width = min(WIDTH - left - MARGIN, 0.95 * columns)
    strip = width * shape[1] / shape[2] / columns
    places = [top + index * (strip + gap) + (index // group * 0.14 if group else 0) for index in range(len(rows))]
    figure = new_figure(title, places[-1] + strip + below)
    placed = []
    for row, place in zip(rows, places, strict=True):
        axes = _mosaic_at(figure, (left, place, width), row.pixels, shape, limit=row.limit)
        axes.set_ylabel(row.name, rotation=0, ha="right", va="center")
        placed.append(axes)
    return figure, placed


def _table(title: str, pictures: Float[Tensor, "n input"], shape: Shape, columns: int) -> Figure:
    """A figure with pictures row by row."""
    canvas = _canvas(pictures, shape, columns)
    width = WIDTH - 2 * MARGIN
    figure = new_figure(title, 0.42 + width * canvas.shape[0] / canvas.shape[1] + MARGIN)
    _mosaic_at(figure, (MARGIN, 0.42, width), pictures, shape, columns=columns)
    return figure


def _mosaic_at(
    figure: Figure,
    place: tuple[float, float, float],
    pictures: Float[Tensor, "n input"],
    shape: Shape,
    *,
    columns: int | None = None,
    limit: float | None = None,
) -> Axes:
    """Axes with pictures row by row, or in one row; `place` is left and top, from the upper left corner, and width."""
    left, top, width = place
    canvas = _canvas(pictures, shape, columns or len(pictures))
    axes = put(figure, left, top, width, width * canvas.shape[0] / canvas.shape[1])
    _show(axes, canvas, limit)
    return axes


def _show(axes: Axes, canvas: Tensor, limit: float | None) -> None:
    if limit is None:
        show_pixels(axes, canvas)
    else:
        show_signed(axes, canvas, limit)


def _canvas(pictures: Float[Tensor, "n input"], shape: Shape, columns: int) -> Tensor:
    """Pictures row by row: [height, width], or [height, width, 3] for three channels."""
    return mosaic(rows_as_pictures(pictures, shape), columns)
