import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from autoencoder.data.images import Images, scale, unscale
from autoencoder.models.linear import LinearAutoencoder
from autoencoder.models.saved import Description
from autoencoder.training.objective import mean_squared_error, squared_errors

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


def test_scale_is_the_articles_to_tensor_and_normalize() -> None:
    from torchvision.transforms.functional import normalize

    images = torch.arange(256, dtype=torch.uint8).reshape(4, 1, 8, 8)
    expected = torch.stack([normalize(image / 255, [0.5], [0.5]) for image in images])
    x = scale(images)
    assert x.dtype == torch.float32
    assert x.shape == (4, 64)
    torch.testing.assert_close(x, expected.flatten(1), rtol=0, atol=2e-7)


def test_scale_goes_from_minus_one_to_one_and_unscale_goes_back() -> None:
    images = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    x = scale(images)
    assert (x.min().item(), x.max().item()) == (-1, 1)
    assert torch.equal((unscale(x) * 255).round().to(torch.uint8), images.flatten(1))


def test_unscale_clamps_what_is_no_pixel() -> None:
    assert unscale(torch.tensor([-3.0, -1.0, 0.0, 1.0, 3.0])).tolist() == [0, 0, 0.5, 1, 1]


def test_scale_does_not_write_into_the_images() -> None:
    images = torch.full((1, 1, 2, 2), 7, dtype=torch.uint8)
    scale(images)
    assert images.unique().item() == 7


def test_shapes_in_signatures_are_checked_in_the_tests() -> None:
    import jaxtyping

    with pytest.raises(jaxtyping.TypeCheckError):
        scale(torch.rand(2, 1, 8, 8))


@given(batch_size=st.integers(1, 400))
def test_the_error_does_not_depend_on_the_batch_size(digits: Images, batch_size: int) -> None:
    model = Description("linear", 20, (1, 1, 64)).build(1)
    images = digits.test
    x = scale(images)
    expected = (model(x) - x).double().square().mean().item()
    assert mean_squared_error(model, images, batch_size) == pytest.approx(expected, rel=1e-6)


def test_errors_are_per_image_and_in_the_order_of_the_images(digits: Images) -> None:
    model = Description("linear", 20, (1, 1, 64)).build(1)
    errors = squared_errors(model, digits.test, 100)
    assert errors.shape == (297,)
    for index in (0, 123, 296):
        x = scale(digits.test[index : index + 1])
        assert errors[index].item() == pytest.approx((model(x) - x).square().mean().item(), rel=1e-5)
