"""Square roots and inverse circular functions of torch on the CPU, with the same bytes on every CPU.

torch's own are MKL's, which start from approximations that differ between makers of CPUs, and so do their last bits;
no setting of MKL changes that. `install` replaces their kernels in this process.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from autoencoder.kernels.products import LIBRARY, TYPES, array


def sqrt(x: Tensor) -> Tensor:
    """√x, rounded once."""
    return torch.from_numpy(np.asarray(np.sqrt(array(x))))


FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sqrt": sqrt,
    "asin": lambda x: torch.atan2(x, sqrt((1 - x) * (1 + x))),
    "acos": lambda x: torch.atan2(sqrt((1 - x) * (1 + x)), x),
    "atan": lambda x: torch.atan2(x, torch.ones_like(x)),
}


def install() -> None:
    """Replace torch's kernels by those of this module until the process ends."""
    for name, function in FUNCTIONS.items():
        for form in (name, f"{name}_", f"{name}.out"):
            LIBRARY.impl(form, kernel(form, function), "CPU", with_keyset=True)


def kernel(name: str, function: Callable[[Tensor], Tensor]) -> Callable[..., Any]:
    """What computes torch's operator `name`: `function` for float32 and float64, else torch's present kernel."""
    torchs, in_place = torch.library.get_kernel(f"aten::{name}", "CPU"), name.endswith("_")

    @np.errstate(all="ignore")  # √-1 is nan, as in torch
    def either(keys: Any, x: Tensor, **options: Any) -> Any:
        out = x if in_place else options.get("out")
        if x.dtype not in TYPES or (out is not None and (out.shape != x.shape or out.dtype != x.dtype)):
            return torchs.call_boxed(keys, x, **options)
        return function(x) if out is None else out.copy_(function(x))

    return either
