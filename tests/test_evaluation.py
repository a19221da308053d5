import pytest
import torch
from torch import Tensor

from autoencoder.analysis import evaluation, optimum
from autoencoder.data.images import Images, scale
from autoencoder.models.linear import LinearAutoencoder
from autoencoder.models.saved import Description

CODE = 20


@pytest.fixture(scope="module")
def optimum(digits: Images) -> optimum.Optimum:
    return optimum.fit(digits.train, digits.test)


@pytest.fixture(scope="module")
def model() -> LinearAutoencoder:
    return Description("linear", CODE, (1, 1, 64)).build(1)


def of_weights(encoder: Tensor, decoder: Tensor) -> LinearAutoencoder:
    model = LinearAutoencoder(64, CODE)
    model.load_state_dict({"encoder.linear.weight": encoder.float(), "decoder.linear.weight": decoder.float()})
    return model


def test_the_figures_are_in_the_units_that_their_names_say(
    digits: Images, optimum: optimum.Optimum, model: LinearAutoencoder
) -> None:
    figures, _ = evaluation.evaluate(model, digits, optimum, 100)
    for split in ("test", "train"):
        x = scale(digits[f"{split}_images"])
        in_unit_interval = (0.5 * (model(x) + 1) - 0.5 * (x + 1)).double().square().mean().item()
        assert figures[split]["mse_unit"] == pytest.approx(in_unit_interval, rel=1e-5)
        assert figures[split]["mse"] == pytest.approx(4 * in_unit_interval, rel=1e-5)
        assert figures[split]["ratio_to_optimum"] == figures[split]["mse"] / figures[split]["optimum_mse"]
    assert figures["pca"]["compression"] == 64 / CODE


def test_the_published_loss_is_the_articles_sum_of_batch_means_over_the_number_of_images(
    digits: Images, optimum: optimum.Optimum, model: LinearAutoencoder
) -> None:
    images = digits.train  # 15 batches of 100
    total = 0.0
    for batch in scale(images).split(100):
        total += torch.nn.functional.mse_loss(model(batch), batch).item()
    figures, _ = evaluation.evaluate(model, digits, optimum, 100)
    assert figures["train"]["loss_as_published"] == pytest.approx(total / len(images), rel=1e-5)


def test_a_model_that_is_the_principal_projector_is_optimal(digits: Images, optimum: optimum.Optimum) -> None:
    axes = optimum.axes[:, :CODE]
    mix = torch.randn(CODE, CODE, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for encoder, decoder in ((axes.T, axes), (mix.inverse() @ axes.T, axes @ mix)):
        figures, angles = evaluation.evaluate(of_weights(encoder, decoder), digits, optimum, 100)
        assert figures["train"]["ratio_to_optimum"] == pytest.approx(1, rel=1e-4)
        assert figures["test"]["ratio_to_optimum"] == pytest.approx(1, rel=1e-4)
        assert figures["pca"]["directions_captured"] == pytest.approx(CODE, abs=1e-6)
        assert figures["pca"]["largest_angle_degrees"] < 0.01
        assert len(angles) == CODE


def test_a_model_of_the_last_axes_captures_nothing(digits: Images, optimum: optimum.Optimum) -> None:
    axes = optimum.axes[:, -CODE:]
    figures, angles = evaluation.evaluate(of_weights(axes.T, axes), digits, optimum, 100)
    assert figures["pca"]["directions_captured"] == pytest.approx(0, abs=1e-9)
    assert figures["train"]["ratio_to_optimum"] > 10
    assert [angle.degrees for angle in angles] == pytest.approx([90] * CODE)


def test_no_model_is_better_than_the_optimum_on_its_training_images(
    digits: Images, optimum: optimum.Optimum, model: LinearAutoencoder
) -> None:
    figures, _ = evaluation.evaluate(model, digits, optimum, 100)
    assert figures["train"]["ratio_to_optimum"] > 1
    assert figures["train"]["centred_optimum_mse"] < figures["train"]["optimum_mse"]


def test_angles_ascend_and_add_up_to_the_directions_captured(
    digits: Images, optimum: optimum.Optimum, model: LinearAutoencoder
) -> None:
    figures, angles = evaluation.evaluate(model, digits, optimum, 100)
    degrees = [angle.degrees for angle in angles]
    assert degrees == sorted(degrees)
    assert [angle.direction for angle in angles] == list(range(1, CODE + 1))
    assert sum(angle.cosine_squared for angle in angles) == pytest.approx(figures["pca"]["directions_captured"])
    assert figures["pca"]["largest_angle_degrees"] == degrees[-1]
