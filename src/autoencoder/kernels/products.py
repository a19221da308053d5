"""Matrix products of torch on the CPU, computed by numpy's OpenBLAS: the same bytes on every CPU, at full speed.

torch's own come from MKL, which is fast or gives the same bytes on all CPUs, but not both. `install` replaces, in this
process, the kernels of the operators in `DIMENSIONS`, to which `linear`, `matmul`, `mv`, `addbmm`, `einsum` and their
gradients lead. What numpy does not compute as torch does (other types, empty tensors, wrong shapes) is left to torch's
kernel, and so are its errors.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

TYPES = (torch.float32, torch.float64)
# By torch's operator: how many dimensions its two factors have.
DIMENSIONS = {
    **dict.fromkeys(("mm", "mm.out", "addmm", "addmm_", "addmm.out"), (2, 2)),
    **dict.fromkeys(("bmm", "bmm.out", "baddbmm", "baddbmm_", "baddbmm.out"), (3, 3)),
    **dict.fromkeys(("addmv", "addmv_", "addmv.out"), (2, 1)),
    **dict.fromkeys(("dot", "vdot"), (1, 1)),
}
LIBRARY = torch.library.Library("aten", "IMPL")


def install() -> None:
    """Replace torch's kernels by those of this module until the process ends."""
    for name in DIMENSIONS:
        LIBRARY.impl(name, kernel(name), "CPU", with_keyset=True)


def kernel(name: str) -> Callable[..., Any]:
    """What computes torch's operator `name`: numpy where `can_multiply` allows it, else torch's present kernel."""
    dimensions, in_place = DIMENSIONS[name], name.endswith("_")
    torchs = torch.library.get_kernel(f"aten::{name}", "CPU")

    def either(keys: Any, *operands: Tensor, **options: Any) -> Any:
        *added, a, b = operands
        out = added[0] if in_place else options.get("out")
        if can_multiply(a, b, dimensions) and fits(a, b, added, out, options):
            return compute(a, b, added, out, options)
        return torchs.call_boxed(keys, *operands, **options)

    return either


def can_multiply(a: Tensor, b: Tensor, dimensions: tuple[int, int]) -> bool:
    """Whether numpy multiplies `a` and `b` as torch does."""
    return (
        a.dtype in TYPES
        and a.dtype == b.dtype
        and (a.dim(), b.dim()) == dimensions
        and a.shape[-1] == b.shape[max(b.dim() - 2, 0)]
        and a.shape[:-2] == b.shape[:-2]
        and a.numel() > 0
        and b.numel() > 0
    )


def fits(a: Tensor, b: Tensor, added: list[Tensor], out: Tensor | None, options: dict[str, Any]) -> bool:
    """Whether what is added to the product, its factors and the memory for the result are what numpy can take."""
    if out is not None and (
        out.dtype != a.dtype or out.device != a.device or out.shape != (*a.shape[:-1], *b.shape[max(b.dim() - 1, 1) :])
    ):
        return False
    return all(c.dtype == a.dtype for c in added) and all(
        type(options.get(name, 1)) in (int, float) for name in ("beta", "alpha")
    )


@np.errstate(all="ignore")  # torch does not warn of an overflow
def compute(a: Tensor, b: Tensor, added: list[Tensor], out: Tensor | None, options: dict[str, Any]) -> Tensor:
    """`beta * c + alpha * (a @ b)`, where there is a `c` in `added`; with `beta` 0 its numbers are not looked at."""
    if out is not None and not added and out.is_contiguous():
        np.matmul(array(a), array(b), out=array(out))
        return out
    result = torch.from_numpy(np.asarray(np.matmul(array(a), array(b))))
    alpha, beta = options.get("alpha", 1), options.get("beta", 1)
    if alpha != 1:
        result.mul_(alpha)
    for c in added:
        expanded = c.expand(result.shape)
        if beta:
            result.add_(expanded, alpha=beta)
    return result if out is None else out.copy_(result)


def array(tensor: Tensor) -> np.ndarray[Any, Any]:
    """The memory of a tensor on the CPU, as numpy sees it."""
    found: np.ndarray[Any, Any] = tensor.detach().numpy()
    return found
