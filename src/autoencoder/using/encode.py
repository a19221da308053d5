"""Pictures → rows of a table: path, squared error, its percentile among the test images' errors, code."""

import heapq
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from jaxtyping import UInt8
from torch import Tensor
from tqdm import tqdm

from autoencoder.data import pictures
from autoencoder.data.decode import Picture, decode_all
from autoencoder.errors import UserError
from autoencoder.using import tables
from autoencoder.using.trained import Trained

BATCH = 1_000  # pictures that the model takes at a time, fewer if they are large
BATCH_PIXELS = 1 << 22
SHEET = 24  # pictures on a sheet


@dataclass(frozen=True, order=True)
class Odd:
    """A picture with a large squared error; the first of equal ones is the lesser."""

    squared_error: float
    order: int
    path: str = field(compare=False)
    image: UInt8[Tensor, "channels height width"] = field(compare=False)


@dataclass
class Outcome:
    """What became of the pictures: (squared error, percentile, path) of each that was encoded, and the others."""

    ranked: list[tuple[float, float, str]]
    odd: list[Odd]
    bad: list[str]


def named(arguments: Sequence[str], standard_input: Iterable[str]) -> list[str]:
    """The files that `arguments` name: files, all pictures of folders, and for `-` the lines of `standard_input`.

    Raises UserError if there are none.
    """
    files: list[str] = []
    for argument in arguments:
        if argument == "-":
            files += [line.rstrip("\n") for line in standard_input if line.strip()]
        else:
            files += pictures.find(argument).pictures if Path(argument).is_dir() else [argument]
    if not files:
        raise UserError(f"{' '.join(arguments)}: expected pictures, found none")
    return files


def encode(trained: Trained, files: Sequence[str], output: Path | None) -> Outcome:
    """Encode `files` in their order and write the table `output`; pictures that cannot be decoded are left out."""
    outcome = Outcome([], [], [])
    columns = tables.schema(trained.description.code_dimensions)
    order = count(0, -1)
    rows: list[tuple[str, Picture]] = []
    batch = max(1, min(BATCH, BATCH_PIXELS // trained.description.input_dimensions))
    with ExitStack() as stack:
        table = stack.enter_context(tables.writer(output, columns)) if output else None
        decoded = decode_all(files, trained.wanted)
        bar = tqdm(decoded, total=len(files), unit="picture", leave=False, disable=not sys.stderr.isatty())
        for path, picture in zip(files, bar, strict=True):
            if isinstance(picture, str):
                outcome.bad.append(f"{pictures.shown(path)}: {picture}")
                continue
            rows.append((path, picture))
            if len(rows) == batch:
                _finish(trained, rows, table, outcome, order)
        _finish(trained, rows, table, outcome, order)
    outcome.odd.sort(reverse=True)
    return outcome


def _finish(
    trained: Trained, rows: list[tuple[str, Picture]], table: Any, outcome: Outcome, order: Iterator[int]
) -> None:
    """Encode the pictures of `rows`, write them to `table`, and empty `rows`."""
    if not rows:
        return
    images = torch.frombuffer(bytearray(b"".join(picture.pixels for _, picture in rows)), dtype=torch.uint8)
    images = images.reshape(len(rows), *trained.description.image_shape)
    codes, errors = trained.encode(images)
    percentiles = trained.percentiles(errors)
    names = [os.fsencode(path).decode("utf-8", "replace") for path, _ in rows]
    if table:
        columns = [pa.array(names), errors.numpy(), percentiles.numpy(), *codes.T.contiguous().numpy()]
        table.write_batch(pa.record_batch(columns, schema=tables.schema(codes.shape[1])))
    outcome.ranked += zip(errors.tolist(), percentiles.tolist(), names, strict=True)
    for error, name, image in zip(errors.tolist(), names, images, strict=True):
        push = heapq.heappush if len(outcome.odd) < SHEET else heapq.heappushpop
        push(outcome.odd, Odd(error, next(order), name, image))
    rows.clear()
