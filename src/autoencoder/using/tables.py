"""Tables of codes, a row per picture, as Parquet or CSV by the file's suffix, written and read in pieces."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from jaxtyping import Float
from pyarrow import csv, dataset, parquet
from torch import Tensor

from autoencoder.errors import UserError
from autoencoder.files import written_atomically

CODE = "code_"


def check_suffix(path: Path) -> None:
    """Raise UserError if `path` is neither .parquet nor .csv."""
    if path.suffix not in (".parquet", ".csv"):
        raise UserError(f"{path}: expected a name that ends in .parquet or .csv, found {path.suffix!r}")


def schema(code_dimensions: int) -> pa.Schema:
    """The columns: path, squared_error, percentile, code_0 and so on."""
    numbers = [("squared_error", pa.float64()), ("percentile", pa.float64())]
    return pa.schema([("path", pa.string()), *numbers, *((f"{CODE}{i}", pa.float32()) for i in range(code_dimensions))])


@contextmanager
def writer(path: Path, columns: pa.Schema) -> Iterator[Any]:
    """A writer of record batches into `path`, which is there only if all went well."""
    kind = csv.CSVWriter if path.suffix == ".csv" else parquet.ParquetWriter
    with written_atomically(path) as file, kind(file, columns) as table:
        yield table


def read_codes(path: Path, code_dimensions: int) -> Iterator[Float[Tensor, "n code"]]:
    """The columns code_0, code_1, … of `path`, a piece at a time.

    Raises UserError if it is no such table, or its codes are not `code_dimensions` long.
    """
    check_suffix(path)
    wanted = [f"{CODE}{i}" for i in range(code_dimensions)]
    try:
        table = dataset.dataset(path, format=path.suffix[1:])
        found = [name for name in table.schema.names if name.startswith(CODE)]
        if sorted(found) != sorted(wanted):
            raise UserError(
                f"{path}: expected codes of {code_dimensions} numbers ({wanted[0]} … {wanted[-1]}), as the model "
                f"has, found {len(found)}; name another with --model"
            )
        for batch in table.to_batches(columns=wanted):
            yield torch.from_numpy(batch.to_tensor().to_numpy().copy()).float()
    except (pa.ArrowException, FileNotFoundError, TypeError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"{path}: expected a table of `autoencoder encode`, found {reason}") from None
