"""Tensors → matplotlib figures. Nothing is saved here; every number that is drawn was computed by torch."""

import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import matplotlib
import torch
from jaxtyping import Float, Float64, Int64, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from autoencoder import published
from autoencoder.models import scale, unscale

WIDTH = 8.0  # inches
PAPER_GAP = 0.12  # between two images of a mosaic, in widths of an image
INK, GREY, BLUE, ORANGE = "#222222", "#8a8a8a", "#1f5fa8", "#e08214"
LEGIBLE = 128  # numbers in one picture
SIGNED = "RdBu_r"  # blue below zero, white at zero, red above


@contextmanager
def style() -> Iterator[None]:
    """Draw and encode within this: the project's style on matplotlib's defaults, whatever matplotlibrc a user has."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(
            {
                "font.family": "DejaVu Sans",
                "font.size": 10,
                "mathtext.fontset": "dejavusans",
                "savefig.dpi": 200,
                "figure.facecolor": "white",
                "axes.edgecolor": GREY,
                "axes.linewidth": 0.8,
                "axes.spines.top": False,
                "axes.spines.right": False,
                "axes.titlesize": 10,
                "axes.titlelocation": "left",
                "axes.labelcolor": INK,
                "text.color": INK,
                "xtick.color": INK,
                "ytick.color": INK,
                "image.interpolation": "nearest",
            }
        )
        yield


def png(figure: Figure) -> bytes:
    """The same bytes for the same figure: without matplotlib's version in the metadata."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def choose(labels: UInt8[Tensor, " n"], count: int) -> Int64[Tensor, " chosen"]:
    """Indices of the first image of every class, then of the second of every class, … until there are `count`.

    At least one per class, at most all; sorted by class.
    """
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
    labels: UInt8[Tensor, " n"],
    code_dimensions: int,
) -> Figure:
    """Original, reconstruction and their difference, one column per image."""
    n, inputs = reconstruction.shape
    x = scale(images)
    original, rebuilt = unscale(x), unscale(reconstruction)
    errors = (reconstruction - x).square().mean(1)
    figure = _figure(f"{inputs} pixels, rebuilt from {_count(code_dimensions, 'number')}", 3.05, WIDTH * max(1, n / 10))
    top, middle, bottom = figure.subplots(3, 1)
    for axes, pixels, name in ((top, original, "original"), (middle, rebuilt, "reconstruction")):
        _mosaic(axes, _stack(pixels, images), n, cmap="gray", limits=(0, 1))
        axes.set_ylabel(name, rotation=0, ha="right", va="center")
    heat = _mosaic(bottom, _stack(rebuilt - original, images), n, cmap=SIGNED, limits=(-1, 1))
    bottom.set_ylabel("difference", rotation=0, ha="right", va="center")
    centres = _centres(images, n)
    top.set_xticks(centres, [str(label) for label in labels.tolist()])
    top.tick_params(labeltop=True, labelbottom=False, length=0)
    bottom.set_xticks(centres, [f"{error:.3f}" for error in errors.tolist()])
    bottom.tick_params(length=0)
    bottom.set_xlabel("mean squared error of the image, pixels scaled to [−1, 1]")
    figure.colorbar(heat, ax=[top, middle, bottom], shrink=0.33, anchor=(0, 0), aspect=9, ticks=[-1, 0, 1])
    return figure


def code(
    image: UInt8[Tensor, "channels height width"],
    code: Float[Tensor, " code"],
    reconstruction: Float[Tensor, " input"],
) -> Figure:
    """An image, its code as numbers in a picture, and its reconstruction."""
    inputs, dimensions = len(reconstruction), len(code)
    batch = image.unsqueeze(0)
    figure = _figure(
        f"{inputs} pixels → {_count(dimensions, 'number')}: {inputs / dimensions:.3g}-fold compression",
        2.9,
    )
    left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1.9, 1))
    for axes, pixels, name in (
        (left, unscale(scale(batch)), "original"),
        (right, unscale(reconstruction), "reconstruction"),
    ):
        _mosaic(axes, _stack(pixels.reshape(1, -1), batch), 1, cmap="gray", limits=(0, 1))
        axes.set_title(name)
    columns = math.ceil(math.sqrt(2 * dimensions)) if dimensions > 1 else 1
    rows = math.ceil(dimensions / columns)
    cells = torch.full((rows * columns,), torch.nan)
    cells[:dimensions] = code
    limit = code.abs().max().item()
    middle.imshow(cells.reshape(rows, columns).numpy(), cmap=SIGNED, vmin=-limit, vmax=limit, aspect=0.62)
    _bare(middle)
    middle.set_title("its code")
    for index, value in enumerate(code.tolist()):
        if dimensions <= LEGIBLE:
            middle.text(
                index % columns,
                index // columns,
                f"{value:.1f}",
                ha="center",
                va="center",
                size=min(10, 80 / columns),
                color="white" if abs(value) > 0.6 * limit else INK,
            )
    return figure


def weights(units: Float[Tensor, "code input"], image_shape: tuple[int, int, int], title: str) -> Figure:
    """The weights of each unit as an image, on one scale."""
    columns = math.ceil(math.sqrt(2 * len(units)))
    rows = math.ceil(len(units) / columns)
    figure = _figure(title, 0.8 + 0.86 * WIDTH * rows / columns)
    axes = figure.subplots()
    limit = units.abs().max().item()
    heat = _mosaic(axes, _stack(units, units.reshape(-1, *image_shape)), columns, cmap=SIGNED, limits=(-limit, limit))
    _bare(axes)
    figure.colorbar(heat, ax=axes, aspect=30)
    return figure


def weight_products(
    encoder: Float[Tensor, "code input"], decoder: Float[Tensor, "input code"], principal: Float64[Tensor, "input code"]
) -> Figure:
    """W_dec W_enc beside the projector V Vᵀ that it would be at the optimum, and W_enc W_dec."""
    product = decoder.double() @ encoder.double()
    projector = principal @ principal.T
    inner = encoder.double() @ decoder.double()
    distance = ((product - projector).norm() / projector.norm()).item()
    figure = _figure(f"The learned map is {distance:.0%} of the projector's norm away from the PCA projector", 3.2)
    panels = figure.subplots(1, 3)
    limit = projector.abs().quantile(0.995).item()
    for axes, matrix, name in zip(
        panels,
        (product, projector, inner),
        (
            r"$W_\mathrm{dec} W_\mathrm{enc}$",
            r"$V V^\mathsf{T}$, the PCA projector",
            r"$W_\mathrm{enc} W_\mathrm{dec}$",
        ),
        strict=True,
    ):
        if matrix is inner:
            limit = inner.abs().max().item()
        heat = axes.imshow(matrix.numpy(), cmap=SIGNED, vmin=-limit, vmax=limit)
        _bare(axes)
        axes.set_title(f"{name}, {len(matrix)} × {len(matrix)}")
        figure.colorbar(heat, ax=axes, orientation="horizontal", aspect=30)
    return figure


def training_curve(
    train_mse: Sequence[float], test_mse: Sequence[float], optimum: float, printed: Sequence[float]
) -> Figure:
    """Loss over epochs, the optimum, and the article's `printed` losses (none where they do not apply)."""
    ratio = test_mse[-1] / optimum
    title = f"After {_count(len(test_mse), 'epoch')} the test error is {ratio:.3g} times the PCA optimum"
    figure = _figure(title, 4.2)
    axes = figure.subplots()
    epochs = range(1, len(test_mse) + 1)
    axes.plot(epochs, train_mse, color=GREY, lw=1.2, marker=".", ms=4, label="training images, while learning")
    axes.plot(epochs, test_mse, color=BLUE, lw=1.8, marker="o", ms=4, label="test images")
    shown = [loss * published.DIVISOR for loss in printed[: len(test_mse)]]
    if shown:
        half = 0.5 * 10**-published.DECIMALS * published.DIVISOR
        axes.errorbar(
            epochs[: len(shown)],
            shown,
            yerr=half,
            fmt="none",
            ecolor=ORANGE,
            elinewidth=7,
            alpha=0.45,
            label="test images, as published (± rounding)",
        )
    axes.axhline(optimum, color=INK, lw=1, ls=(0, (5, 3)), label="PCA optimum of this rank, test images")
    axes.set_ylim(0)
    axes.set_xlabel("epoch")
    axes.set_ylabel("mean squared error")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False)
    return figure


def principal_angles(degrees: Sequence[float], captured: float) -> Figure:
    """The principal angles between the decoder's span and the principal subspace, ascending."""
    n = len(degrees)
    figure = _figure(f"{captured:.1f} of {_count(n, 'principal direction')} captured", 3.2)
    axes = figure.subplots()
    axes.bar(range(1, n + 1), degrees, color=BLUE, width=0.8)
    axes.set_ylim(0, 90)
    axes.set_yticks([0, 30, 60, 90], ["0°", "30°", "60°", "90°"])
    axes.set_xlabel("principal angle between the decoder's span and the PCA subspace, in ascending order")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def _figure(title: str, height: float, width: float = WIDTH) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", weight="bold", size=11)
    return figure


def _count(n: int, thing: str) -> str:
    return f"{n} {thing}" + ("s" if n != 1 else "")


def _stack(pixels: Float[Tensor, "n input"], like: Tensor) -> Float[Tensor, "n height width"]:
    """Rows of pixels as pictures; channels lie below each other."""
    return pixels.reshape(len(pixels), -1, like.shape[-1])


def _centres(images: Tensor, n: int) -> list[float]:
    width = images.shape[-1]
    step = width + max(1, round(width * PAPER_GAP))
    return [step * column + (width - 1) / 2 for column in range(n)]


def _mosaic(
    axes: Axes, images: Float[Tensor, "n height width"], columns: int, *, cmap: str, limits: tuple[float, float]
) -> AxesImage:
    n, height, width = images.shape
    gap = max(1, round(width * PAPER_GAP))
    rows = math.ceil(n / columns)
    canvas = torch.full((rows * columns, height + gap, width + gap), torch.nan)
    canvas[:n, :height, :width] = images.float()
    canvas = canvas.reshape(rows, columns, height + gap, width + gap).transpose(1, 2)
    canvas = canvas.reshape(rows * (height + gap), columns * (width + gap))[:-gap, :-gap]
    _bare(axes)
    return axes.imshow(canvas.numpy(), cmap=cmap, vmin=limits[0], vmax=limits[1])


def _bare(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
