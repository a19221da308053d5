"""Replaced functions are checked against numpy and against torch's own, which loses nothing but its last bits."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

ARCS = {"asin": np.arcsin, "acos": np.arccos, "atan": np.arctan}
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def layouts(dtype: torch.dtype) -> list[Tensor]:
    x = torch.linspace(-1, 1, 120, dtype=dtype).reshape(10, 12)
    return [x, x.T, x[::2, 1::3], x[0, :0], x[3, 5], x[:1].expand(4, 12)]


@DTYPES
def test_square_roots_are_exact(dtype: torch.dtype) -> None:
    for x in (y.abs() * 3e5 for y in layouts(dtype)):
        assert np.array_equal(x.sqrt().numpy(), np.sqrt(x.numpy()))
        assert np.array_equal(x.clone().sqrt_().numpy(), np.sqrt(x.numpy()))
        assert np.array_equal(torch.sqrt(x, out=torch.empty(x.shape, dtype=dtype)).numpy(), np.sqrt(x.numpy()))
    assert torch.tensor(-1.0, dtype=dtype).sqrt().isnan()


@DTYPES
@pytest.mark.parametrize("name", ARCS)
def test_arcs_are_numpys_but_for_rounding(name: str, dtype: torch.dtype) -> None:
    function: Callable[..., Tensor] = getattr(torch, name)
    tolerance = 4 * torch.finfo(dtype).eps
    for x in layouts(dtype):
        expected = torch.from_numpy(np.asarray(ARCS[name](x.numpy())))
        torch.testing.assert_close(function(x), expected, rtol=tolerance, atol=tolerance)
        torch.testing.assert_close(
            function(x, out=torch.empty(0, dtype=dtype)), expected, rtol=tolerance, atol=tolerance
        )
    assert function(torch.tensor(torch.nan, dtype=dtype)).isnan()
    assert function(torch.tensor(2.0, dtype=dtype)).isnan() == (name != "atan")
    assert torch.atan(torch.tensor(torch.inf, dtype=dtype)).item() == pytest.approx(np.pi / 2)


@pytest.mark.parametrize("name", ["sqrt", *ARCS])
def test_gradients_and_other_types_are_torchs(name: str) -> None:
    function: Callable[..., Tensor] = getattr(torch, name)
    x = torch.tensor([0.1, 0.4, 0.9], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(function, x)
    assert function(torch.tensor([0, 1])).dtype == torch.float32
    assert function(torch.tensor([0.5 + 0.1j])).dtype == torch.complex64
    assert function(torch.tensor([0.5]).bfloat16()).dtype == torch.bfloat16
    with pytest.raises(RuntimeError):
        function(torch.ones(3), out=torch.ones(3, dtype=torch.int64))
