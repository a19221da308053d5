from collections.abc import Callable

import jaxtyping
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from autoencoder.analysis.optimum import principal_cosines
from autoencoder.data.images import Images, scale
from autoencoder.models.linear import LinearAutoencoder
from autoencoder.models.saved import Description
from autoencoder.training.linear_sgd import linear_sgd
from autoencoder.training.optimizers import SGD

SIZES = st.integers(1, 20)


@given(batch=SIZES, inputs=SIZES, code=SIZES)
def test_code_and_reconstruction_have_the_documented_shapes(batch: int, inputs: int, code: int) -> None:
    model = LinearAutoencoder(inputs, code)
    x = torch.rand(batch, inputs)
    assert model.encode(x).shape == (batch, code)
    assert model.decode(model.encode(x)).shape == (batch, inputs)
    assert torch.equal(model(x), model.decode(model.encode(x)))


def test_there_are_two_weights_and_no_biases() -> None:
    model = LinearAutoencoder(784, 32)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    assert shapes == {"encoder.linear.weight": (32, 784), "decoder.linear.weight": (784, 32)}


def test_the_model_is_the_product_of_its_weights() -> None:
    model = Description("linear", 3, (1, 1, 12)).build(0)
    x = torch.randn(5, 12)
    product = model.decoder.linear.weight @ model.encoder.linear.weight
    torch.testing.assert_close(model(x), x @ product.T)
    assert torch.linalg.matrix_rank(product) == 3


def test_the_first_weights_are_pytorchs_default_for_the_seed() -> None:
    built = Description("linear", 32, (1, 1, 784)).build(42)
    torch.manual_seed(42)
    encoder = torch.nn.Linear(784, 32, bias=False)
    decoder = torch.nn.Linear(32, 784, bias=False)
    assert torch.equal(built.encoder.linear.weight, encoder.weight)
    assert torch.equal(built.decoder.linear.weight, decoder.weight)


def test_building_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    Description("linear", 2, (1, 1, 5)).build(7)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: scale(torch.rand(2, 1, 8, 8)),
        lambda: Images(torch.zeros(2, 1, 8, 8, dtype=torch.uint8), torch.zeros(2, 1, 8, 7, dtype=torch.uint8)),
        lambda: LinearAutoencoder(64, 2).encode(torch.rand(2, 8, 8)),
        lambda: linear_sgd(model := LinearAutoencoder(64, 2), SGD(model.parameters(), 0.1, 0))(torch.rand(2, 8, 8)),
        lambda: principal_cosines(torch.rand(8, 2), torch.rand(7, 2)),
    ],
    ids=["data: type", "data: dataclass", "models", "training", "analysis"],
)
def test_shapes_in_signatures_are_checked_in_the_tests(wrong: Callable[[], object]) -> None:
    with pytest.raises(jaxtyping.TypeCheckError):
        wrong()
