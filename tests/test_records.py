import math
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoencoder.files import read_csv, read_json, write_csv, write_json


@dataclass(frozen=True)
class Row:
    step: int
    mse: float


ROWS = st.lists(st.builds(Row, st.integers(0, 2**53), st.floats(allow_nan=False, allow_infinity=False)), min_size=1)


@given(rows=ROWS)
def test_csv_keeps_every_digit(tmp_path_factory: pytest.TempPathFactory, rows: list[Row]) -> None:
    path = tmp_path_factory.mktemp("records") / "rows.csv"
    write_csv(path, rows)
    assert read_csv(path) == [{"step": row.step, "mse": row.mse} for row in rows]


def test_csv_is_plain_text_with_a_header_and_unix_line_ends(tmp_path: Path) -> None:
    write_csv(tmp_path / "rows.csv", [Row(0, 0.5), Row(1, 1e-20)])
    assert (tmp_path / "rows.csv").read_bytes() == b"step,mse\n0,0.5\n1,1e-20\n"


def test_json_keeps_every_digit_and_the_order_of_the_keys(tmp_path: Path) -> None:
    figures = {"test": {"mse": math.pi / 30, "angle": 90.0}, "pca": {"code_dimensions": 32}}
    write_json(tmp_path / "figures.json", figures)
    assert read_json(tmp_path / "figures.json") == figures
    assert list(read_json(tmp_path / "figures.json")) == ["test", "pca"]
