"""Pictures → rows of a table: path, squared error, its percentile among the test images' errors, code."""

import sys
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import torch
from tqdm import tqdm

from autoencoder.data import pictures
from autoencoder.data.decode import decode_all
from autoencoder.errors import UserError
from autoencoder.using import tables
from autoencoder.using.trained import Trained

BATCH, BATCH_PIXELS = 1_000, 1 << 22  # the most images, and numbers, that the model takes at a time


class Row(NamedTuple):
    """What is known of a picture beside its code."""

    path: str
    squared_error: float
    percentile: float


def named(arguments: Sequence[str], standard_input: Iterable[str]) -> list[str]:
    """The files that `arguments` name: files, all pictures of folders, and for `-` the lines of `standard_input`.

    Raises UserError if there are none.
    """
    files: list[str] = []
    for argument in arguments:
        if argument == "-":
            files += [line.rstrip("\n") for line in standard_input if line.strip()]
        else:
            files += pictures.find(argument)[0] if Path(argument).is_dir() else [argument]
    if not files:
        raise UserError(f"{' '.join(arguments)}: expected pictures, found none")
    return files


def encode(trained: Trained, files: Sequence[str], output: Path | None) -> tuple[list[Row], list[str]]:
    """Encode `files` in their order and write the table `output`. Return its rows, and what cannot be decoded, why.

    Raises UserError, and writes no table, if none can be decoded.
    """
    shape, inputs = trained.description.image_shape, trained.description.input_dimensions
    columns = tables.schema(trained.description.code_dimensions)
    images = torch.empty(max(1, min(BATCH, BATCH_PIXELS // inputs)), *shape, dtype=torch.uint8)
    rows: list[Row] = []
    bad: list[str] = []
    waiting: list[str] = []  # the names of the pictures in `images`
    with tables.writer(output, columns) if output else nullcontext() as table:
        found = decode_all(files, trained.wanted, shape)
        bar = tqdm(found, total=len(files), unit="picture", leave=False, disable=not sys.stderr.isatty())
        for number, (path, picture) in enumerate(zip(files, bar, strict=True), 1):
            if isinstance(picture, str):
                bad.append(f"{pictures.shown(path)}: {picture}")
            else:
                images[len(waiting)] = torch.frombuffer(bytearray(picture.pixels), dtype=torch.uint8).reshape(shape)
                waiting.append(path)
            if waiting and (len(waiting) == len(images) or number == len(files)):
                codes, errors = trained.encode(images[: len(waiting)])
                percentiles = trained.percentiles(errors)
                if table:
                    names = pa.array(map(pictures.shown, waiting))
                    numbers = (errors.numpy(), percentiles.numpy(), *codes.T.contiguous().numpy())
                    table.write_batch(pa.record_batch([names, *numbers], schema=columns))
                rows += map(Row, waiting, errors.tolist(), percentiles.tolist())
                waiting.clear()
        if not rows:
            raise UserError("\n".join([f"{len(bad):,} of {len(files):,} pictures could not be decoded:", *bad]))
    return rows, bad
