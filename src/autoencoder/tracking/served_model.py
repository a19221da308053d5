"""How MLflow runs the exported program. A copy goes into every logged model: it imports nothing of this project."""

import os
from pathlib import Path
from typing import Any

import mlflow.pytorch
import numpy as np
import torch

PICKLE = "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"


class Autoencoder:
    """Scaled images [n, input] as float32 in, a dict of `reconstruction` [n, input] and `code` [n, code] out."""

    def __init__(self, program: torch.nn.Module) -> None:
        self.program = program

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> dict[str, np.ndarray]:
        """Reconstructions and codes of an array or a DataFrame; MLflow has checked it against the signature."""
        x = torch.from_numpy(np.ascontiguousarray(data, dtype=np.float32))
        with torch.no_grad():
            return {name: output.numpy() for name, output in self.program(x).items()}


def _load_pyfunc(path: str) -> Autoencoder:
    """Load the program; MLflow refuses an archive with a pickle in it, which torch would load, for this model alone."""
    before = os.environ.get(PICKLE)
    os.environ[PICKLE] = "false"
    try:
        return Autoencoder(mlflow.pytorch.load_model(str(Path(path).parents[1])))
    finally:
        if before is None:
            del os.environ[PICKLE]
        else:
            os.environ[PICKLE] = before
