"""The optimum of images of many pixels, against the eigenvectors of the whole second moment."""

import pytest
import torch

from autoencoder.analysis import subspace
from autoencoder.analysis.optimum import fit, principal_cosines
from autoencoder.data.images import Images


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
