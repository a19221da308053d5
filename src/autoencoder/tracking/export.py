"""The model as a program that runs without this project: a `torch.export` archive with two named outputs.

Exporting costs seconds of imports, so it runs in a process of its own, beside whatever else there is to do.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from autoencoder.errors import UserError
from autoencoder.tracking.journal import with_this_library

PROGRAM = "model.pt2"
ABOUT = "about.json"
EXAMPLE = "example.npy"
EXAMPLES = 2  # with one, torch.export would fix the size of the batch


@contextmanager
def begun() -> Iterator[Callable[[], Path]]:
    """Begin to export models/autoencoder.safetensors; call the value to wait for the folder of `export`.

    The call raises UserError if the export failed. Leaving the context without the call ends the export.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "autoencoder.tracking.export", folder]
        with subprocess.Popen(command, env=with_this_library(), stderr=subprocess.PIPE) as process:

            def exported() -> Path:
                _, errors = process.communicate()
                if process.returncode:
                    lines = errors.decode(errors="replace").strip().splitlines()
                    reason = lines[-1] if lines else f"exit status {process.returncode}"
                    raise UserError(f"the model could not be exported: {reason}")
                return Path(folder)

            try:
                yield exported
            finally:
                process.kill()


def export(folder: Path) -> None:
    """Write the program, which maps x [n, input] to `reconstruction` [n, input] and `code` [n, code].

    Beside it: an example of x with two images, and the version of torch and the length of each output as JSON.
    """
    import numpy as np
    import torch
    from torch import Tensor, nn

    from autoencoder.data.images import load_images, scale
    from autoencoder.models.autoencoder import Autoencoder
    from autoencoder.models.saved import load_model

    class Program(nn.Module):
        def __init__(self, model: Autoencoder) -> None:
            super().__init__()
            self.model = model

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            code = self.model.encode(x)
            return {"reconstruction": self.model.decode(code), "code": code}

    model, description = load_model()
    x = scale(load_images().test[:EXAMPLES], model.lowest)
    np.save(folder / EXAMPLE, x.numpy())
    program = torch.export.export(Program(model), (x,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    torch.export.save(program, folder / PROGRAM)
    outputs = {"reconstruction": description.input_dimensions, "code": description.code_dimensions}
    (folder / ABOUT).write_text(json.dumps({"torch": torch.__version__, "outputs": outputs}))


if __name__ == "__main__":
    from autoencoder.entry import spare_garbage_collection

    spare_garbage_collection()
    try:
        export(Path(sys.argv[1]))
    except UserError as error:
        sys.exit(str(error))
