"""Networks, corruptions, constraints and the objective, against autograd, torch.distributions and closed forms."""

import itertools
import math

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from autoencoder.data.images import Images, scale
from autoencoder.models.autoencoder import Autoencoder
from autoencoder.models.constraint import CONSTRAINTS, L1, Contractive, TopK, Variational, divergence
from autoencoder.models.networks import ACTIVATIONS, NETWORKS, convolutional, mlp
from autoencoder.models.saved import LOWEST, Description
from autoencoder.training.corruption import CORRUPTIONS, Gaussian, Masking, SaltAndPepper
from autoencoder.training.objective import LOSSES, CrossEntropy, Objective, SquaredError, mse_per_image, objective

NOTHING = torch.empty(0)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def pieces(name: str, shape: tuple[int, int, int], code: int, width: int) -> tuple[nn.Module, nn.Module]:
    return (
        mlp(shape, code, width, hidden=[9, 7], activation="relu")
        if name == "mlp"
        else convolutional(shape, code, width, channels=[3, 5], activation="relu")
    )


@pytest.mark.parametrize("name", ["mlp", "convolutional"])
@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 9, 13), (1, 15, 8), (2, 31, 17)])
def test_networks_take_images_of_every_size(name: str, shape: tuple[int, int, int]) -> None:
    encoder, decoder = pieces(name, shape, 4, 6)
    x = torch.rand(2, math.prod(shape))
    assert encoder(x).shape == (2, 6)
    assert decoder(torch.rand(2, 4)).shape == x.shape


def test_an_mlp_has_a_mirrored_decoder_and_its_activation_only_between_layers() -> None:
    encoder, decoder = mlp((1, 4, 4), 2, 3, hidden=[8, 5], activation="tanh")
    assert [tuple(layer.weight.shape) for layer in encoder if isinstance(layer, nn.Linear)] == [(8, 16), (5, 8), (3, 5)]
    assert [tuple(layer.weight.shape) for layer in decoder if isinstance(layer, nn.Linear)] == [(5, 2), (8, 5), (16, 8)]
    assert [type(layer) for layer in encoder] == [nn.Linear, nn.Tanh] * 2 + [nn.Linear]


def test_an_mlp_without_hidden_layers_is_affine() -> None:
    encoder, decoder = mlp((1, 4, 4), 2, 2, hidden=[], activation="relu")
    model = Autoencoder(encoder, decoder).double()
    first, second = normal(3, 16), normal(3, 16, seed=1)
    torch.testing.assert_close(model(0.3 * first + 0.7 * second), 0.3 * model(first) + 0.7 * model(second))


def test_inputs_are_scaled_as_the_article_does_or_to_probabilities() -> None:
    images = torch.arange(256, dtype=torch.uint8).reshape(4, 1, 8, 8)
    assert torch.equal(scale(images), images.flatten(1).float().mul_(2 / 255).sub_(1))
    torch.testing.assert_close(scale(images, 0.0), images.flatten(1) / 255)


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("lowest", [-1.0, 0.0])
def test_the_moments_of_a_corruption_are_those_of_its_samples(name: str, lowest: float) -> None:
    corruption = CORRUPTIONS[name](0.3, lowest)
    x = scale(torch.randint(256, (5, 1, 2, 2), generator=generator(), dtype=torch.uint8), lowest)
    copies = x.repeat_interleave(100_000, 0)
    corrupted = corruption.apply(copies, corruption.draw(len(copies), 4, generator())).double()
    clean = copies.double()
    n = len(copies)
    expected = corrupted.mean(0), clean.T @ corrupted / n, corrupted.T @ corrupted / n
    moments = corruption.moments(clean.mean(0), clean.T @ clean / n)
    assert moments is not None
    for found, sampled in zip(moments, expected, strict=True):
        torch.testing.assert_close(found, sampled, atol=0.005, rtol=0)


def test_masked_pixels_are_black_and_salt_and_pepper_is_black_or_white() -> None:
    x = torch.full((200, 100), 0.3)
    masking, both = Masking(0.25, -1.0), SaltAndPepper(0.25, 0.0)
    masked = masking.apply(x, masking.draw(200, 100, generator()))
    peppered = both.apply(x, both.draw(200, 100, generator()))
    assert set(masked.unique().tolist()) == {-1.0, x[0, 0].item()}
    assert set(peppered.unique().tolist()) == {0.0, 1.0, x[0, 0].item()}
    assert (masked == -1).float().mean().item() == pytest.approx(0.25, abs=0.01)
    for value in (0, 1):
        assert (peppered == value).float().mean().item() == pytest.approx(0.125, abs=0.01)


@pytest.mark.parametrize("lowest", [-1.0, 0.0])
def test_gaussian_noise_is_a_share_of_the_distance_from_black_to_white(lowest: float) -> None:
    noise = Gaussian(0.25, lowest)
    x = torch.zeros(200, 100)
    assert noise.apply(x, noise.draw(200, 100, generator())).std().item() == pytest.approx(
        0.25 * (1 - lowest), rel=0.02
    )


def test_random_numbers_are_a_function_of_seed_and_step() -> None:
    aim = Objective(Gaussian(0.1), Variational(), SquaredError())
    first, again, other, seeded = (aim.draw(4, 9, 3, *which) for which in ((1, 5), (1, 5), (1, 6), (5, 1)))
    for index in range(2):
        assert torch.equal(first[index], again[index])
        assert not torch.equal(first[index], other[index])
        assert not torch.equal(first[index], seeded[index])


def test_top_k_leaves_exactly_k_even_among_equals() -> None:
    constraint = TopK(active=3)
    h = torch.tensor([[1.0, 1, 1, 1, 1, 1], [-5, -4, -3, -2, -1, -6], [2, 7, 1, 8, 2, 8]])
    code = constraint.code(h)
    assert (code != 0).sum(1).tolist() == [3, 3, 3]
    assert code[1:].tolist() == [[0, 0, -3, -2, -1, 0], [0, 7, 0, 8, 0, 8]]
    assert torch.equal(code[code != 0], h[code != 0])


def test_gradients_pass_through_the_active_numbers_alone() -> None:
    h = normal(5, 8).requires_grad_()
    TopK(active=2).code(h).sum().backward()
    assert h.grad is not None
    assert (h.grad.sum(1) == 2).all()


def test_l1_makes_exact_zeros_and_charges_for_the_rest() -> None:
    constraint = L1(strength=0.5)
    h = torch.tensor([[-1.0, 2, 3]])
    code = constraint.code(h)
    assert code.tolist() == [[0, 2, 3]]
    assert constraint.penalty(nn.Identity(), h, h, code, NOTHING).tolist() == [2.5]


def test_the_divergence_is_that_of_torch_distributions() -> None:
    constraint = Variational(strength=0.7)
    h = normal(6, 8)
    mean, log_variance = h.chunk(2, 1)
    expected = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(torch.zeros(()), torch.ones(())))
    found = constraint.penalty(nn.Identity(), h, h, mean, mean)
    torch.testing.assert_close(found, 0.7 * expected.sum(1), check_dtype=False)


def test_a_variational_code_has_the_encoders_mean_and_variance_and_none_without_noise() -> None:
    constraint = Variational()
    h = torch.tensor([[1.0, -2.0, 0.0, math.log(4)]])
    assert constraint.width(2) == 4
    assert constraint.code(h).tolist() == [[1, -2]]
    codes = constraint.code(h.expand(50_000, 4), constraint.draw(50_000, 2, generator()))
    torch.testing.assert_close(codes.mean(0), torch.tensor([1.0, -2]), atol=0.03, rtol=0)
    torch.testing.assert_close(codes.std(0), torch.tensor([1.0, 2]), atol=0.03, rtol=0)


def jacobian_norms(encoder: nn.Module, x: Tensor) -> Tensor:
    jacobians = [torch.autograd.functional.jacobian(lambda row: encoder(row.unsqueeze(0))[0], row) for row in x]
    return torch.stack(jacobians).square().sum((1, 2))


@pytest.mark.parametrize("activation", [None, *ACTIVATIONS])
def test_the_contractive_penalty_of_one_layer_is_exactly_autograds_jacobian_norm(activation: str | None) -> None:
    encoder = nn.Sequential(nn.Linear(6, 4), *([ACTIVATIONS[activation]()] if activation else [])).double()
    x = normal(5, 6)
    penalty = Contractive(strength=0.3).penalty(encoder, x, encoder(x), encoder(x), torch.zeros(5, 4))
    torch.testing.assert_close(penalty, 0.3 * jacobian_norms(encoder, x))


@pytest.mark.parametrize("name", ["mlp", "convolutional"])
def test_the_contractive_estimate_of_a_deep_encoder_is_right_in_the_mean_over_all_signs(name: str) -> None:
    encoder = pieces(name, (1, 8, 8), 4, 4)[0].double()
    x = normal(3, 64)
    constraint = Contractive(strength=0.3)
    estimates = [
        constraint.penalty(encoder, x, encoder(x), encoder(x), torch.tensor([signs], dtype=torch.float64).expand(3, 4))
        for signs in itertools.product((-1, 1), repeat=4)
    ]
    torch.testing.assert_close(torch.stack(estimates).mean(0), 0.3 * jacobian_norms(encoder, x))
    assert set(constraint.draw(50, 4, generator()).unique().tolist()) == {-1, 1}


@pytest.mark.parametrize("hidden", [[], [5]])
def test_the_contractive_penalty_has_gradients(hidden: list[int]) -> None:
    encoder, _ = mlp((1, 2, 3), 4, 4, hidden=hidden, activation="tanh")
    penalised = Penalised(encoder.double(), normal(3, 6), normal(3, 4, seed=1).sign())

    def penalty(weight: Tensor) -> Tensor:
        return torch.func.functional_call(penalised, {"encoder.0.weight": weight}, ())

    assert torch.autograd.gradcheck(penalty, penalised.encoder[0].weight)


class Penalised(nn.Module):
    """The contractive penalty as a function of the encoder's weights."""

    def __init__(self, encoder: nn.Sequential, x: Tensor, noise: Tensor) -> None:
        super().__init__()
        self.encoder, self.x, self.noise = encoder, x, noise

    def forward(self) -> Tensor:
        h = self.encoder(self.x)
        return Contractive().penalty(self.encoder, self.x, h, h, self.noise)


def test_bce_is_torch_distributions_bernoulli_and_its_output_a_probability() -> None:
    loss = CrossEntropy()
    logits, x = normal(3, 5), torch.randint(2, (3, 5), generator=generator()).double()
    torch.testing.assert_close(loss.error(logits, x), -torch.distributions.Bernoulli(logits=logits).log_prob(x))
    output = Autoencoder(nn.Identity(), nn.Identity(), lowest=0.0).decode(logits)
    torch.testing.assert_close(output, torch.distributions.Bernoulli(logits=logits).probs)
    assert loss.error(torch.tensor([[200.0, -200.0]]), torch.tensor([[0.0, 1.0]])).tolist() == [[200, 200]]


def test_mse_in_nats_is_torch_distributions_normal_of_half_the_strength() -> None:
    decoded, x = normal(3, 5), normal(3, 5, seed=1)
    errors = SquaredError().error(decoded, x).sum(1)
    expected = -Normal(decoded, math.sqrt(0.3 / 2)).log_prob(x).sum(1)
    torch.testing.assert_close(SquaredError().nats(errors, 5, 0.3), expected)


@pytest.mark.parametrize("name", LOSSES)
def test_the_mse_has_one_unit_whatever_the_scale_of_the_inputs(name: str) -> None:
    lowest = LOWEST[name]
    images = torch.arange(128, dtype=torch.uint8).reshape(2, 1, 8, 8)
    found = mse_per_image(scale(images + 100, lowest), scale(images, lowest), lowest)
    torch.testing.assert_close(found, torch.full((2,), (200 / 255) ** 2))


OPTIONS = {
    "linear": {},
    "mlp": {"hidden": [9, 7], "activation": "relu"},
    "convolutional": {"channels": [3, 5], "activation": "tanh"},
}


@pytest.mark.parametrize("model", NETWORKS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("corruption", CORRUPTIONS)
@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_every_combination_learns(digits: Images, model: str, loss: str, corruption: str, constraint: str) -> None:
    asked = {"name": constraint} | ({} if constraint == "none" else {"strength": 0.01, "active": 3})
    description = Description(model, 6, (1, 8, 8), OPTIONS[model], asked, {"name": corruption, "level": 0.2}, loss)
    network, aim = description.build(0), objective(description)
    x = scale(digits.train[:64], network.lowest)
    optimizer = torch.optim.SGD(network.parameters(), 0.5 if model != "linear" or loss == "bce" else 0.1, momentum=0.9)
    losses = []
    for step in range(40):
        value, figures = aim(network, x, *aim.draw(64, 64, 6, 0, step))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
        assert figures.numel() == len(aim.names)
    assert losses[-1] < 0.95 * losses[0]
    with torch.no_grad():
        code = network.encode(x)
        rebuilt = network(x)
    assert code.shape == (64, 6)
    assert torch.equal(rebuilt, network.decode(code))
    if loss == "bce":
        assert rebuilt.min() >= 0
        assert rebuilt.max() <= 1


@pytest.mark.parametrize("loss", LOSSES)
def test_figures_of_a_batch_are_its_mean_squared_error_and_the_bound(digits: Images, loss: str) -> None:
    description = Description("mlp", 3, (1, 8, 8), OPTIONS["mlp"], {"name": "variational", "strength": 2.0}, loss=loss)
    model, aim = description.build(0), objective(description)
    x = scale(digits.train[:20], model.lowest)
    noise = aim.draw(20, 64, 3, 0, 0)
    value, (mse, nats) = aim(model, x, *noise)
    h = model.encoder(x)
    decoded = model.decoder(model.constraint.code(h, noise[1]))
    log_p = (
        torch.distributions.Bernoulli(logits=decoded, validate_args=False).log_prob(x)
        if loss == "bce"
        else Normal(decoded, 1.0).log_prob(x)  # half the strength is the variance
    )
    kl = divergence(h).sum(1)
    torch.testing.assert_close(nats, (kl - log_p.sum(1)).mean(), rtol=1e-4, atol=1e-4)
    unit = decoded.sigmoid() if loss == "bce" else (decoded + 1) / 2
    torch.testing.assert_close(mse, (2 * (unit - digits.train[:20].flatten(1) / 255)).square().mean())
    if loss == "mse":
        torch.testing.assert_close(value, ((decoded - x).square().sum(1) + 2 * kl).mean() / 64)


def test_without_corruption_and_constraint_the_objective_is_the_mean_squared_error() -> None:
    model = Autoencoder(*mlp((1, 4, 4), 2, 2, hidden=[5], activation="relu")).double()
    x = normal(7, 16)
    loss, _ = Objective()(model, x)
    torch.testing.assert_close(loss, nn.functional.mse_loss(model(x), x))


def test_what_is_reconstructed_is_the_clean_input() -> None:
    aim = Objective(Masking(1.0))
    x = torch.rand(3, 4)
    loss, _ = aim(Autoencoder(nn.Identity(), nn.Identity()), x, *aim.draw(3, 4, 4, 0, 0))
    torch.testing.assert_close(loss, (x + 1).square().mean())
