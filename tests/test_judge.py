"""What the judge measures, against scikit-learn and closed forms; the optima that theory knows, found by descent."""

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from autoencoder.analysis import classify, judge
from autoencoder.analysis.optimum import fit
from autoencoder.data.images import Images, scale
from autoencoder.models.autoencoder import Autoencoder
from autoencoder.models.constraint import Constraint, TopK, Variational, divergence
from autoencoder.models.networks import mlp
from autoencoder.training.corruption import CORRUPTIONS, Corruption, Gaussian, Masking
from autoencoder.training.objective import CrossEntropy, Objective, SquaredError

SPECTRUM = torch.tensor([3.0, 2.0, 1.2, 0.3, 0.2, 0.1], dtype=torch.float64)  # variances of `data` along its axes
NOTHING = torch.empty(0)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(scope="module")
def axes() -> Tensor:
    return torch.linalg.qr(normal(6, 6, seed=1))[0]


@pytest.fixture(scope="module")
def data(axes: Tensor) -> Tensor:
    """200 rows with the mean 0 and exactly the covariance `axes` diag(SPECTRUM) `axes`ᵀ."""
    rows = normal(200, 6)
    rows = torch.linalg.qr(rows - rows.mean(0))[0] * math.sqrt(200)
    return rows * SPECTRUM.sqrt() @ axes.T


def minimise(model: nn.Module, loss: object, steps: int = 400) -> float:
    """The loss that L-BFGS ends with."""
    optimizer = torch.optim.LBFGS(
        model.parameters(), max_iter=steps, tolerance_grad=1e-10, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss()  # type: ignore[operator]
        value.backward()
        return value

    optimizer.step(closure)
    return closure().item()


def linear(code: int, width: int, seed: int = 0) -> tuple[nn.Sequential, nn.Sequential]:
    torch.manual_seed(seed)
    encoder, decoder = mlp((1, 2, 3), code, width, hidden=[], activation="relu")
    return encoder.double(), decoder.double()


def every_sign(n: int, code: int) -> Tensor:
    """2 · code rows of noise for each of n inputs, with the mean 0 and the covariance 1: exact for squared errors."""
    directions = math.sqrt(code) * torch.eye(code, dtype=torch.float64)
    return torch.cat([directions, -directions]).repeat(n, 1)


def test_a_linear_variational_autoencoder_with_squared_error_finds_probabilistic_pca(
    data: Tensor, axes: Tensor
) -> None:
    """Tipping & Bishop 1999; Lucas et al. 2019: with noise σ² the decoder is U (Λ - σ²)^½, and the bound is tight."""
    variance = 0.4  # of a pixel, half the strength
    objective = Objective(Corruption(), Variational(strength=2 * variance), SquaredError())
    model = Autoencoder(*linear(3, 6), Variational())
    x, noise = data.repeat_interleave(6, 0), every_sign(len(data), 3)
    minimise(model, lambda: objective(model, x, NOTHING, noise)[0], 1_000)
    decoder = model.decoder[0]
    signal = axes[:, :3] * (SPECTRUM[:3] - variance) @ axes[:, :3].T
    torch.testing.assert_close(decoder.weight @ decoder.weight.T, signal, atol=1e-3, rtol=0)
    torch.testing.assert_close(decoder.bias, data.mean(0), atol=1e-4, rtol=0)
    covariance = signal + variance * torch.eye(6, dtype=torch.float64)
    log_likelihood = MultivariateNormal(data.mean(0), covariance).log_prob(data).mean()
    bound = -objective(model, x, NOTHING, noise)[1][1].item()
    assert bound == pytest.approx(log_likelihood.item(), abs=1e-4)


def test_weight_decay_makes_a_linear_autoencoder_find_the_principal_directions_themselves(
    data: Tensor, axes: Tensor
) -> None:
    """Kunin et al. 2019: the decoder's left singular vectors, with the singular values (1 - λ / variance)^½."""
    encoder, decoder = linear(3, 3)
    decay, mean = 0.1, data.mean(0)

    def loss() -> Tensor:
        weights = encoder[0].weight, decoder[0].weight
        rebuilt = (data - mean) @ weights[0].T @ weights[1].T + mean
        return (rebuilt - data).square().sum(1).mean() + decay * sum(w.square().sum() for w in weights)

    minimise(nn.ModuleList([encoder, decoder]), loss)
    left, singular, _ = torch.linalg.svd(decoder[0].weight, full_matrices=False)
    torch.testing.assert_close((left.T @ axes[:, :3]).abs(), torch.eye(3, dtype=torch.float64), atol=1e-4, rtol=0)
    torch.testing.assert_close(singular, (1 - decay / SPECTRUM[:3]).sqrt(), atol=1e-4, rtol=0)
    torch.testing.assert_close(encoder[0].weight, decoder[0].weight.T, atol=1e-4, rtol=0)


def means(x: Tensor) -> judge.Means:
    return x.mean(0), x.T @ x / len(x)


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("lowest", [-1.0, 0.0])
def test_a_linear_denoiser_approaches_the_reduced_rank_wiener_filter(
    data: Tensor, name: str, affine: bool, lowest: float
) -> None:
    x = data + torch.linspace(0, 1, 6, dtype=torch.float64)
    corruption = CORRUPTIONS[name](0.3, lowest)
    train, test = x[:150], x[150:]
    optimum = judge.denoising_optimum(corruption, means(train), means(test), 2, affine)
    own = judge.denoising_optimum(corruption, means(train), means(train), 2, affine)
    moments = corruption.moments(*means(train))
    assert moments is not None
    corrupted_mean, cross, corrupted = moments
    encoder, decoder = linear(2, 2)

    def error(about: judge.Means, moments: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """E‖A x̃ + b - x‖² from moments."""
        weight, bias = decoder[0].weight @ encoder[0].weight, affine * decoder[0].bias
        corrupted_mean, cross, corrupted = moments
        constant = bias @ bias + 2 * bias @ (weight @ corrupted_mean - about[0])
        square = (weight @ corrupted * weight).sum() - 2 * (weight * cross).sum() + about[1].trace()
        return square + constant

    minimise(nn.ModuleList([encoder, decoder]), lambda: error(means(train), (corrupted_mean, cross, corrupted)))
    tried = corruption.moments(*means(test))
    assert tried is not None
    unit = (2 / (1 - lowest)) ** 2 / 6
    assert own == pytest.approx(error(means(train), moments).item() * unit, rel=1e-4)
    assert optimum == pytest.approx(error(means(test), tried).item() * unit, rel=1e-3)


def test_without_corruption_the_wiener_filter_is_pca(digits: Images) -> None:
    x, test = (scale(images).double() for images in (digits.train, digits.test))
    optimum = fit(digits)
    for affine, curve in ((False, optimum.test_mse), (True, optimum.centred_test_mse)):
        found = judge.denoising_optimum(Corruption(), means(x), means(test), 5, affine)
        assert found == pytest.approx(curve[5].item(), rel=1e-5)


def test_the_wiener_filters_error_is_what_a_denoiser_with_its_weights_measures(data: Tensor) -> None:
    corruption = Gaussian(0.2)
    x = data.float().repeat(200, 1)
    optimum = judge.denoising_optimum(corruption, means(data), means(data), 6, affine=False)
    moment = data.T @ data / len(data)
    wiener = moment @ torch.linalg.inv(moment + 0.16 * torch.eye(6, dtype=torch.float64))
    layer = nn.Linear(6, 6, bias=False)
    with torch.no_grad():
        layer.weight.copy_(wiener)
    measured = judge.denoising_mse(Autoencoder(layer, nn.Identity()), corruption, x.split(1_000))
    assert measured == pytest.approx(optimum, rel=0.01)


def test_an_unknown_corruption_has_no_optimum(data: Tensor) -> None:
    class Unknown(Masking):
        def moments(self, mean: Tensor, moment: Tensor) -> None:
            return None

    assert judge.denoising_optimum(Unknown(0.1), means(data), means(data), 2, affine=True) is None


@pytest.mark.parametrize(("mse", "rank"), [(9.0, 0), (8.0, 0), (6.0, 1), (5.0, 1.5), (1.0, 3), (0.25, 3.75), (-1, 4)])
def test_the_equivalent_rank_lies_between_the_ranks_that_are_worse_and_better(mse: float, rank: float) -> None:
    curve = torch.tensor([8.0, 6, 4, 1, 0], dtype=torch.float64)
    assert judge.equivalent_rank(mse, curve) == pytest.approx(rank)


def splits(digits: Images) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    train, test = scale(digits.train), scale(digits.test)
    return train, digits.train_labels, test, digits.test_labels


def test_the_probe_is_scikit_learns_least_squares(digits: Images) -> None:
    train, labels, test, test_labels = splits(digits)
    oracle = LinearRegression().fit(train.numpy(), np.eye(10)[labels.numpy()])
    wrong = (oracle.predict(test.numpy()).argmax(1) != test_labels.numpy()).mean()
    assert classify.probe_error(train, labels, test, test_labels) == pytest.approx(wrong, abs=1e-12)


@pytest.mark.parametrize("neighbours", [1, 5, 40])
def test_neighbours_are_scikit_learns(digits: Images, neighbours: int) -> None:
    train, labels, test, test_labels = splits(digits)
    oracle = KNeighborsClassifier(neighbours, algorithm="brute").fit(train.double().numpy(), labels.numpy())
    wrong = (oracle.predict(test.double().numpy()) != test_labels.numpy()).mean()
    assert classify.neighbour_error(train, labels, test, test_labels, neighbours=neighbours) == pytest.approx(wrong)


@pytest.mark.parametrize(("labels", "wrong"), [([3, 7, 7], 0), ([7, 3, 3], 1)])
def test_of_images_that_are_equally_near_the_first_is_the_neighbour(labels: list[int], wrong: float) -> None:
    twins = torch.tensor([[1.0, 2.0]]).expand(3, 2)
    told = torch.tensor(labels, dtype=torch.uint8), twins[:1], torch.tensor([3], dtype=torch.uint8)
    assert classify.neighbour_error(twins, *told) == wrong


def test_neighbours_report_progress_and_need_not_be_many(digits: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    train, labels, test, test_labels = splits(digits)
    monkeypatch.setattr(classify, "TRAIN_LIMIT", 100)
    monkeypatch.setattr(classify, "TEST_LIMIT", 250)
    blocks: list[int] = []

    def progress(todo: list[tuple[Tensor, Tensor]]) -> list[tuple[Tensor, Tensor]]:
        blocks.extend(len(codes) for codes, _ in todo)
        return todo

    error = classify.neighbour_error(train, labels, test, test_labels, neighbours=1_000, progress=progress)
    assert blocks == [200, 50]
    assert 0.8 < error < 1  # all 100 are neighbours of each: always the same class


def test_thinning_spreads_evenly_and_keeps_what_is_few() -> None:
    assert classify.thin(torch.arange(10), 4).tolist() == [0, 2, 5, 7]
    assert classify.thin(torch.arange(3), 4).tolist() == [0, 1, 2]


@pytest.fixture(scope="module")
def small(digits: Images) -> tuple[Autoencoder, Objective, Tensor]:
    """A variational autoencoder with a code of three, after a few steps on digits."""
    objective = Objective(Corruption(), Variational(), CrossEntropy())
    torch.manual_seed(0)
    model = Autoencoder(*mlp((1, 8, 8), 3, 6, hidden=[32], activation="tanh"), objective.constraint, lowest=0.0)
    x = scale(digits.train, 0.0)
    optimizer = torch.optim.SGD(model.parameters(), 2.0, momentum=0.9)
    for step in range(300):
        batch = x[step % 10 :: 10]
        optimizer.zero_grad()
        objective(model, batch, *objective.draw(len(batch), 64, 3, 0, step))[0].backward()
        optimizer.step()
    return model, objective, x[:200]


def test_the_importance_weighted_bound_falls_with_more_samples_in_the_mean(
    small: tuple[Autoencoder, Objective, Tensor],
) -> None:
    bounds = [judge.importance_weighted_nats(*small, samples).mean().item() for samples in (1, 5, 50)]
    assert bounds[0] > bounds[1] + 0.1
    assert bounds[1] > bounds[2] + 0.03


def test_one_sample_gives_the_variational_bound(small: tuple[Autoencoder, Objective, Tensor], digits: Images) -> None:
    """log p(z) - log q(z|x) of one sample has the mean -KL: over many seeds, both are the same bound."""
    model, objective, _ = small
    singles = [judge.importance_weighted_nats(*small, 1, seed).mean().item() for seed in range(40)]
    assert sum(singles) / 40 == pytest.approx(objective.nats(model, digits.train[:200]), abs=0.5)


def test_the_bound_of_a_data_set_is_that_of_its_batches_with_the_same_noise(
    small: tuple[Autoencoder, Objective, Tensor], digits: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, objective, x = small
    noise = [objective.draw(200, 64, 3, 0, -1)[1], objective.draw(50, 64, 3, 0, -2)[1]]
    batches = [x, scale(digits.train[1000:1050], 0.0)]
    sums = [
        len(batch) * objective(model, batch, NOTHING, drawn)[1][1].item()
        for batch, drawn in zip(batches, noise, strict=True)
    ]
    images = torch.cat([digits.train[:200], digits.train[1000:1050]])
    monkeypatch.setattr("autoencoder.training.objective.BATCH", 200)
    assert objective.nats(model, images) == pytest.approx(sum(sums) / 250, rel=1e-5)


def test_the_importance_weighted_likelihood_of_a_linear_model_is_exact() -> None:
    """p(x) = N(0, W Wᵀ + σ²), and where q is the posterior, every sample gives log p(x) itself."""
    weight, strength = normal(4, 2), 0.6
    variance = strength / 2
    posterior = torch.linalg.inv(weight.T @ weight / variance + torch.eye(2, dtype=torch.float64))
    rotation = torch.linalg.eigh(posterior).eigenvectors
    weight = weight @ rotation  # makes the posterior's covariance diagonal
    posterior = (rotation.T @ posterior @ rotation).diagonal()
    encoder, decoder = nn.Linear(4, 4).double(), nn.Linear(2, 4, bias=False).double()
    with torch.no_grad():
        decoder.weight.copy_(weight)
        encoder.weight.copy_(torch.cat([posterior.unsqueeze(1) * weight.T / variance, torch.zeros(2, 4)]))
        encoder.bias.copy_(torch.cat([torch.zeros(2), posterior.log()]))
    objective = Objective(Corruption(), Variational(strength), SquaredError())
    x = normal(5, 4, seed=2)
    covariance = weight @ weight.T + variance * torch.eye(4, dtype=torch.float64)
    expected = -MultivariateNormal(torch.zeros(4, dtype=torch.float64), covariance).log_prob(x)
    for samples in (1, 7):
        found = judge.importance_weighted_nats(
            Autoencoder(encoder, decoder, objective.constraint), objective, x, samples
        )
        torch.testing.assert_close(found, expected)


def test_units_whose_mean_never_changes_are_not_active() -> None:
    encoder, decoder = nn.Linear(3, 4), nn.Linear(2, 3)
    with torch.no_grad():
        encoder.weight.zero_()
        encoder.weight[1, 0] = 1
    x = torch.rand(50, 3)
    by_unit, active = judge.carried(Autoencoder(encoder, decoder, Variational()), x.split(20))
    assert active == 1
    torch.testing.assert_close(by_unit, divergence(encoder(x)).double().mean(0), check_dtype=False)


def test_sparseness_counts_what_is_active_and_what_never_is() -> None:
    codes = torch.tensor([[0.0, 1, 2, 0], [0, 0, -3, 0], [0, 4, 1, 0]])
    assert judge.activity(codes).tolist() == pytest.approx([0, 2 / 3, 1, 0])
    assert judge.sparse(codes, mse=1.0, mean_mse=4.0) == {
        "mean_active": pytest.approx(5 / 3),
        "dead_units": 2,
        "variance_explained": 0.75,
    }
    assert judge.sparse(TopK(active=2).code(normal(9, 7)), 0.0, 1.0)["mean_active"] == pytest.approx(2)


def test_the_jacobians_are_autograds_and_the_spectrum_theirs() -> None:
    encoder, _ = mlp((1, 2, 3), 4, 4, hidden=[5], activation="tanh")
    encoder.double()
    x = normal(7, 6)
    expected = torch.stack([torch.autograd.functional.jacobian(lambda row: encoder(row[None])[0], row) for row in x])
    torch.testing.assert_close(judge.jacobians(encoder, x), expected)
    norm, spectrum = judge.contraction(encoder, x, batch_size=3)
    assert norm == pytest.approx(expected.square().sum((1, 2)).mean().item())
    torch.testing.assert_close(spectrum, torch.linalg.svdvals(expected).mean(0))


def test_tangents_are_the_directions_in_which_the_code_changes_most(axes: Tensor) -> None:
    scales = torch.tensor([5.0, 3, 1], dtype=torch.float64)
    layer = nn.Linear(6, 3).double()
    with torch.no_grad():
        layer.weight.copy_(scales.unsqueeze(1) * axes[:, :3].T)
    found = judge.tangents(layer, normal(1, 6), 2)
    torch.testing.assert_close((found @ axes).abs(), torch.eye(2, 6, dtype=torch.float64))
    assert (found.amax(1) == found.abs().amax(1)).all()


def test_the_error_of_denoising_is_measured_against_the_clean_input() -> None:
    x = torch.rand(30, 4)
    model = Autoencoder(nn.Identity(), nn.Identity(), Constraint())
    assert judge.denoising_mse(model, Masking(1.0, 0.0), x.split(7)) == pytest.approx(4 * x.square().mean().item())
    assert judge.denoising_mse(model, Corruption(), x.split(7)) == 0
