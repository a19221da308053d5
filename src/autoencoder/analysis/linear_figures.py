"""Figures of what only linear models have: weights that are images, their products, and the subspace they span."""

import math
from collections.abc import Sequence

from jaxtyping import Float, Float64
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor
from torch.nn.functional import avg_pool2d

from autoencoder.analysis.layout import (
    BLUE,
    LEGIBLE,
    MARGIN,
    WIDTH,
    count,
    mosaic,
    new_figure,
    pictures,
    place,
    show_signed,
    table_columns,
    whole_numbers,
)
from autoencoder.analysis.optimum import Optimum
from autoencoder.models.linear import LinearAutoencoder

CELLS = 250  # so many cells of a heat map can be seen along an edge


def draw(
    model: LinearAutoencoder, shape: tuple[int, int, int], optimum: Optimum, angles: Sequence[dict[str, float]]
) -> dict[str, Figure]:
    """The figures by name, for images of `shape`, with `angles` as in metrics/family/principal_angles.csv."""
    encoder, decoder = model.encoder.linear.weight.detach(), model.decoder.linear.weight.detach()
    axes = optimum.axes[:, : len(encoder)]
    captured = sum(row["cosine_squared"] for row in angles)
    return {
        "decoder_weights": weights(decoder.T, shape, "Decoder weights: what each unit draws"),
        "encoder_weights": weights(encoder, shape, "Encoder weights: what each unit looks for"),
        "principal_angles": principal_angles(angles),
        "weight_products": weight_products(encoder, decoder, axes, captured),
    }


def weights(units: Float[Tensor, "code input"], image_shape: tuple[int, int, int], title: str) -> Figure:
    """The weights of each unit as an image, all on one scale."""
    columns = table_columns(len(units))
    atoms = mosaic(pictures(units, image_shape), columns)
    height, width = atoms.shape[:2]
    top, mosaic_width = 0.45, min(2.0 * columns, WIDTH - MARGIN - 0.85)
    mosaic_height = mosaic_width * height / width
    figure = new_figure(title, top + mosaic_height + MARGIN)
    limit = units.abs().max().item()
    picture = show_signed(place(figure, MARGIN, top, mosaic_width, mosaic_height), atoms, limit)
    figure.colorbar(picture, place(figure, 2 * MARGIN + mosaic_width, top, 0.12, mosaic_height))
    return figure


def weight_products(
    encoder: Float[Tensor, "code input"],
    decoder: Float[Tensor, "input code"],
    principal: Float64[Tensor, "input axes"],
    captured: float,
) -> Figure:
    """W_dec W_enc beside V Vᵀ, which it would be at the optimum, and W_enc W_dec, which would be the identity.

    `captured` of the principal directions, the columns of V, are in the decoder's span.
    """
    encoder, decoder = encoder.double(), decoder.double()
    inputs, dimensions = decoder.shape
    pooling = math.ceil(inputs / CELLS)
    learned = _pooled_product(decoder, encoder, pooling)
    projector, inner = _pooled_product(principal, principal.T, pooling), encoder @ decoder
    directions = count(principal.shape[1], "direction")
    figure = new_figure(f"The learned map has {captured:.1f} of {directions} in common with the PCA projector", 3.85)
    side, top = 2.45, 0.7
    step = (WIDTH - 2 * MARGIN - side) / 2
    outer_limit = projector.abs().quantile(0.995).item()
    inner_limit = inner.abs().max().item()
    panels = (
        (learned, outer_limit, rf"$W_\mathrm{{dec}} W_\mathrm{{enc}}$, {inputs} × {inputs}"),
        (projector, outer_limit, rf"PCA projector $V V^\mathsf{{T}}$, {inputs} × {inputs}"),
        (inner, inner_limit, rf"$W_\mathrm{{enc}} W_\mathrm{{dec}}$, {dimensions} × {dimensions}"),
    )
    for panel, (matrix, limit, name) in enumerate(panels):
        axes = place(figure, MARGIN + panel * step, top, side, side)
        picture = show_signed(axes, matrix, limit)
        axes.set_title(name)
        bar = place(figure, MARGIN + panel * step + 0.3, top + side + MARGIN, side - 0.6, 0.09)
        figure.colorbar(picture, bar, orientation="horizontal", ticks=MaxNLocator(4, symmetric=True))
        bar.tick_params(labelsize=10 if limit > 0.01 else 8)  # noqa: PLR2004 (more digits)
        bar.set_xlabel("entry" if matrix is inner or pooling == 1 else f"entry, mean of {pooling} × {pooling}")
    return figure


def principal_angles(angles: Sequence[dict[str, float]]) -> Figure:
    """The rows of metrics/family/principal_angles.csv as cos² of each angle: the captured share of that direction."""
    n = len(angles)
    cosine_squared = [row["cosine_squared"] for row in angles]
    figure = new_figure(f"The decoder spans {sum(cosine_squared):.1f} of {count(n, 'principal direction')}", 3.4)
    axes = place(figure, 0.75, 0.45, WIDTH - 1.45, 2.4)
    axes.bar(range(1, n + 1), cosine_squared, color=BLUE, width=0.8 if n <= LEGIBLE else 1)
    axes.set_xlim(0.4, n + 0.6)
    axes.set_ylim(0, 1)
    axes.set_xlabel("direction, by principal angle between the decoder's span and the PCA subspace")
    axes.set_ylabel("captured share, cos²(angle)")
    axes.xaxis.set_major_locator(whole_numbers())
    right = axes.secondary_yaxis("right")
    right.set_yticks([1, 0.75, 0.5, 0.25, 0], ["0°", "30°", "45°", "60°", "90°"])
    right.set_ylabel("principal angle")
    return figure


def _pooled_product(
    left: Float64[Tensor, "n code"], right: Float64[Tensor, "code n"], size: int
) -> Float64[Tensor, "m m"]:
    """Means of blocks of `size` × `size` of left @ right, which itself may not fit into memory."""
    rows: Tensor = avg_pool2d(left.unsqueeze(0), (size, 1), ceil_mode=True)[0]
    columns: Tensor = avg_pool2d(right.unsqueeze(0), (1, size), ceil_mode=True)[0]
    return rows @ columns
