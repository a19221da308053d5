from typing import Any

import pytest
import torch
from torch import Tensor

from autoencoder.analysis.evaluation import Angle, compare_subspaces, errors, errors_by_image
from autoencoder.analysis.optimum import Optimum, fit
from autoencoder.analysis.results import Results
from autoencoder.data.images import Images, scale
from autoencoder.models.autoencoder import Autoencoder
from autoencoder.models.linear import LinearAutoencoder
from autoencoder.models.saved import Description

CODE = 20
DESCRIPTION = Description("linear", CODE, (1, 8, 8))


@pytest.fixture(scope="module")
def optimum(digits: Images) -> Optimum:
    return fit(digits)


@pytest.fixture(scope="module")
def model() -> LinearAutoencoder:
    return DESCRIPTION.build(1)


def of_weights(encoder: Tensor, decoder: Tensor) -> LinearAutoencoder:
    model = LinearAutoencoder(64, CODE)
    model.load_state_dict({"encoder.linear.weight": encoder.float(), "decoder.linear.weight": decoder.float()})
    return model


def evaluate(
    model: LinearAutoencoder, digits: Images, optimum: Optimum
) -> tuple[dict[str, dict[str, Any]], list[Angle]]:
    """All that stage evaluate records of a linear model."""
    results = Results(digits, model, DESCRIPTION, optimum)
    figures = errors(results, errors_by_image(results, 100))
    pca, angles = compare_subspaces(model, optimum)
    return figures | {"pca": pca}, angles


def test_the_figures_are_in_the_units_that_their_names_say(
    digits: Images, optimum: Optimum, model: LinearAutoencoder
) -> None:
    figures, _ = evaluate(model, digits, optimum)
    for split in ("test", "train"):
        x = scale(getattr(digits, split))
        in_unit_interval = (0.5 * (model(x) + 1) - 0.5 * (x + 1)).double().square().mean().item()
        assert figures[split]["mse_unit"] == pytest.approx(in_unit_interval, rel=1e-5)
        assert figures[split]["mse"] == pytest.approx(4 * in_unit_interval, rel=1e-5)
        assert figures[split]["ratio_to_optimum"] == figures[split]["mse"] / figures[split]["optimum_mse"]
    assert figures["pca"]["compression"] == 64 / CODE


def test_the_published_loss_is_the_articles_sum_of_batch_means_over_the_number_of_images(
    digits: Images, optimum: Optimum, model: LinearAutoencoder
) -> None:
    images = digits.train  # 15 batches of 100
    total = 0.0
    for batch in scale(images).split(100):
        total += torch.nn.functional.mse_loss(model(batch), batch).item()
    figures, _ = evaluate(model, digits, optimum)
    assert figures["train"]["loss_as_published"] == pytest.approx(total / len(images), rel=1e-5)


def test_a_model_that_is_the_principal_projector_is_optimal(digits: Images, optimum: Optimum) -> None:
    axes = optimum.axes[:, :CODE]
    mix = torch.randn(CODE, CODE, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for encoder, decoder in ((axes.T, axes), (mix.inverse() @ axes.T, axes @ mix)):
        figures, angles = evaluate(of_weights(encoder, decoder), digits, optimum)
        assert figures["train"]["ratio_to_optimum"] == pytest.approx(1, rel=1e-4)
        assert figures["test"]["ratio_to_optimum"] == pytest.approx(1, rel=1e-4)
        assert figures["pca"]["directions_captured"] == pytest.approx(CODE, abs=1e-6)
        assert figures["pca"]["largest_angle_degrees"] < 0.01
        assert len(angles) == CODE


def test_a_model_of_the_last_axes_captures_nothing(digits: Images, optimum: Optimum) -> None:
    axes = optimum.axes[:, -CODE:]
    figures, angles = evaluate(of_weights(axes.T, axes), digits, optimum)
    assert figures["pca"]["directions_captured"] == pytest.approx(0, abs=1e-9)
    assert figures["train"]["ratio_to_optimum"] > 10
    assert [angle.degrees for angle in angles] == pytest.approx([90] * CODE)


def test_no_model_is_better_than_the_optimum_on_its_training_images(
    digits: Images, optimum: Optimum, model: LinearAutoencoder
) -> None:
    figures, _ = evaluate(model, digits, optimum)
    assert figures["train"]["ratio_to_optimum"] > 1
    assert figures["train"]["centred_optimum_mse"] < figures["train"]["optimum_mse"]


def test_angles_ascend_and_add_up_to_the_directions_captured(
    digits: Images, optimum: Optimum, model: LinearAutoencoder
) -> None:
    figures, angles = evaluate(model, digits, optimum)
    degrees = [angle.degrees for angle in angles]
    assert degrees == sorted(degrees)
    assert [angle.direction for angle in angles] == list(range(1, CODE + 1))
    assert sum(angle.cosine_squared for angle in angles) == pytest.approx(figures["pca"]["directions_captured"])
    assert figures["pca"]["largest_angle_degrees"] == degrees[-1]


def test_a_model_of_any_form_is_judged_beside_the_best_linear_map(digits: Images, optimum: Optimum) -> None:
    class Scaled(Autoencoder):
        """Doubles each pixel, where a code is as long as an image."""

        def __init__(self) -> None:
            super().__init__(torch.nn.Identity(), torch.nn.Identity())
            self.factor = torch.nn.Parameter(torch.tensor(2.0))

        def encode(self, x: Tensor) -> Tensor:
            return x

        def decode(self, code: Tensor) -> Tensor:
            return self.factor * code

    results = Results(digits, Scaled(), DESCRIPTION, optimum)
    figures = errors(results, errors_by_image(results, 100))
    assert figures.keys() == {"train", "test"}
    for split in figures:
        expected = scale(getattr(digits, split)).double().square().mean().item()  # (2 x - x)²
        assert figures[split]["mse"] == pytest.approx(expected, rel=1e-5)
        assert figures[split]["ratio_to_optimum"] == figures[split]["mse"] / figures[split]["optimum_mse"]
