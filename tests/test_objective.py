import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoencoder.data.images import Images, scale
from autoencoder.models.saved import Description
from autoencoder.training.objective import mean_squared_error, squared_errors


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
