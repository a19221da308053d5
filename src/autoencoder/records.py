"""The numbers on disk: rows of dataclasses as CSV, nested figures as JSON. Knows neither torch nor MLflow."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from autoencoder.errors import UserError
from autoencoder.files import write_atomically


def write_csv(path: Path, rows: Sequence[Any]) -> None:
    """Write dataclass instances, at least one, as CSV; floats keep every digit."""
    text = io.StringIO()
    dicts = [asdict(row) for row in rows]
    writer = csv.DictWriter(text, list(dicts[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(dicts)
    write_atomically(path, text.getvalue().encode())


def read_csv(path: Path) -> list[dict[str, float]]:
    """The rows of `write_csv`, every value as a number. Raises UserError if the file holds something else."""
    try:
        with path.open(newline="") as file:
            rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
            if not rows:
                raise ValueError("no rows")
            return rows
    except (FileNotFoundError, TypeError, ValueError) as error:
        raise UserError(f"{path}: expected a table of numbers, found {error}; dvc repro") from None


def write_json(path: Path, figures: dict[str, Any]) -> None:
    """Write figures, indented, with every digit."""
    write_atomically(path, (json.dumps(figures, indent=2) + "\n").encode())


def read_json(path: Path) -> Any:
    """The figures of `write_json`. Raises UserError if the file holds something else."""
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError) as error:
        raise UserError(f"{path}: expected JSON, found {error}; dvc repro") from None
