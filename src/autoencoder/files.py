"""Files that are either whole or not there, and the formats of the record, read with one clear error if damaged."""

import csv
import hashlib
import io
import json
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from autoencoder.errors import UserError


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` to `path` so that a reader, or a crash, sees the old file or the new one and nothing between.

    Raises OSError (no space, no permission) with the old file untouched and nothing left behind.
    """
    with written_atomically(path) as file:
        file.write(content)


@contextmanager
def written_atomically(path: Path) -> Iterator[IO[bytes]]:
    """A file to be written piece by piece, which becomes `path` at the end: `write_atomically` for long contents."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb", buffering=1 << 18) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        if temporary.exists():
            temporary.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def keep_only(folder: Path, names: Collection[str]) -> None:
    """Remove the files of `folder` that are not among `names`: what another model left there."""
    for path in folder.iterdir():
        if path.name not in names:
            path.unlink()


def write_csv(path: Path, rows: Sequence[Any]) -> None:
    """Write dataclass instances, at least one, as CSV without what is None; floats keep every digit."""
    text = io.StringIO()
    dicts = [{name: value for name, value in asdict(row).items() if value is not None} for row in rows]
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


def read_yaml(path: Path, text: str | None = None, *, remedy: str) -> dict[str, Any]:
    """The keys and values of the YAML file `path`, or of its `text`, as DVC reads them: YAML 1.2, no repeated keys.

    Raises UserError, which ends with `remedy`, if there are none.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        content = YAML(typ="safe").load(path.read_text(encoding="utf-8") if text is None else text)
    except FileNotFoundError:
        raise UserError(f"{path}: not found in {Path.cwd()}; run from the repository's root, or {remedy}") from None
    except (YAMLError, ValueError) as error:  # ValueError: no UTF-8, no such date, …
        raise UserError(f"{path}: not readable as YAML: {' '.join(str(error).split())}; {remedy}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected keys and values, found {content!r}; {remedy}")
    return content


def md5_of_bytes(content: bytes) -> str:
    """The MD5 of `content`, in hexadecimal: it names content in dvc.lock and guards against nothing."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def md5(path: Path) -> str:
    """The MD5 of a file or folder as DVC computes it.

    That of a folder is the MD5 of the list of its files, in the order of their names, with `.dir` behind it.
    """
    if path.is_dir():
        files = sorted((file.relative_to(path).as_posix(), file) for file in path.rglob("*") if file.is_file())
        listed = json.dumps([{"md5": md5(file), "relpath": name} for name, file in files], sort_keys=True)
        return f"{md5_of_bytes(listed.encode())}.dir"
    with path.open("rb") as content:
        return hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def has_md5(path: Path, expected: str) -> bool:
    """Whether the file or folder is there and has this MD5."""
    return path.exists() and md5(path) == expected


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
