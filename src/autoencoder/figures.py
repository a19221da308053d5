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
from torch.nn.functional import avg_pool2d

from autoencoder import published
from autoencoder.models import scale, unscale

WIDTH = 8.0  # inches, as are all lengths below
MARGIN = 0.1
INK, GREY, BLUE, ORANGE = "#222222", "#8a8a8a", "#1f5fa8", "#e08214"
LEGIBLE = 128  # so many numbers can be read in a picture of a code
CELLS = 250  # so many cells of a heat map can be seen along an edge


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
                "savefig.dpi": 150,
                "figure.facecolor": "white",
                "axes.edgecolor": GREY,
                "axes.linewidth": 0.8,
                "axes.spines.top": False,
                "axes.spines.right": False,
                "axes.titlesize": 10,
                "axes.titlelocation": "left",
                "axes.titlepad": 5,
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
    """Original, reconstruction and their difference, one column per image, with the class above and the error below."""
    n, inputs = reconstruction.shape
    x = scale(images)
    original, rebuilt = unscale(x), unscale(reconstruction)
    strips = [_mosaic(_pictures(pixels, images.shape), n) for pixels in (original, rebuilt, rebuilt - original)]
    height, width = strips[0].shape
    left, top, strip_width, gap = 1.25, 0.68, 0.62 * n - 0.06, 0.09
    strip_height = strip_width * height / width
    figure = _figure(
        f"{inputs} pixels, rebuilt from {_count(code_dimensions, 'number')}",
        top + 3 * (strip_height + gap) + 0.42,
        max(5.0, left + strip_width + 0.65),
    )
    for row, (strip, name) in enumerate(zip(strips, ("original", "reconstruction", "difference"), strict=True)):
        axes = _place(figure, left, top + row * (strip_height + gap), strip_width, strip_height)
        picture = _show_signed(axes, strip, 1.0) if name == "difference" else _show_pixels(axes, strip)
        axes.set_ylabel(name, rotation=0, ha="right", va="center")
        if row == 0:
            _label_columns(axes, [str(label) for label in labels.tolist()], images.shape[-1])
            axes.tick_params(labeltop=True, labelbottom=False)
    errors = (reconstruction - x).square().mean(1)
    _label_columns(axes, [f"{error:.3f}" for error in errors.tolist()], images.shape[-1])
    axes.set_xlabel("mean squared error of the image, pixels scaled to [−1, 1]")
    bar = _place(figure, left + strip_width + MARGIN, top + 2 * (strip_height + gap), 0.09, strip_height)
    figure.colorbar(picture, bar, ticks=[-1, 0, 1])
    return figure


def code(
    image: UInt8[Tensor, "1 channels height width"],
    code: Float[Tensor, "1 code"],
    reconstruction: Float[Tensor, "1 input"],
) -> Figure:
    """An image, its code as numbers in a picture, and its reconstruction."""
    inputs, dimensions = reconstruction.numel(), code.numel()
    title = f"{inputs} pixels → {_count(dimensions, 'number')}: {inputs / dimensions:.3g}-fold compression"
    figure = _figure(title, 2.55)
    side, gap, top = 1.75, 0.45, 0.7
    panels = (
        (MARGIN, "original", unscale(scale(image))),
        (WIDTH - MARGIN - side, r"reconstruction, $W_\mathrm{dec}\,$code", unscale(reconstruction)),
    )
    for left, name, pixels in panels:
        axes = _place(figure, left, top, side, side)
        _show_pixels(axes, _pictures(pixels, image.shape)[0])
        axes.set_title(name)
    left = MARGIN + side + gap
    axes = _place(figure, left, top, WIDTH - 2 * left, side)
    _show_code(axes, code[0], WIDTH - 2 * left)
    for x in (left - gap / 2, WIDTH - left + gap / 2):
        figure.text(x / figure.get_figwidth(), 1 - (top + side / 2) / figure.get_figheight(), "→", size=16, ha="center")
    return figure


def _show_code(axes: Axes, code: Float[Tensor, " code"], width: float) -> None:
    columns = _columns(len(code))
    cells = torch.full((math.ceil(len(code) / columns) * columns,), torch.nan)
    cells[: len(code)] = code
    limit = code.abs().max().item()
    _show_signed(axes, cells.reshape(-1, columns), limit)
    axes.set_aspect("auto")
    axes.set_title(r"code, $W_\mathrm{enc}\,$original")
    texts = [f"{value:z.1f}".replace("-", "−") for value in code.tolist()]
    if len(code) > LEGIBLE:
        axes.set_xlabel(f"{len(code)} numbers between −{limit:.1f} and {limit:.1f}")
        return
    size = min(10.0, 72 * width / columns / (0.75 * max(map(len, texts))))
    for index, (text, value) in enumerate(zip(texts, code.tolist(), strict=True)):
        colour = "white" if abs(value) > 0.6 * limit else INK
        axes.text(index % columns, index // columns, text, ha="center", va="center", size=size, color=colour)


def weights(units: Float[Tensor, "code input"], image_shape: tuple[int, int, int], title: str) -> Figure:
    """The weights of each unit as an image, all on one scale."""
    columns = _columns(len(units))
    mosaic = _mosaic(_pictures(units, image_shape), columns)
    height, width = mosaic.shape
    top, mosaic_width = 0.45, min(2.0 * columns, WIDTH - MARGIN - 0.85)
    mosaic_height = mosaic_width * height / width
    figure = _figure(title, top + mosaic_height + MARGIN)
    limit = units.abs().max().item()
    picture = _show_signed(_place(figure, MARGIN, top, mosaic_width, mosaic_height), mosaic, limit)
    figure.colorbar(picture, _place(figure, 2 * MARGIN + mosaic_width, top, 0.12, mosaic_height))
    return figure


def weight_products(
    encoder: Float[Tensor, "code input"],
    decoder: Float[Tensor, "input code"],
    principal: Float64[Tensor, "input code"],
    captured: float,
) -> Figure:
    """W_dec W_enc beside V Vᵀ, which it would be at the optimum, and W_enc W_dec, which would be the identity.

    `captured` of the principal directions, the columns of V, are in the decoder's span.
    """
    encoder, decoder = encoder.double(), decoder.double()
    learned, projector, inner = decoder @ encoder, principal @ principal.T, encoder @ decoder
    inputs, dimensions = decoder.shape
    directions = _count(dimensions, "direction")
    figure = _figure(f"The learned map has {captured:.1f} of {directions} in common with the PCA projector", 3.85)
    side, top = 2.45, 0.7
    step = (WIDTH - 2 * MARGIN - side) / 2
    pooling = math.ceil(inputs / CELLS)
    outer_limit = _pool(projector, pooling).abs().quantile(0.995).item()
    inner_limit = inner.abs().max().item()
    panels = (
        (_pool(learned, pooling), outer_limit, rf"$W_\mathrm{{dec}} W_\mathrm{{enc}}$, {inputs} × {inputs}"),
        (_pool(projector, pooling), outer_limit, rf"PCA projector $V V^\mathsf{{T}}$, {inputs} × {inputs}"),
        (inner, inner_limit, rf"$W_\mathrm{{enc}} W_\mathrm{{dec}}$, {dimensions} × {dimensions}"),
    )
    for panel, (matrix, limit, name) in enumerate(panels):
        axes = _place(figure, MARGIN + panel * step, top, side, side)
        picture = _show_signed(axes, matrix, limit)
        axes.set_title(name)
        bar = _place(figure, MARGIN + panel * step + 0.3, top + side + MARGIN, side - 0.6, 0.09)
        figure.colorbar(picture, bar, orientation="horizontal", ticks=MaxNLocator(4, symmetric=True))
        bar.set_xlabel("entry" if matrix is inner or pooling == 1 else f"entry, mean of {pooling} × {pooling}")
    return figure


def training_curve(history: Sequence[dict[str, float]], optimum: float, printed: Sequence[float]) -> Figure:
    """The rows of metrics/training.csv, the optimum, and the article's `printed` losses (none if they do not apply)."""
    epochs, train_mse, test_mse = ([row[name] for row in history] for name in ("epoch", "train_mse", "test_mse"))
    both = list(zip(epochs, test_mse, printed, strict=False))
    met = sum(round(mse / published.DIVISOR, published.DECIMALS) == loss for _, mse, loss in both)
    title = f"{test_mse[-1] / optimum:.3g} times the PCA optimum after {_count(len(test_mse), 'epoch')}"
    figure = _figure(f"{met} of {len(both)} published losses met; {title}" if both else title, 3.95)
    axes = _place(figure, 0.75, 0.4, WIDTH - 0.85, 3.05)
    if both:
        axes.errorbar(
            [epoch for epoch, _, _ in both],
            [loss * published.DIVISOR for _, _, loss in both],
            0.5 * 10**-published.DECIMALS * published.DIVISOR,
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
    axes.axhline(optimum, color=INK, lw=1, ls=(0, (5, 3)), label="test images, PCA of the same rank")
    axes.set_ylim(0)
    axes.set_xlabel("epoch")
    axes.set_ylabel("mean squared error, pixels in [−1, 1]")
    axes.xaxis.set_major_locator(_whole_numbers())
    axes.legend(frameon=False)
    return figure


def principal_angles(angles: Sequence[dict[str, float]]) -> Figure:
    """The rows of metrics/principal_angles.csv as cos² of each angle: the share of that direction that is captured."""
    n = len(angles)
    cosine_squared = [row["cosine_squared"] for row in angles]
    figure = _figure(f"The decoder spans {sum(cosine_squared):.1f} of {_count(n, 'principal direction')}", 3.4)
    axes = _place(figure, 0.75, 0.45, WIDTH - 1.45, 2.4)
    axes.bar(range(1, n + 1), cosine_squared, color=BLUE, width=0.8 if n <= LEGIBLE else 1)
    axes.set_xlim(0.4, n + 0.6)
    axes.set_ylim(0, 1)
    axes.set_xlabel("direction, by principal angle between the decoder's span and the PCA subspace")
    axes.set_ylabel("captured share, cos²(angle)")
    axes.xaxis.set_major_locator(_whole_numbers())
    right = axes.secondary_yaxis("right")
    right.set_yticks([1, 0.75, 0.5, 0.25, 0], ["0°", "30°", "45°", "60°", "90°"])
    right.set_ylabel("principal angle")
    return figure


def _figure(title: str, height: float, width: float = WIDTH) -> Figure:
    figure = Figure(figsize=(width, height))
    figure.suptitle(title, x=MARGIN / width, y=1 - 0.08 / height, ha="left", va="top", weight="bold", size=11)
    return figure


def _place(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes at a place given in inches from the upper left corner."""
    total_width, total_height = figure.get_size_inches()
    return figure.add_axes(
        (left / total_width, 1 - (top + height) / total_height, width / total_width, height / total_height)
    )


def _show_pixels(axes: Axes, pixels: Float[Tensor, "height width"]) -> AxesImage:
    """Grey from 0, black, to 1, white."""
    return _show(axes, pixels, "gray", 0.0, 1.0)


def _show_signed(axes: Axes, matrix: Float[Tensor, "height width"], limit: float) -> AxesImage:
    """Blue from -limit, white at zero, red up to limit."""
    return _show(axes, matrix, "RdBu_r", -limit, limit)


def _show(axes: Axes, matrix: Float[Tensor, "height width"], cmap: str, lowest: float, highest: float) -> AxesImage:
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    return axes.imshow(matrix.numpy(), cmap=cmap, vmin=lowest, vmax=highest)


def _label_columns(axes: Axes, texts: Sequence[str], width: int) -> None:
    """A text at each of the pictures of this width that lie side by side in a mosaic."""
    axes.set_xticks([(width + _gap(width)) * column + (width - 1) / 2 for column in range(len(texts))], texts)
    axes.tick_params(length=0)


def _pictures(pixels: Float[Tensor, "n input"], shape: Sequence[int]) -> Float[Tensor, "n height width"]:
    """Rows of pixels as the images of `shape` […, channels, height, width]; channels lie below each other."""
    return pixels.reshape(len(pixels), -1, shape[-1])


def _mosaic(pictures: Float[Tensor, "n height width"], columns: int) -> Float[Tensor, "mosaic_height mosaic_width"]:
    """Pictures row by row, with gaps of nan, which are drawn as nothing."""
    n, height, width = pictures.shape
    gap = _gap(width)
    rows = math.ceil(n / columns)
    cells = torch.full((rows * columns, height + gap, width + gap), torch.nan)
    cells[:n, :height, :width] = pictures
    canvas = cells.reshape(rows, columns, height + gap, width + gap).transpose(1, 2)
    return canvas.reshape(rows * (height + gap), columns * (width + gap))[:-gap, :-gap]


def _gap(width: int) -> int:
    return max(1, round(0.12 * width))


def _pool(matrix: Float64[Tensor, "n n"], size: int) -> Float64[Tensor, "m m"]:
    """Means of blocks of `size` × `size`."""
    pooled: Tensor = avg_pool2d(matrix.unsqueeze(0), size, ceil_mode=True)[0]
    return pooled


def _whole_numbers() -> MaxNLocator:
    return MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1)


def _columns(n: int) -> int:
    """Columns of a table of n cells: as few empty cells as can be, and wider than high."""
    root = math.ceil(math.sqrt(n))
    return min(range(root, 2 * root + 1), key=lambda columns: (-n % columns, -columns))


def _count(n: int, thing: str) -> str:
    return f"{n} {thing}" if n == 1 else f"{n} {thing}s"
