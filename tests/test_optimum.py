import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA, TruncatedSVD

from autoencoder.analysis import optimum as module
from autoencoder.analysis.optimum import Optimum, fit, load_optimum, moments, principal_cosines, save_optimum
from autoencoder.data.images import Images, scale
from autoencoder.errors import UserError

RANKS = (1, 5, 32, 60)
SEEDS = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module")
def optimum(digits: Images) -> Optimum:
    return fit(digits)


def inputs(digits: Images, split: str) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return getattr(digits, split).flatten(1).double().numpy() / 127.5 - 1


@pytest.mark.parametrize("rank", RANKS)
def test_the_uncentred_optimum_is_scikit_learns_truncated_svd(digits: Images, optimum: Optimum, rank: int) -> None:
    svd = TruncatedSVD(rank, algorithm="arpack", random_state=0).fit(inputs(digits, "train"))
    for split, mse in (("train", optimum.train_mse), ("test", optimum.test_mse)):
        x = inputs(digits, split)
        expected = ((svd.inverse_transform(svd.transform(x)) - x) ** 2).mean()
        assert mse[rank].item() == pytest.approx(expected, rel=1e-5)  # torch scales in float32
    angles = subspace_angles(svd.components_.T, optimum.axes[:, :rank].numpy())
    assert np.rad2deg(angles).max() < 0.01


@pytest.mark.parametrize("rank", RANKS)
def test_the_centred_optimum_is_scikit_learns_pca(digits: Images, optimum: Optimum, rank: int) -> None:
    oracle = PCA(rank, svd_solver="full").fit(inputs(digits, "train"))
    for split, mse in (("train", optimum.centred_train_mse), ("test", optimum.centred_test_mse)):
        x = inputs(digits, split)
        expected = ((oracle.inverse_transform(oracle.transform(x)) - x) ** 2).mean()
        assert mse[rank].item() == pytest.approx(expected, rel=1e-5)


def test_the_axes_are_orthonormal_and_each_rank_is_better_than_the_last(optimum: Optimum) -> None:
    torch.testing.assert_close(optimum.axes.T @ optimum.axes, torch.eye(64, dtype=torch.float64))
    for mse in (optimum.train_mse, optimum.test_mse, optimum.centred_train_mse, optimum.centred_test_mse):
        assert len(mse) == 65
        assert (mse.diff() <= 0).all()
        assert (mse > 0).all()


def test_rank_zero_leaves_all_the_energy(digits: Images, optimum: Optimum) -> None:
    x = inputs(digits, "train")
    assert optimum.train_mse[0].item() == pytest.approx((x**2).mean(), rel=1e-6)
    assert optimum.centred_train_mse[0].item() == pytest.approx(((x - x.mean(0)) ** 2).mean(), rel=1e-6)


@given(rank=st.integers(1, 63), seed=SEEDS)
def test_no_random_map_of_the_same_rank_is_better(digits: Images, optimum: Optimum, rank: int, seed: int) -> None:
    x = scale(digits.train).double()
    generator = torch.Generator().manual_seed(seed)
    basis, _ = torch.linalg.qr(torch.randn(64, rank, dtype=torch.float64, generator=generator))
    best = optimum.axes[:, :rank]
    nearby, _ = torch.linalg.qr(best + 0.01 * basis)
    for candidate in (basis, nearby):
        assert (x - x @ candidate @ candidate.T).square().mean().item() >= optimum.train_mse[rank].item() * (1 - 1e-9)


def test_the_number_of_images_at_a_time_changes_nothing(digits: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    mean, moment = moments(digits.train)
    monkeypatch.setattr(module, "BATCH", 7)
    other_mean, other_moment = moments(digits.train)
    torch.testing.assert_close(mean, other_mean)
    torch.testing.assert_close(moment, other_moment)


@given(inputs=st.integers(6, 30), code=st.integers(1, 6), seed=SEEDS)
def test_principal_angles_are_scipys(inputs: int, code: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    first, second = (torch.randn(inputs, code, dtype=torch.float64, generator=generator) for _ in range(2))
    cosines = principal_cosines(first, second)
    assert cosines.tolist() == sorted(cosines.tolist(), reverse=True)
    expected = np.sort(subspace_angles(first.numpy(), second.numpy()))
    np.testing.assert_allclose(cosines.acos().numpy(), expected, atol=1e-7)


def test_equal_spans_have_no_angle_and_orthogonal_ones_a_right_one() -> None:
    a = torch.randn(10, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    mixed = a @ torch.tensor([[2.0, 1, 0], [0, 1, 5], [1, 0, 1]], dtype=torch.float64)
    assert principal_cosines(a, mixed).square().sum().item() == pytest.approx(3)
    axes = torch.eye(10)
    assert principal_cosines(axes[:, :3], axes[:, 3:6]).acos().tolist() == pytest.approx([math.pi / 2] * 3)
    assert principal_cosines(axes[:, :3], axes[:, 2:5]).square().sum().item() == pytest.approx(1)


def test_the_optimum_comes_back_as_it_was_and_anything_else_is_refused(optimum: Optimum, tmp_path: Path) -> None:
    path = tmp_path / "pca.safetensors"
    save_optimum(optimum, path)
    for name, tensor in vars(load_optimum(path)).items():
        saved = getattr(optimum, name)
        assert tensor is saved is None or torch.equal(tensor, saved)
    save_file({"axes": optimum.axes.contiguous()}, path)
    with pytest.raises(UserError, match=r"expected the tensors of an Optimum, found axes; dvc repro -f pca"):
        load_optimum(path)
