"""How numbers are computed: the same bytes on every x86-64 CPU with AVX2, at full speed; and on which device.

numpy's OpenBLAS, torch's ATen, MKL and oneDNN choose their kernels by the CPU that they find, and by variables of the
environment. `configure` chooses for them, before numpy and torch are imported.
"""

import ctypes
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from autoencoder.errors import UserError
from autoencoder.params import Runtime

if TYPE_CHECKING:
    import torch

# Matrix products are OpenBLAS's (see `products`), linear algebra is MKL's, convolutions are oneDNN's, and all else is
# ATen's but for what `elementary` replaces.
PINNED = {
    "OPENBLAS_CORETYPE": "Haswell",
    "MKL_CBWR": "COMPATIBLE",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "ATEN_CPU_CAPABILITY": "avx2",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
}
THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")
# OpenBLAS (for 2^16 cycles) and torch's OpenMP (2,000 times) look for more work before a thread sleeps. By default both
# look for so long that they keep each other from the cores: two threads then take four to ten times as long as one.
WAITING = {"OPENBLAS_THREAD_TIMEOUT": "16", "GOMP_SPINCOUNT": "2000"}
# Any other variable with such a name may choose other kernels, another precision, or other sizes of blocks.
REMOVED = ("OPENBLAS_", "MKL_", "ONEDNN_", "DNNL_", "ATEN_", "NPY_DISABLE_CPU_FEATURES", "NPY_ENABLE_CPU_FEATURES")

PROMISED = "as promised"


def configure(runtime: Runtime) -> list[str]:
    """Choose kernels and the number of threads, import torch, and return what the user should be told.

    The choice wins over the caller's environment. Raises UserError if numpy or torch was imported before under another.
    """
    notes, outside = pin(runtime), outside_the_promise()

    import torch

    torch.set_num_threads(runtime.threads)
    if torch.cuda.is_available():
        torch.use_deterministic_algorithms(True)
    if outside is None:
        from autoencoder.kernels import elementary, products

        if not products.LIBRARY._op_impls:
            products.install()
            elementary.install()
        outside = differing()
        if outside and runtime.threads > 1:
            outside = f"the same bytes are promised for runtime.threads 1, this is {runtime.threads}"
    if outside:
        notes.append(f"{outside}: outputs may differ from dvc.lock's in the last bits")
    if (chosen := device(runtime).type) != "cpu":
        notes.append(
            f"runtime.device {runtime.device} is {chosen} here: the same bytes as on any other CPU, "
            "those of dvc.lock, are promised for runtime.device cpu"
        )
    return notes


def pin(runtime: Runtime) -> list[str]:
    """Set the environment in which numpy and torch choose their kernels when they are imported later.

    Returns a line for each variable that asked for something else. Raises UserError if it is too late.
    """
    profile = dict.fromkeys(THREADS, str(runtime.threads)) | WAITING
    profile |= PINNED if outside_the_promise() is None else {}
    changed = {name: os.environ[name] for name in os.environ if name.startswith(REMOVED) and name not in profile}
    changed |= {name: os.environ.get(name, "") for name in profile if os.environ.get(name) != profile[name]}
    loaded = [name for name in ("numpy", "torch") if name in sys.modules]
    if changed and loaded:
        raise UserError(
            f"expected {' and '.join(loaded)} to be imported after numerics.configure, found {loaded[0]} imported with "
            f"other settings ({', '.join(sorted(changed))}); start a new process"
        )
    for name in changed:
        os.environ.pop(name, None)
    os.environ.update(profile)
    return [
        f"{name}={value} is overridden" + (f" by {name}={profile[name]}" if name in profile else "")
        for name, value in sorted(changed.items())
        if value
    ]


def outside_the_promise() -> str | None:
    """Why this machine's CPU cannot give the promised bytes, or None if it can. Loads neither numpy nor torch."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return f"the same bytes are promised for x86-64 CPUs, this is {platform.machine()}"
    if not has_avx2():
        return "the same bytes are promised for CPUs with AVX2, this one does not have it"
    return None


def has_avx2() -> bool:
    """Whether this x86-64 CPU and its system can run AVX2's instructions: as glibc 2.33 or later found, else Linux."""

    class Leaf(ctypes.Structure):
        """struct cpuid_feature of <sys/platform/x86.h>: the registers EAX to EDX, there and usable."""

        _fields_ = (("there", ctypes.c_uint32 * 4), ("usable", ctypes.c_uint32 * 4))

    try:
        leaf = ctypes.CDLL(None).__x86_get_cpuid_feature_leaf
    except (AttributeError, OSError, TypeError):
        cpus = Path("/proc/cpuinfo")
        return cpus.exists() and " avx2 " in cpus.read_text()
    leaf.restype = ctypes.POINTER(Leaf)
    return bool(leaf(1).contents.usable[1] & 1 << 5)  # leaf 7, EBX, bit 5


def differing() -> str | None:
    """Which operations give other bytes here than those that are promised, or None if all give the same."""
    from autoencoder.kernels import canary

    names = canary.different()
    return f"other bytes than promised from {', '.join(names)} on this machine" if names else None


def facts(runtime: Runtime) -> dict[str, str]:
    """What besides data, code and params can change a result's bytes: to be recorded, and compared between machines."""
    import numpy as np
    import torch

    chosen = device(runtime)
    return {
        "torch": torch.__version__,
        "numpy": np.__version__,
        "machine": platform.machine(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "device": torch.cuda.get_device_name(chosen) if chosen.type == "cuda" else chosen.type,
        "threads": str(torch.get_num_threads()),
        "canary": outside_the_promise() or differing() or PROMISED,
    }


def device(runtime: Runtime) -> "torch.device":
    """The device that `runtime.device` names, or for `auto` the best that is there. Raises UserError if it is not."""
    import torch

    available = ["cpu"]
    if torch.backends.mps.is_available():
        available.insert(0, "mps")
    if torch.cuda.is_available():
        available.insert(0, "cuda")
    name = available[0] if runtime.device == "auto" else runtime.device
    if name not in available:
        raise UserError(
            f"params.yaml: runtime.device: expected one of {', '.join(['auto', *available])} on this machine, "
            f"found {name!r}"
        )
    return torch.device(name)
