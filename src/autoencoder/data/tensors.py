"""safetensors files, which hold no pickle, read with one clear error if they are missing or damaged."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from autoencoder.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor


def read(path: Path, remedy: str) -> "tuple[dict[str, Tensor], dict[str, str]]":
    """The tensors and the metadata of `path`. Raises UserError, which ends with `remedy`, if they cannot be read."""
    with opened(path, remedy, "pt") as file:
        return {name: file.get_tensor(name) for name in sorted(file.keys())}, file.metadata() or {}


@contextmanager
def opened(path: Path, remedy: str, framework: str) -> Iterator[Any]:
    """The opened file `path`, whose tensors are those of `framework`: `pt` or `numpy`.

    Raises UserError, which ends with `remedy`, if it is missing or damaged.
    """
    try:
        with safe_open(path, framework=framework) as file:
            yield file
    except FileNotFoundError:
        raise UserError(f"{path}: not found; {remedy}") from None
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: expected a safetensors file, found {error}; {remedy}") from None
