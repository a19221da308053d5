"""Products by numpy are torch's products: checked against torch's own kernels, and against sums in float64."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

SIZES = st.one_of(st.integers(0, 9), st.sampled_from([31, 64]))
TYPES = st.sampled_from([torch.float32, torch.float64])
TOLERANCE = {torch.float32: 5e-5, torch.float64: 1e-13}
Draw = Callable[..., Any]


def numbers(draw: Draw, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """A tensor of this shape: contiguous, transposed, a part of a larger one, every second column, or expanded."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 999)))

    def rand(*sizes: int) -> Tensor:
        return torch.randn(*sizes, generator=generator, dtype=dtype)

    layout = draw(st.sampled_from(["contiguous", "transposed", "part", "strided", "expanded"]))
    if layout == "transposed" and len(shape) > 1:
        return rand(*shape[:-2], shape[-1], shape[-2]).mT
    if layout == "part":
        return rand(*(size + 2 for size in shape))[tuple(slice(1, 1 + size) for size in shape)]
    if layout == "strided":
        return rand(*shape[:-1], 2 * shape[-1])[..., ::2]
    if layout == "expanded":
        return rand(*shape[:-1], 1).expand(shape)
    return rand(*shape)


def exact(a: Tensor, b: Tensor) -> Tensor:
    """The product of two matrices or two batches of matrices by its definition, in float64."""
    return (a.double()[..., :, :, None] * b.double()[..., None, :, :]).sum(-2)


def close(found: Tensor, expected: Tensor) -> None:
    assert found.shape == expected.shape
    torch.testing.assert_close(found.double(), expected.double(), rtol=1e-5, atol=TOLERANCE[found.dtype])


@given(n=SIZES, k=SIZES, p=SIZES, dtype=TYPES, draw=st.data())
def test_products_of_matrices_in_all_forms(n: int, k: int, p: int, dtype: torch.dtype, draw: st.DataObject) -> None:
    a, b, c = (numbers(draw.draw, shape, dtype) for shape in ((n, k), (k, p), (n, p)))
    alpha, beta = draw.draw(st.sampled_from([(1, 1), (0.5, -2.0), (0, 3), (2, 0)]))
    expected = exact(a, b)
    added = beta * c.double() + alpha * expected
    close(torch.mm(a, b), expected)
    close(a @ b, expected)
    close(torch.einsum("nk,kp->np", a, b), expected)
    close(torch.nn.functional.linear(a, b.T), expected)
    close(torch.addmm(c, a, b, alpha=alpha, beta=beta), added)
    close(torch.addmm(c[:1], a, b), c[:1].double() + expected)
    close(c.clone().addmm_(a, b, alpha=alpha, beta=beta), added)
    for out in (
        torch.empty(n, p, dtype=dtype),
        torch.empty(p, n, dtype=dtype).T,
        torch.empty(n, 2 * p, dtype=dtype)[:, ::2],
    ):
        assert torch.mm(a, b, out=out) is out
        close(out, expected)
        assert torch.addmm(c, a, b, alpha=alpha, beta=beta, out=out) is out
        close(out, added)


@given(n=SIZES, k=SIZES, dtype=TYPES, draw=st.data())
def test_products_with_vectors(n: int, k: int, dtype: torch.dtype, draw: st.DataObject) -> None:
    matrix, vector, added = (numbers(draw.draw, shape, dtype) for shape in ((n, k), (k,), (n,)))
    other = numbers(draw.draw, (k,), dtype)
    expected = exact(matrix, vector[:, None])[:, 0]
    close(torch.mv(matrix, vector), expected)
    close(matrix @ vector, expected)
    close(torch.addmv(added, matrix, vector, beta=0.5, alpha=2), 0.5 * added.double() + 2 * expected)
    close(added.clone().addmv_(matrix, vector), added.double() + expected)
    close(torch.addmv(added, matrix, vector, out=torch.empty(n, dtype=dtype)), added.double() + expected)
    close(torch.dot(vector, other), (vector.double() * other.double()).sum())
    close(torch.vdot(vector, other), (vector.double() * other.double()).sum())


@given(batch=st.integers(0, 4), n=SIZES, k=SIZES, p=st.integers(0, 9), dtype=TYPES, draw=st.data())
def test_products_of_batches(batch: int, n: int, k: int, p: int, dtype: torch.dtype, draw: st.DataObject) -> None:
    a, b, c = (numbers(draw.draw, shape, dtype) for shape in ((batch, n, k), (batch, k, p), (batch, n, p)))
    expected = exact(a, b)
    close(torch.bmm(a, b), expected)
    close(torch.bmm(a, b, out=torch.empty(batch, n, p, dtype=dtype)), expected)
    close(torch.baddbmm(c, a, b, beta=2, alpha=-1), 2 * c.double() - expected)
    close(c.clone().baddbmm_(a, b), c.double() + expected)
    close(torch.baddbmm(c, a, b, out=torch.empty(batch, n, p, dtype=dtype)), c.double() + expected)
    if batch:
        close(torch.addbmm(c[0], a, b), c[0].double() + expected.sum(0))


@pytest.mark.parametrize(("n", "k", "p"), [(1, 1, 1), (1, 4, 3), (5, 1, 2), (3, 4, 5)])
def test_gradients_and_strides_are_those_of_torch(n: int, k: int, p: int) -> None:
    a, b = (torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in ((n, k), (k, p)))
    assert torch.autograd.gradcheck(torch.mm, (a, b))
    assert torch.autograd.gradgradcheck(torch.mm, (a, b))
    for x, y in ((a, b), (a.detach().T.contiguous().T, b), (a, b.detach().T.contiguous().T)):
        assert torch.mm(x, y).stride() == (p, 1)


def test_numbers_of_what_is_multiplied_by_nothing_are_not_looked_at() -> None:
    a, nan = torch.eye(3), torch.full((3, 3), torch.nan)
    assert torch.equal(torch.addmm(nan, a, a, beta=0), a)
    assert torch.equal(nan.clone().addmm_(a, a, beta=0), a)
    assert torch.equal(torch.addmv(nan[0], a, a[0], beta=0), a[0])
    assert torch.mm(nan, a).isnan().all()


def test_an_overflow_is_infinite_and_no_warning() -> None:
    large = torch.full((3, 3), 1e30)
    assert torch.mm(large, large).isinf().all()
    assert torch.mm(torch.mm(large, large), -torch.eye(3)).isnan().any()


def test_an_operand_may_be_the_memory_for_the_result() -> None:
    a, b = torch.randn(5, 5, dtype=torch.float64), torch.randn(5, 5, dtype=torch.float64)
    left, right, added = a.clone(), a.clone(), a.clone()
    close(torch.mm(left, b, out=left), exact(a, b))
    close(torch.mm(b, right.T, out=right.T), exact(b, a.T))
    close(added.addmm_(added, b), a + exact(a, b))


A, B = torch.ones(3, 4), torch.ones(4, 2)
WRONG: dict[str, Callable[[], Tensor]] = {
    "inner sizes": lambda: torch.mm(A, A),
    "dimensions": lambda: torch.mm(A, B[0]),
    "types": lambda: torch.mm(A, B.double()),
    "type of out": lambda: torch.mm(A, B, out=torch.empty(3, 2, dtype=torch.float64)),
    "out on one number": lambda: torch.mm(A, B, out=torch.empty(1, 1).expand(3, 2)),
    "sum of another shape": lambda: torch.addmm(torch.ones(4, 2), A, B),
    "sum of another shape, not looked at": lambda: torch.addmm(torch.ones(4, 2), A, B, beta=0),
    "sum of more dimensions": lambda: torch.addmm(torch.ones(1, 3, 2), A, B),
    "sum of another type": lambda: torch.addmm(torch.ones(3, 2).double(), A, B),
    "in place, another shape": lambda: torch.ones(2).addmm_(A, B),
    "complex factor": lambda: torch.addmm(torch.ones(3, 2), A, B, alpha=1j),
    "batches": lambda: torch.bmm(A[None].expand(2, 3, 4), B[None].expand(3, 4, 2)),
    "vector": lambda: torch.mv(A, B[0]),
    "dot": lambda: torch.dot(A[0], B[0]),
    "leaf in place": lambda: torch.ones(3, 2, requires_grad=True).addmm_(A, B),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_torch_refuses_is_refused(name: str) -> None:
    with pytest.raises(RuntimeError):
        WRONG[name]()


def test_other_types_are_left_to_torch() -> None:
    for dtype in (torch.int64, torch.int32, torch.bfloat16, torch.float16, torch.complex64):
        assert torch.mm(A.to(dtype), B.to(dtype)).tolist() == [[4, 4]] * 3
    z = torch.tensor([[1 + 2j, 3 - 1j]])
    assert torch.equal(z @ z.mH, torch.tensor([[15 + 0j]]))
    assert torch.equal(z.conj().imag @ torch.ones(2, 1), torch.tensor([[-1.0]]))  # a negative bit
    sparse = torch.eye(3).to_sparse()
    assert torch.equal(torch.mm(sparse, torch.ones(3, 2)), torch.ones(3, 2))
    assert torch.mm(A.to("meta"), B.to("meta")).shape == (3, 2)


def test_the_result_is_resized_as_torch_does() -> None:
    assert torch.equal(torch.mm(A, B, out=torch.empty(0)), torch.full((3, 2), 4.0))
    with pytest.warns(UserWarning, match="resized"):
        torch.mm(A, B, out=torch.empty(5))


def test_products_are_numpys_and_only_in_a_process_that_installs_them() -> None:
    a, b = torch.randn(33, 700), torch.randn(700, 45)
    assert torch.mm(a, b).numpy().tobytes() == np.matmul(a.numpy(), b.numpy()).tobytes()
    assert torch.nn.functional.linear(a, b.T, torch.zeros(45)).numpy().tobytes() == torch.mm(a, b).numpy().tobytes()
    program = "import torch; from autoencoder.kernels import products; print(len(products.LIBRARY._op_impls))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT / "src", capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"


def test_vmap_and_second_derivatives_go_through() -> None:
    weight = torch.randn(4, 3, dtype=torch.float64)
    jacobian = torch.func.vmap(torch.func.jacrev(lambda x: torch.tanh(weight @ x)))(
        torch.randn(5, 3, dtype=torch.float64)
    )
    assert jacobian.shape == (5, 4, 3)
