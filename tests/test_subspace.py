"""The optimum of images of many pixels, against the eigenvectors of the whole second moment."""

from dataclasses import asdict

import pytest
import torch

from autoencoder.analysis import linear_figures, subspace
from autoencoder.analysis.evaluation import class_errors, compare_subspaces, errors, errors_by_image
from autoencoder.analysis.optimum import fit, principal_cosines
from autoencoder.analysis.results import Results
from autoencoder.data.images import Images
from autoencoder.models.saved import Description


def test_the_leading_ranks_are_those_of_the_whole_decomposition(
    digits: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subspace, "RANKS", 10)
    monkeypatch.setattr(subspace, "MORE", 10)
    monkeypatch.setattr(subspace, "BATCH_PIXELS", 64 * 100)
    whole, leading = fit(digits), subspace.fit_leading(digits)
    assert leading.axes.shape == (64, 10)
    for name in ("train_mse", "centred_train_mse"):
        excess = getattr(leading, name) / getattr(whole, name)[:11] - 1
        assert excess.abs().max() < 1e-4
        assert excess.min() > -1e-12
    for name in ("test_mse", "centred_test_mse"):
        torch.testing.assert_close(getattr(leading, name), getattr(whole, name)[:11], rtol=1e-3, atol=0)
    assert principal_cosines(leading.axes, whole.axes[:, :10]).min() > 0.999


def test_there_are_no_more_ranks_than_images(digits: Images) -> None:
    few = Images(digits.train[:5], digits.test[:5])
    assert len(subspace.fit_leading(few).train_mse) == 6


def test_a_code_longer_than_the_known_ranks_is_judged_without_its_optimum(digits: Images) -> None:
    description = Description("linear", 8, (1, 8, 8))
    model = description.build(0)
    few = Images(digits.train[:5], digits.test[:5], digits.train_labels[:5], digits.test_labels[:5])
    results = Results(few, model, description, subspace.fit_leading(few))
    assert results.optimum_mse("test") is None
    figures = errors(results, errors_by_image(results, 100))["test"]
    assert "ratio_to_optimum" not in figures
    assert figures["equivalent_rank"] <= 5
    assert class_errors(results, 1, iter).keys() == {"probe_error", "neighbour_error"}
    pca, angles = compare_subspaces(model, results.optimum)
    assert (pca["code_dimensions"], len(angles)) == (8, 5)
    rows = [asdict(angle) for angle in angles]
    figure = linear_figures.draw(model, (1, 8, 8), results.optimum, rows)["weight_products"]
    assert "of 5 directions" in figure.get_suptitle()
