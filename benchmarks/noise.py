"""An epoch while another process is busy on every core, over one that has the machine for itself."""

import os
import subprocess
import sys
from statistics import median
from typing import Any

import speed

BUSY = "while True: pass"


def measure(epochs: int) -> dict[str, Any]:
    """Median seconds per epoch, alone and beside the busy processes, taking turns."""
    with speed.workers(["default"], {}) as processes:
        times: dict[str, list[float]] = {"alone": [], "busy": []}
        speed.epoch(processes["default"])
        for _ in range(epochs):
            times["alone"].append(speed.epoch(processes["default"])["seconds"])
            others = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(os.cpu_count() or 1)]
            try:
                times["busy"].append(speed.epoch(processes["default"])["seconds"])
            finally:
                for other in others:
                    other.kill()
                    other.wait()
    alone, busy = median(times["alone"]), median(times["busy"])
    cores = os.cpu_count() or 1
    return {"alone": alone, "busy": busy, "busy / alone": busy / alone, "fair share": (cores + 1) / cores}


def table(found: dict[str, Any]) -> str:
    """One line."""
    return (
        f"beside a busy process on every core an epoch takes {found['busy / alone']:.2f} times as long as alone "
        f"({found['busy']:.2f} s, {found['alone']:.2f} s); {found['fair share']:.2f} times is its share of the machine"
    )
