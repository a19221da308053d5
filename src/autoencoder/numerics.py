"""How numbers are computed: the numeric profile, which must be chosen before torch is imported, and the device.

`portable` gives the same bytes on every x86-64 CPU with AVX2: it fixes the instruction sets among which ATen, MKL and
oneDNN otherwise choose by the CPU they find. `fast` leaves torch as it is.
"""

import os
import platform
import sys
from typing import TYPE_CHECKING

from autoencoder.errors import UserError
from autoencoder.params import Runtime

if TYPE_CHECKING:
    import torch

PORTABLE = {
    "MKL_CBWR": "COMPATIBLE",
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
}


def configure(runtime: Runtime) -> list[str]:
    """Set the numeric profile and the number of threads, import torch, and return what the user should be told.

    The profile wins over the caller's environment. Raises UserError if torch was imported before under another profile.
    """
    notes = []
    threads = str(runtime.threads)
    profile = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    if runtime.numerics == "portable":
        profile |= PORTABLE
    for name, value in profile.items():
        if os.environ.get(name, value) != value:
            notes.append(f"{name}={os.environ[name]} is overridden by {name}={value} (runtime in params.yaml)")
    late = "torch" in sys.modules and any(os.environ.get(name) != value for name, value in profile.items())
    if late and runtime.numerics == "portable":
        raise UserError("runtime.numerics: portable must be set before torch is imported; start a new process")
    os.environ.update(profile)

    import torch

    torch.set_num_threads(runtime.threads)
    if runtime.numerics == "portable":
        if torch.cuda.is_available():
            torch.use_deterministic_algorithms(True)
        if outside := outside_the_promise():
            os.environ["ATEN_CPU_CAPABILITY"] = "default"  # AVX2's kernels would end the process: ATen takes our word
            notes.append(f"{outside}: outputs may differ from dvc.lock's in the last bits")
        if (chosen := device(runtime).type) != "cpu":
            notes.append(
                f"runtime.device {runtime.device} is {chosen} here: the same bytes as on any other CPU, "
                "those of dvc.lock, are promised for runtime.device cpu"
            )
    return notes


def outside_the_promise() -> str | None:
    """Why this machine's CPU cannot give the portable bytes, or None if it can."""
    import torch

    if platform.machine() not in ("x86_64", "AMD64"):
        return f"portable numerics are promised for x86-64 CPUs, this is {platform.machine()}"
    if not torch.cpu.get_capabilities().get("avx2"):
        return "portable numerics need AVX2, this CPU does not have it"
    return None


def facts(runtime: Runtime) -> dict[str, str]:
    """What besides data, code and params can change a result's bytes: to be recorded, and compared between machines."""
    import torch

    chosen = device(runtime)
    return {
        "torch": torch.__version__,
        "machine": platform.machine(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "device": torch.cuda.get_device_name(chosen) if chosen.type == "cuda" else chosen.type,
        "numerics": runtime.numerics,
        "threads": str(torch.get_num_threads()),
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
