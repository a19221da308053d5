import math
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from conftest import ROOT
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from render import render
from ruamel.yaml import YAML
from torch import Tensor

from autoencoder import article, paths
from autoencoder.analysis import evaluation, figures, layout, linear_figures
from autoencoder.analysis.optimum import fit, save_optimum
from autoencoder.data.images import Images, save_images, scale
from autoencoder.files import write_csv
from autoencoder.models.saved import Description, save_model
from autoencoder.training.loop import Epoch
from autoencoder.training.objective import squared_errors

EPOCH = {"epoch": 1.0, "train_mse": 0.3, "test_mse": 0.25}


@pytest.fixture(autouse=True)
def style() -> Iterator[None]:
    with layout.style():
        yield


def tick_texts(axes: Axes) -> list[str]:
    return [label.get_text() for label in axes.get_xticklabels()]


def drawn(axes: Axes) -> Tensor:
    return torch.from_numpy(np.ma.asarray(axes.get_images()[0].get_array()).filled(math.nan))


def title(figure: Figure) -> str:
    return figure.get_suptitle()


def everything(digits: Images, k: int, columns: int = 1) -> dict[str, Figure]:
    """All figures of an untrained model on digits, after one epoch."""
    model = Description("linear", k, (1, 1, 64)).build(0)
    encoder, decoder = model.encoder.linear.weight.detach(), model.decoder.linear.weight.detach()
    chosen = figures.choose(digits.test_labels, len(digits.test), columns)
    images, labels = digits.test[chosen], digits.test_labels[chosen]
    with torch.no_grad():
        codes = model.encode(scale(images))
        rebuilt = model.decode(codes)
    axes = torch.eye(64, dtype=torch.float64)[:, :k]
    return {
        "code": figures.code(images[:1], codes[:1], rebuilt[:1], figures.LINEAR_MAPS),
        "weights": linear_figures.weights(encoder, (1, 8, 8), "Encoder weights"),
        "principal_angles": linear_figures.principal_angles([{"cosine_squared": 0.5}] * k),
        "reconstructions": figures.reconstructions(images, rebuilt, labels, k),
        "training_curve": figures.training_curve([EPOCH], 0.1, article.TEST_LOSSES),
        "weight_products": linear_figures.weight_products(encoder, decoder, axes, 0.5),
    }


@pytest.mark.parametrize("count", [1, 10, 25, 1000])
def test_the_examples_are_the_first_images_of_each_class_and_at_least_one(digits: Images, count: int) -> None:
    labels = digits.test_labels
    chosen = figures.choose(labels, len(labels), count).tolist()
    assert len(chosen) == min(max(count, 10), len(labels))
    assert [labels[index] for index in chosen] == sorted(labels[index] for index in chosen)
    for digit in range(10):
        of_digit = [index for index, label in enumerate(labels.tolist()) if label == digit]
        mine = [index for index in chosen if labels[index] == digit]
        assert mine == of_digit[: len(mine)]
        assert len(mine) >= min(len(of_digit), count // 10, 1)


def test_without_classes_the_examples_are_the_first_images_and_nothing_is_written_above_them(digits: Images) -> None:
    assert figures.choose(None, 297, 4).tolist() == [0, 1, 2, 3]
    assert figures.choose(None, 3, 4).tolist() == [0, 1, 2]
    images = digits.test[:3]
    original, *_, below, _ = figures.reconstructions(images, scale(images), None, 32).axes
    assert tick_texts(original) == []
    assert tick_texts(below) == ["0.000"] * 3


def test_reconstructions_lie_below_their_originals_and_above_the_difference(digits: Images) -> None:
    images, labels = digits.test[:3], digits.test_labels[:3]
    rebuilt = scale(images) * 0.5
    rebuilt[0, 0] = 3.0  # is clamped to white
    figure = figures.reconstructions(images, rebuilt, labels, 32)
    original, reconstruction, difference, _ = figure.axes
    assert tick_texts(original) == [str(label) for label in labels.tolist()]
    second = (slice(0, 8), slice(9, 17))  # 8 pixels, a gap of 1, 8 pixels
    torch.testing.assert_close(drawn(original)[second], images[1, 0] / 255)
    torch.testing.assert_close(drawn(reconstruction)[second], images[1, 0] / 510 + 0.25)
    torch.testing.assert_close(drawn(difference)[second], 0.25 - images[1, 0] / 510)
    assert drawn(reconstruction)[0, 0] == 1
    assert title(figure) == "64 pixels, rebuilt from 32 numbers"


def test_the_errors_below_the_columns_are_those_of_the_evaluation(digits: Images) -> None:
    model = Description("linear", 2, (1, 1, 64)).build(0)
    images = digits.test[:4]
    with torch.no_grad():
        figure = figures.reconstructions(images, model(scale(images)), digits.test_labels[:4], 2)
    errors = squared_errors(model, images, 4)
    assert tick_texts(figure.axes[2]) == [f"{error:.3f}" for error in errors]


def test_the_code_is_written_as_numbers_and_the_compression_comes_from_the_data() -> None:
    code = torch.linspace(-3.1, 3.1, 32).unsqueeze(0)
    figure = figures.code(torch.zeros(1, 1, 28, 28, dtype=torch.uint8), code, torch.zeros(1, 784), ("f", "g"))
    assert [axes.get_title("left") for axes in figure.axes] == ["original", "reconstruction, g", "code, f"]
    assert title(figure) == "784 pixels → 32 numbers: 24.5-fold compression"
    panel = figure.axes[2]
    assert [text.get_text() for text in panel.texts][:2] == ["−3.1", "−2.9"]
    torch.testing.assert_close(drawn(panel).flatten(), code[0])


def test_a_long_code_is_a_picture_with_its_range() -> None:
    code = torch.linspace(-3.1, 3.1, 200).unsqueeze(0)
    image, reconstruction = torch.zeros(1, 1, 28, 28, dtype=torch.uint8), torch.zeros(1, 784)
    panel = figures.code(image, code, reconstruction, figures.MAPS).axes[2]
    assert not panel.texts
    assert panel.get_xlabel() == "200 numbers between −3.1 and 3.1"


def test_each_unit_is_a_picture_on_one_scale_with_zero_in_the_middle() -> None:
    units = torch.arange(7 * 12.0).reshape(7, 12) - 7
    axes = linear_figures.weights(units, (1, 3, 4), "Units").axes[0]
    rows, columns = 2, 4
    mosaic = drawn(axes)
    assert mosaic.shape == (rows * 3 + 1, columns * 4 + 3)
    torch.testing.assert_close(mosaic[4:7, 0:4], units[4].reshape(3, 4))
    assert mosaic[4:7, 15:].isnan().all()
    assert axes.get_images()[0].get_clim() == (-76, 76)


def test_at_the_optimum_the_products_are_the_projector_and_the_identity() -> None:
    basis = torch.linalg.qr(torch.randn(64, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64))[0]
    weights = basis.float()
    figure = linear_figures.weight_products(weights.T.contiguous(), weights, basis, 5.0)
    learned, projector, inner = (drawn(axes) for axes in figure.axes[0:6:2])
    torch.testing.assert_close(learned, basis @ basis.T, atol=1e-6, rtol=0)
    torch.testing.assert_close(projector, basis @ basis.T)
    torch.testing.assert_close(inner, torch.eye(5, dtype=torch.float64), atol=1e-6, rtol=0)
    assert title(figure) == "The learned map has 5.0 of 5 directions in common with the PCA projector"


def test_a_large_product_is_drawn_as_means_of_blocks() -> None:
    basis = torch.eye(784, 4, dtype=torch.float64)
    figure = linear_figures.weight_products(basis.T.float(), basis.float(), basis, 4.0)
    assert drawn(figure.axes[2]).shape == (196, 196)
    assert drawn(figure.axes[2])[0, 0] == 4 / 16
    assert figure.axes[3].get_xlabel() == "entry, mean of 4 × 4"


def test_the_curve_counts_the_published_losses_that_are_met() -> None:
    history = [
        EPOCH | {"epoch": float(n), "test_mse": loss * 100 + 0.004} for n, loss in enumerate(article.TEST_LOSSES, 1)
    ]
    assert title(figures.training_curve(history, 0.08, article.TEST_LOSSES)) == (
        "20 of 20 published losses met; 1.3 times the PCA optimum after 20 epochs"
    )
    history[3]["test_mse"] += 0.002
    assert title(figures.training_curve(history, 0.08, article.TEST_LOSSES)).startswith("19 of 20 published")
    assert title(figures.training_curve(history[:1], 0.127, ())) == "2 times the PCA optimum after 1 epoch"


def test_the_curve_shows_training_test_and_optimum() -> None:
    history = [EPOCH, EPOCH | {"epoch": 2.0, "test_mse": 0.2}]
    axes = figures.training_curve(history, 0.1, ()).axes[0]
    test, train, optimum = (np.asarray(line.get_ydata()).tolist() for line in axes.lines)
    assert test == [0.25, 0.2]
    assert train == [0.3, 0.3]
    assert optimum == [0.1, 0.1]


def test_the_bars_of_the_angles_are_what_is_captured() -> None:
    figure = linear_figures.principal_angles([{"cosine_squared": share} for share in (1.0, 0.75, 0.25)])
    assert [bar.get_height() for bar in figure.axes[0].patches if isinstance(bar, Rectangle)] == [1, 0.75, 0.25]
    assert title(figure) == "The decoder spans 2.0 of 3 principal directions"


@pytest.mark.parametrize(("k", "columns"), [(1, 1), (63, 30)])
def test_nothing_is_cut_off_at_the_edges(digits: Images, k: int, columns: int) -> None:
    for name, figure in everything(digits, k, columns).items():
        box = figure.get_tightbbox()
        width, height = figure.get_size_inches()
        assert min(box.x0, box.y0, width - box.x1, height - box.y1) >= 0, name


def test_the_same_tensors_give_the_same_bytes_whatever_matplotlibrc_says(digits: Images) -> None:
    expected = {name: layout.png(figure) for name, figure in everything(digits, 3).items()}
    with matplotlib.rc_context({"font.size": 30, "image.cmap": "jet", "savefig.dpi": 50}), layout.style():
        assert {name: layout.png(figure) for name, figure in everything(digits, 3).items()} == expected
    assert all(b"matplotlib" not in content for content in expected.values())


def test_render_writes_the_figures_that_dvc_yaml_names_and_the_same_again(workspace: Path, digits: Images) -> None:
    save_images(digits)
    save_optimum(fit(digits))
    description = Description("linear", 32, (1, 8, 8))
    save_model(description.build(0), description)
    write_csv(paths.TRAINING, [Epoch(1, 0.3, 0.25)])
    write_csv(paths.FAMILY / "principal_angles.csv", [evaluation.Angle(n, 60.0, 0.25) for n in range(1, 33)])
    written = []
    for _ in range(2):
        result = CliRunner().invoke(render, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        files = [path for path in workspace.glob("figures/**/*") if path.is_file()]
        written.append({str(path.relative_to(workspace)): path.read_bytes() for path in files})
    assert written[0] == written[1]
    assert "figures/family/weight_products.png" in written[0]
    found = {"/".join(name.split("/")[:2]) for name in written[0]}
    assert sorted(found) == YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]["render"]["outs"]
