"""Which pictures explain a model: figures/family."""

from collections.abc import Mapping, Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor

from autoencoder.analysis import classify, explore, judge, linear_figures
from autoencoder.analysis import family_figures as drawn
from autoencoder.analysis.figures import choose
from autoencoder.analysis.results import Results
from autoencoder.data.images import scale, unscale
from autoencoder.models.linear import LinearAutoencoder
from autoencoder.training.objective import objective

Rows = Sequence[dict[str, float]]
POINTS, PAIRS, STEPS, SAMPLES, UNITS, SIDE, TANGENTS = 2_000, 3, 10, 72, 8, 21, 6
VALUES = torch.linspace(-3, 3, 11)


@torch.no_grad()
def draw(results: Results, mse: float, tables: Mapping[str, Rows]) -> dict[str, Figure]:
    """The figures by name. `mse` is the error on test images, `tables` are the rows of the files of metrics/family."""
    model, shape, images = results.model, results.images.shape, results.images
    codes = results.codes(images.test)
    by_rank = results.optimum.by_rank("test", centred=results.centred)
    rank = judge.equivalent_rank(mse, by_rank)
    labels = None if images.test_labels is None else classify.thin(images.test_labels, POINTS)
    points, shares = explore.leading_axes(codes)
    chosen = choose(images.test_labels, len(images.test), 10)
    figures = {
        "spectrum": drawn.spectrum(by_rank, mse, rank, codes.shape[1]),
        "code_map": drawn.code_map(classify.thin(points, POINTS), shares, labels, "their codes' two leading axes"),
    }
    if isinstance(model, LinearAutoencoder):
        return figures | linear_figures.draw(model, shape, results.optimum, tables["principal_angles"])
    if len(chosen) > 1:
        figures["interpolation"] = _interpolation(results, codes, chosen)
    constraint, number = results.description.constraint["name"], chosen[len(chosen) // 4]
    if constraint == "variational":
        figures |= _variational(results, codes[number], [row["divergence_nats"] for row in tables["units"]])
    if constraint in ("l1", "top_k"):
        figures["atoms"] = drawn.atoms(explore.atoms(model, codes), judge.activity(codes), shape)
        original = unscale(scale(images.test[number].unsqueeze(0)))
        figures["sum_of_atoms"] = drawn.sum_of_atoms(original, explore.as_sum(model, codes[number]), shape)
    if constraint == "contractive":
        some = (chosen[1::2] if len(chosen) > 1 else chosen)[:4]
        figures["contraction"] = _contraction(results, some, tables["singular_values"])
    if results.description.corruption["name"] != "none":
        figures |= _denoising(results, chosen, tables["noise_levels"])
    return figures


def _interpolation(results: Results, codes: Tensor, chosen: Tensor) -> Figure:
    pairs = min(PAIRS, len(chosen) // 2)
    first, second = chosen[:pairs], chosen[-pairs:]
    test, lowest = results.images.test, results.model.lowest
    through_code = results.model.decode(explore.blends(codes[first], codes[second], STEPS))
    through_pixels = explore.blends(results.inputs(test[first]), results.inputs(test[second]), STEPS)
    shape = results.images.shape
    return drawn.interpolation(unscale(through_code, lowest), unscale(through_pixels, lowest), shape, STEPS)


def _variational(results: Results, code: Tensor, nats: Sequence[float]) -> dict[str, Figure]:
    shape, k = results.images.shape, len(code)

    def decode(codes: Tensor) -> Tensor:
        return unscale(results.model.decode(codes), results.model.lowest)

    units = torch.tensor(nats).argsort(descending=True, stable=True)[:UNITS]
    names = [f"unit {unit + 1}\n{nats[unit]:.1f} nats" for unit in units.tolist()]
    pictures = decode(explore.traversal_codes(code, units, VALUES))
    figures = {
        "prior": drawn.prior(decode(explore.prior_codes(SAMPLES, k, 0)), shape),
        "traversal": drawn.traversal(pictures, shape, names, VALUES.tolist()),
    }
    if k == 2:  # noqa: PLR2004 (a plane)
        figures["manifold"] = drawn.manifold(decode(explore.manifold_codes(SIDE)), shape, SIDE)
    return figures


def _contraction(results: Results, chosen: Tensor, rows: Rows) -> Figure:
    x, encode = results.inputs(results.images.test[chosen]), results.model.encode
    with torch.enable_grad():
        tangents = torch.cat([judge.tangents(encode, image, TANGENTS) for image in x.split(1)])
    values = torch.tensor([row["singular_value"] for row in rows], dtype=torch.float64)
    return drawn.contraction(values, unscale(x, results.model.lowest), tangents.float(), results.images.shape)


def _denoising(results: Results, chosen: Tensor, rows: Rows) -> dict[str, Figure]:
    model, shape, asked = results.model, results.images.shape, results.description.corruption
    corruption, x = objective(results.description).corruption, results.inputs(results.images.test[chosen])
    noisy = corruption.apply(x, corruption.draw(len(x), x.shape[1], torch.Generator().manual_seed(0)))
    clean, given, rebuilt = ((pixels - model.lowest) / (1 - model.lowest) for pixels in (x, noisy, model(noisy)))
    name = f"{asked['name'].replace('_', ' ')} noise"
    optimum = [row["optimum_mse"] for row in rows] if "optimum_mse" in rows[0] else None
    levels, errors = [row["level"] for row in rows], [row["mse"] for row in rows]
    return {
        "denoising": drawn.denoising(clean, given, rebuilt, shape, f"{name} of level {asked['level']:g}"),
        "noise_levels": drawn.noise_levels(levels, errors, optimum, asked["level"], name),
    }
