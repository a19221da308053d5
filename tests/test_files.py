import errno
import hashlib
import json
import math
import os
import resource
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import run
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from autoencoder.files import md5, read_csv, read_json, write_atomically, write_csv, write_json


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_writes_the_content_and_the_folders_above_it(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file"
    write_atomically(path, b"content")
    assert path.read_bytes() == b"content"
    assert listing(path.parent) == ["file"]


def test_replaces_a_link_instead_of_writing_through_it(tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"in the cache")
    (tmp_path / "file").symlink_to(tmp_path / "cache")
    write_atomically(tmp_path / "file", b"new")
    assert (tmp_path / "cache").read_bytes() == b"in the cache"
    assert not (tmp_path / "file").is_symlink()


@pytest.mark.parametrize("step", ["fsync", "rename"])
def test_a_full_disk_leaves_the_old_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "file"
    write_atomically(path, b"old")
    monkeypatch.setattr(os if step == "fsync" else Path, step, full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_atomically(path, b"new")
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert listing(tmp_path) == ["file"]


def test_a_write_that_the_kernel_cuts_short_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_atomically(path, bytes(10_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, previous)
    assert path.read_bytes() == b"old"
    assert listing(tmp_path) == ["file"]


def test_an_interrupted_write_leaves_the_old_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "file"
    write_atomically(path, b"old")
    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert listing(tmp_path) == ["file"]


def test_a_folder_that_is_a_file_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "metrics").write_bytes(b"")
    with pytest.raises(OSError, match="metrics"):
        write_atomically(tmp_path / "metrics" / "file", b"")


@dataclass(frozen=True)
class Row:
    step: int
    mse: float


ROWS = st.lists(st.builds(Row, st.integers(0, 2**53), st.floats(allow_nan=False, allow_infinity=False)), min_size=1)


@given(rows=ROWS)
def test_csv_keeps_every_digit(tmp_path_factory: pytest.TempPathFactory, rows: list[Row]) -> None:
    path = tmp_path_factory.mktemp("csv") / "rows.csv"
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


def test_the_md5_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(range(256)) * 10_000)
    assert md5(tmp_path / "file") == hashlib.md5((tmp_path / "file").read_bytes(), usedforsecurity=False).hexdigest()


def test_the_md5_of_a_folder_is_the_one_that_dvc_records_for_a_dependency(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    for name in ("b.png", "a b/1.png", "a.b/ü.png", "a/z/2.png", "a-b", "Z", ".hidden", "empty"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("" if name == "empty" else name)
    (folder / "no file in it").mkdir()
    (tmp_path / "dvc.yaml").write_text(json.dumps({"stages": {"look": {"cmd": "true", "deps": ["set", "set/b.png"]}}}))
    run("git", "init", "-q", cwd=tmp_path)
    run("dvc", "init", "-q", cwd=tmp_path)
    run("dvc", "repro", "-q", cwd=tmp_path)
    recorded = YAML(typ="safe").load(tmp_path / "dvc.lock")["stages"]["look"]["deps"]
    assert {dep["path"]: dep["md5"] for dep in recorded} == {
        "set": md5(folder),
        "set/b.png": md5(folder / "b.png"),
    }
    assert md5(folder).endswith(".dir")


@pytest.mark.parametrize("change", ["edit", "rename", "move", "add", "remove"])
def test_whatever_changes_in_a_folder_changes_its_md5(tmp_path: Path, change: str) -> None:
    folder = tmp_path / "set"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "1").write_text("1")
    (folder / "2").write_text("2")
    before = md5(folder)
    match change:
        case "edit":
            (folder / "a" / "1").write_text("3")
        case "rename":
            (folder / "a" / "1").rename(folder / "a" / "0")
        case "move":
            (folder / "2").rename(folder / "a" / "2")
        case "add":
            (folder / "3").touch()
        case "remove":
            (folder / "2").unlink()
    assert md5(folder) != before
