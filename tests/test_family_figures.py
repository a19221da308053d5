"""Codes that show what a decoder has learned, and the figures of the families."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from sklearn.decomposition import PCA
from torch import Tensor, nn

from autoencoder.analysis import explore, gallery, layout
from autoencoder.analysis import family_figures as drawn
from autoencoder.analysis.optimum import fit
from autoencoder.analysis.results import Results
from autoencoder.data.images import Images
from autoencoder.models.autoencoder import Autoencoder
from autoencoder.models.saved import describe


@pytest.fixture(autouse=True)
def style() -> Iterator[None]:
    with layout.style():
        yield


def rows(n: int, shape: tuple[int, int, int], seed: int = 0) -> Tensor:
    return torch.rand(n, shape[0] * shape[1] * shape[2], generator=torch.Generator().manual_seed(seed))


def test_a_traversal_changes_one_number_at_a_time() -> None:
    code = torch.tensor([1.0, 2, 3])
    codes = explore.traversal_codes(code, torch.tensor([2, 0]), torch.tensor([-1.0, 5]))
    assert codes.tolist() == [[1, 2, -1], [1, 2, 5], [-1, 2, 3], [5, 2, 3]]
    assert code.tolist() == [1, 2, 3]


def test_the_manifold_is_a_grid_of_quantiles_with_the_second_number_upwards() -> None:
    codes = explore.manifold_codes(3)
    quantiles = torch.distributions.Normal(0, 1).icdf(torch.tensor([1 / 6, 1 / 2, 5 / 6]))
    low, middle, high = quantiles.tolist()
    expected = [[x, y] for y in (high, middle, low) for x in (low, middle, high)]
    torch.testing.assert_close(codes, torch.tensor(expected))


def test_blends_begin_with_the_first_and_end_with_the_second() -> None:
    first, second = torch.tensor([[0.0, 0], [10, 10]]), torch.tensor([[4.0, 2], [10, 20]])
    blended = explore.blends(first, second, 3)
    assert blended.tolist() == [[0, 0], [2, 1], [4, 2], [10, 10], [10, 15], [10, 20]]


def test_the_leading_axes_are_scikit_learns_pca() -> None:
    codes = torch.randn(50, 5, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 5, 3, 2, 1])
    points, shares = explore.leading_axes(codes)
    oracle = PCA(2, svd_solver="full").fit(codes.double().numpy())
    expected = np.abs(oracle.transform(codes.double().numpy()))
    np.testing.assert_allclose(points.abs().numpy(), expected, rtol=1e-9)
    np.testing.assert_allclose(shares, oracle.explained_variance_ratio_)


def test_a_code_of_one_number_lies_on_a_line() -> None:
    points, shares = explore.leading_axes(torch.tensor([[1.0], [3.0]]))
    assert points.tolist() == [[-1, 0], [1, 0]]
    assert shares == [1, 0]


def linear_model() -> Autoencoder:
    decoder = nn.Linear(3, 4)
    with torch.no_grad():
        decoder.weight.copy_(torch.arange(12.0).reshape(4, 3))
        decoder.bias.copy_(torch.tensor([1.0, 2, 3, 4]))
    return Autoencoder(nn.Identity(), decoder)


def test_an_atom_of_a_linear_decoder_is_a_column_of_weights_at_its_mean_active_value() -> None:
    found = explore.atoms(linear_model(), torch.tensor([[2.0, 0, 0], [4, 1, 0]]))
    weights = torch.arange(12.0).reshape(4, 3)
    torch.testing.assert_close(found, torch.stack([3 * weights[:, 0], weights[:, 1], 0 * weights[:, 2]]) / 2)


def test_a_sum_of_atoms_begins_with_the_largest_and_ends_with_the_reconstruction() -> None:
    model = linear_model()
    code = torch.tensor([0.5, 0, -2])
    parts = explore.as_sum(model, code)
    assert parts.units == [2, 0]
    assert parts.values == [-2, 0.5]
    torch.testing.assert_close(parts.start, (model.decode(torch.zeros(1, 3)) + 1) / 2)
    torch.testing.assert_close(parts.so_far[-1:], (model.decode(code.unsqueeze(0)) + 1) / 2)
    torch.testing.assert_close(parts.start + parts.added.sum(0, keepdim=True), parts.so_far[-1:])


def test_a_code_of_zeros_is_a_sum_of_nothing() -> None:
    parts = explore.as_sum(linear_model(), torch.zeros(3))
    assert parts.units == []
    assert len(parts.added) == 0


def everything(shape: tuple[int, int, int], labels: Tensor | None) -> dict[str, Figure]:
    """All figures of the families, from random pixels."""
    n = shape[0] * shape[1] * shape[2]
    codes = torch.randn(30, 40, generator=torch.Generator().manual_seed(0)).relu()
    torch.manual_seed(0)
    model = Autoencoder(nn.Identity(), nn.Linear(40, n))
    points, shares = explore.leading_axes(codes)
    curve = torch.linspace(0.3, 0.01, 101, dtype=torch.float64)
    activity = torch.cat([torch.linspace(1, 0.001, 35, dtype=torch.float64), torch.zeros(5, dtype=torch.float64)])
    return {
        "prior": drawn.prior(rows(72, shape), shape),
        "traversal": drawn.traversal(
            rows(33, shape), shape, ["unit 1\n2.1 nats"] * 3, torch.linspace(-3, 3, 11).tolist()
        ),
        "manifold": drawn.manifold(rows(441, shape), shape, 21),
        "interpolation": drawn.interpolation(rows(30, shape), rows(30, shape), shape, 10),
        "code_map": drawn.code_map(points, shares, labels, "the two leading axes of their codes"),
        "spectrum": drawn.spectrum(curve, 0.02, 72.3, 32),
        "atoms": drawn.atoms(explore.atoms(model, codes), activity, shape),
        "sum_of_atoms": drawn.sum_of_atoms(rows(1, shape), explore.as_sum(model, codes[0]), shape),
        "denoising": drawn.denoising(rows(10, shape), rows(10, shape, 1), rows(10, shape, 2), shape, "gaussian noise"),
        "noise_levels": drawn.noise_levels([0, 0.5, 1], [0.1, 0.2, 0.3], [0.1, 0.3, 0.4], 0.5, "gaussian noise"),
        "contraction": drawn.contraction(
            torch.linspace(1, 0.1, 32, dtype=torch.float64), rows(4, shape), rows(24, shape).double() - 0.5, shape
        ),
        "grid": drawn.grid(rows(10, shape), rows(10, shape), shape),
    }


@pytest.mark.parametrize(("shape", "classes"), [((1, 8, 8), None), ((3, 9, 12), 10), ((1, 28, 28), 30)])
def test_no_family_figure_is_cut_off_at_the_edges(shape: tuple[int, int, int], classes: int | None) -> None:
    labels = None if classes is None else (torch.arange(30) % classes).byte()
    for name, figure in everything(shape, labels).items():
        box = figure.get_tightbbox()
        width, height = figure.get_size_inches()
        assert min(box.x0, box.y0, width - box.x1, height - box.y1) >= -1e-9, name


def test_the_same_tensors_give_the_same_bytes() -> None:
    first, again = (
        {name: layout.png(figure) for name, figure in everything((1, 8, 8), None).items()} for _ in range(2)
    )
    assert first == again


def test_the_most_active_atoms_come_first_and_the_dead_ones_are_counted() -> None:
    pictures = torch.eye(4).repeat_interleave(16, 1)
    figure = drawn.atoms(pictures, torch.tensor([0.0, 0.25, 1.0, 0.004], dtype=torch.float64), (1, 8, 8))
    assert figure.get_suptitle() == "What a unit adds to a picture: the 3 most active of 4 units; 1 never active"
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["100%", "25%", "0.4%"]


def test_units_that_are_never_active_are_counted_where_all_are() -> None:
    figure = drawn.atoms(torch.zeros(4, 64), torch.zeros(4, dtype=torch.float64), (1, 8, 8))
    assert figure.get_suptitle() == "What a unit adds to a picture: 4 units; 4 never active"
    assert layout.png(figure)


def test_a_sum_of_nothing_is_the_code_0() -> None:
    nothing = torch.zeros(0, 4)
    parts = explore.Sum([], [], torch.full((1, 4), 0.25), nothing, nothing)
    figure = drawn.sum_of_atoms(torch.zeros(1, 4), parts, (1, 2, 2))
    assert [label.get_text() for label in figure.axes[1].get_xticklabels()] == ["code 0", "all 0", "original"]
    assert layout.png(figure)


@pytest.mark.parametrize("constraint", ["none", "l1", "contractive", "variational"])
def test_a_single_test_image_and_a_code_of_zeros_are_drawn(digits: Images, constraint: str) -> None:
    few = replace(digits, test=digits.test[:1], test_labels=digits.test_labels[:1])
    asked = {"name": "mlp", "code_dimensions": 4, "hidden": [], "activation": "relu"}
    description = describe(few, asked, constraint={"name": constraint, "strength": 1.0})
    model = description.build(1)
    with torch.no_grad():
        for weight in model.encoder.parameters():
            weight.zero_()
    tables = {"units": [{"divergence_nats": 0.0}] * 4, "singular_values": [{"singular_value": 0.0}] * 4}
    figures = gallery.draw(Results(few, model, description, fit(few)), 0.5, tables)
    assert "interpolation" not in figures
    assert "nan" not in figures["code_map"].axes[0].get_xlabel()
    assert all(layout.png(figure) for figure in figures.values())


def test_errors_below_denoised_images_are_those_of_pixels_on_minus_one_to_one() -> None:
    clean = torch.zeros(2, 64)
    figure = drawn.denoising(clean, clean + 0.5, clean + 0.1, (1, 8, 8), "noise")
    assert [label.get_text() for label in figure.axes[-1].get_xticklabels()] == ["1.00\n→ 0.04"] * 2


def test_a_sum_has_a_picture_for_every_step_shown_and_for_all() -> None:
    parts = replace(explore.as_sum(linear_model(), torch.tensor([3.0, 2, 1])))
    figure = drawn.sum_of_atoms(torch.zeros(1, 4), parts, (1, 2, 2), shown=2)
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["", "3.0", "2.0", "", ""]
    assert [label.get_text() for label in figure.axes[1].get_xticklabels()][-2:] == ["all 3", "original"]


@pytest.mark.parametrize(("classes", "markers"), [(None, 1), (1, 1), (10, 10), (11, 1)])
def test_classes_have_colours_and_names_up_to_ten(classes: int | None, markers: int) -> None:
    points = torch.rand(30, 2, dtype=torch.float64)
    labels = None if classes is None else (torch.arange(30) % classes).byte()
    axes = drawn.code_map(points, [0.6, 0.4], labels, "something").axes[0]
    assert len(axes.collections) == markers
    assert len(axes.texts) == (classes or 0)
