"""The common look of all figures: style, colours, places in inches, pictures in mosaics."""

import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import matplotlib
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator
from torch import Tensor

WIDTH = 8.0  # inches, as are all lengths below
MARGIN = 0.1
INK, GREY, BLUE, ORANGE = "#222222", "#8a8a8a", "#1f5fa8", "#e08214"
LEGIBLE = 128  # so many numbers can be read in a picture of a code


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


def new_figure(title: str, height: float, width: float = WIDTH) -> Figure:
    """An empty figure with its title, of a size in inches."""
    figure = Figure(figsize=(width, height))
    figure.suptitle(title, x=MARGIN / width, y=1 - 0.08 / height, ha="left", va="top", weight="bold", size=11)
    return figure


def place(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes at a place given in inches from the upper left corner."""
    total_width, total_height = figure.get_size_inches()
    return figure.add_axes(
        (left / total_width, 1 - (top + height) / total_height, width / total_width, height / total_height)
    )


def show_pixels(axes: Axes, pixels: Float[Tensor, "height width *rgb"]) -> AxesImage:
    """Grey from 0, black, to 1, white; or red, green and blue."""
    return _show(axes, pixels, "gray", 0.0, 1.0)


def show_signed(axes: Axes, matrix: Float[Tensor, "height width *rgb"], limit: float) -> AxesImage:
    """Blue from -limit, white at zero, red up to limit; each channel of a colour picture from dark to bright."""
    return _show(axes, matrix, "RdBu_r" if matrix.ndim == len(("height", "width")) else "gray", -limit, limit)


def _show(
    axes: Axes, matrix: Float[Tensor, "height width *rgb"], cmap: str, lowest: float, highest: float
) -> AxesImage:
    """Of colours matplotlib asks for numbers between 0 and 1; their gaps become white."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    if matrix.ndim > len(("height", "width")):
        matrix = ((matrix - lowest) / (highest - lowest)).clamp(0, 1).nan_to_num(1.0)
    return axes.imshow(matrix.numpy(), cmap=cmap, vmin=lowest, vmax=highest)


def label_columns(axes: Axes, texts: Sequence[str], width: int) -> None:
    """A text at each of the pictures of this width that lie side by side in a mosaic."""
    axes.set_xticks([(width + column_gap(width)) * column + (width - 1) / 2 for column in range(len(texts))], texts)
    axes.tick_params(length=0)


def pictures(pixels: Float[Tensor, "n input"], shape: Sequence[int]) -> Float[Tensor, "n height width *rgb"]:
    """Rows of pixels as the images of `shape` […, channels, height, width].

    Three channels become colours, the last dimension; any other number of channels lie below each other.
    """
    if shape[-3] == len("rgb"):
        return pixels.reshape(len(pixels), *shape[-3:]).movedim(1, -1)
    return pixels.reshape(len(pixels), -1, shape[-1])


def mosaic(
    pictures: Float[Tensor, "n height width *rgb"], columns: int
) -> Float[Tensor, "mosaic_height mosaic_width *rgb"]:
    """Pictures row by row, with gaps of nan, which are drawn as nothing."""
    n, height, width, *rgb = pictures.shape
    gap = column_gap(width)
    rows = math.ceil(n / columns)
    cells = torch.full((rows * columns, height + gap, width + gap, *rgb), torch.nan)
    cells[:n, :height, :width] = pictures
    canvas = cells.reshape(rows, columns, height + gap, width + gap, *rgb).transpose(1, 2)
    return canvas.reshape(rows * (height + gap), columns * (width + gap), *rgb)[:-gap, :-gap]


def column_gap(width: int) -> int:
    """The gap between pictures of this width in a mosaic, in pixels."""
    return max(1, round(0.12 * width))


def whole_numbers() -> MaxNLocator:
    """Ticks for an axis of whole numbers."""
    return MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1)


def table_columns(n: int) -> int:
    """Columns of a table of n cells: as few empty cells as can be, and wider than high."""
    root = math.ceil(math.sqrt(n))
    return min(range(root, 2 * root + 1), key=lambda columns: (-n % columns, -columns))


def count(n: int, thing: str) -> str:
    """`1 number`, `2 numbers`."""
    return f"{n} {thing}" if n == 1 else f"{n} {thing}s"
