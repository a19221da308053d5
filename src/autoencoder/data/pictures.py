"""A folder of pictures → a file of images: found, checked, decoded on all cores, split, and streamed to disk."""

import hashlib
import json
import os
import shutil
import sys
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tqdm import tqdm

from autoencoder import paths
from autoencoder.data.decode import SUFFIXES, Picture, Wanted, decode_all
from autoencoder.errors import UserError
from autoencoder.files import written_atomically

SHOWN = 10  # files that an error names
CLASSES = 256  # labels are bytes
SPLITS = ("train", "test", "validation")


@dataclass(frozen=True)
class Found:
    """The pictures of a folder in their order, and the other files: hidden ones are left out of both."""

    pictures: list[str]
    others: list[str]


def is_folder_of_pictures(name: str) -> bool:
    """Whether data/sets/`name` holds pictures instead of a source.yaml."""
    folder = paths.SETS / name
    return folder.is_dir() and not (folder / "source.yaml").exists()


def find(folder: str) -> Found:
    """All files below `folder`, in the order of their names' UTF-8 bytes after NFC: the same on every file system.

    Links to files are followed. Raises UserError for a link to a folder.
    """
    found = Found([], [])
    for file in _files(folder):
        is_picture = f".{file.name.rpartition('.')[2].lower()}" in SUFFIXES
        (found.pictures if is_picture else found.others).append(file.path)
    return Found(sorted(found.pictures, key=_order), sorted(found.others, key=_order))


def _files(folder: str) -> Iterator["os.DirEntry[str]"]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if not entry.is_dir():
                yield entry
            elif entry.is_symlink():
                raise UserError(f"{shown(entry.path)}: expected a folder, found a link to one; copy the folder there")
            else:
                yield from _files(entry.path)


def _order(path: str) -> tuple[bytes, bytes]:
    content = os.fsencode(path)
    text = content.decode("utf-8", "surrogateescape")
    return unicodedata.normalize("NFC", text).encode("utf-8", "surrogateescape"), content


def shown(path: str) -> str:
    """`path` as a text that every terminal can print."""
    return os.fsencode(path).decode("utf-8", "replace")


def classes(pictures: list[str], folder: str) -> list[int] | None:
    """The number of the class of each picture: its folder in `folder`. None if there are no two such folders.

    Raises UserError if some pictures are in folders and others are not, or there are more than 256 folders.
    """
    names = [path[len(folder) + 1 :].split("/") for path in pictures]
    loose = [path for path, parts in zip(pictures, names, strict=True) if len(parts) == 1]
    filed = [path for path, parts in zip(pictures, names, strict=True) if len(parts) > 1]
    if loose and filed:
        raise UserError(
            f"{folder}: expected either all pictures in folders, one per class, or none, found both "
            f"({shown(loose[0])} and {shown(filed[0])})"
        )
    known = {name: index for index, name in enumerate(dict.fromkeys(parts[0] for parts in names))}
    if loose or len(known) == 1:
        return None
    if len(known) > CLASSES:
        raise UserError(
            f"{folder}: expected at most {CLASSES} folders, one per class, found {len(known)}; "
            "without classes the pictures can lie in one folder"
        )
    return [known[parts[0]] for parts in names]


def split_of(digest: bytes, test: float, validation: float) -> str:
    """The split of an image whose pixels have this SHA-256: equal images share it, and new ones move no other."""
    if int.from_bytes(digest[4:8], "big") < test * 2**32:
        return "test"
    return "validation" if int.from_bytes(digest[:4], "big") < validation * 2**32 else "train"


@dataclass
class _Split:
    """Images and labels of one split, on their way to the file."""

    pixels: IO[bytes]
    count: int
    labels: bytearray


def convert(name: str, target: Path, wanted: Wanted, test: float, validation: float = 0.0) -> list[str]:
    """Write the pictures in data/sets/`name` as the file that `images.load_images` reads; return what is to be said.

    `test` and `validation` are the fractions of the test images among all and of the validation images among the
    others, by `split_of`. A few megabytes per core are in memory at a time. Raises UserError if there are no pictures,
    if some cannot be decoded (all are tried) or differ in shape, or if a split stays empty; then nothing is written.
    """
    folder = str(paths.SETS / name)
    found = find(folder)
    if not found.pictures:
        kinds = ", ".join(sorted(suffix.removeprefix(".") for suffix in SUFFIXES))
        raise UserError(f"{folder}: expected pictures ({kinds}), found none among {len(found.others):,} files")
    labels = classes(found.pictures, folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        spool = {
            split: _Split(stack.enter_context(tempfile.TemporaryFile(dir=target.parent)), 0, bytearray())
            for split in SPLITS
        }
        shape = (0, 0, 0)
        for index, picture in decoded(found.pictures, wanted):
            shape = picture.shape
            split = spool[split_of(hashlib.sha256(picture.pixels).digest(), test, validation)]
            split.pixels.write(picture.pixels)
            split.count += 1
            if labels:
                split.labels.append(labels[index])
        _check_splits(folder, spool, test, validation)
        _assemble(target, spool, shape)
    counts = ", ".join(f"{split.count:,} {kind}" for kind, split in spool.items() if split.count)
    return [f"{name}: {counts} images of {' × '.join(map(str, shape))} in {target}", *_notes(found, labels)]


def decoded(files: list[str], wanted: Wanted) -> Iterator[tuple[int, Picture]]:
    """The pictures in `files`, which must have one shape, each with its place in the list; a bar shows how far it is.

    Raises UserError at the first picture of another shape, or at the end, with the files that cannot be decoded.
    """
    bad: list[str] = []
    first: tuple[str, Picture] | None = None
    bar = tqdm(
        decode_all(files, wanted), total=len(files), unit="picture", leave=False, disable=not sys.stderr.isatty()
    )
    for index, picture in enumerate(bar):
        if isinstance(picture, str):
            bad.append(f"{shown(files[index])}: {picture}")
            continue
        first = first or (files[index], picture)
        if picture.shape != first[1].shape:
            raise _mixed(first, (files[index], picture))
        if not bad:
            yield index, picture
    if bad:
        more = [f"… and {len(bad) - SHOWN:,} more"] * (len(bad) > SHOWN)
        lines = "\n".join([*bad[:SHOWN], *more])
        raise UserError(f"{len(bad):,} of {len(files):,} pictures cannot be decoded; mend or remove them:\n{lines}")


def _mixed(one: tuple[str, Picture], other: tuple[str, Picture]) -> UserError:
    (path, picture), (other_path, other_picture) = one, other
    a, b = (f"{width} × {height} × {channels}" for channels, height, width in (picture.shape, other_picture.shape))
    same_size = picture.shape[1:] == other_picture.shape[1:]
    remedy = "data.channels to 1 (grey) or 3 (colour)" if same_size else "data.image_size"
    return UserError(
        f"expected pictures of one shape, found {shown(path)} with {a} and {shown(other_path)} with {b} "
        f"(width × height × channels); set {remedy} in {paths.PARAMS}"
    )


def _check_splits(folder: str, spool: dict[str, _Split], test: float, validation: float) -> None:
    wanted = {"train": True, "test": True, "validation": validation > 0}
    if empty := [kind for kind in SPLITS if wanted[kind] and not spool[kind].count]:
        total = sum(split.count for split in spool.values())
        raise UserError(
            f"{folder}: expected images in every split, found {' and '.join(empty)} empty ({total:,} pictures, "
            f"data.test_fraction {test}); add pictures or change the fraction"
        )


def _assemble(target: Path, spool: dict[str, _Split], shape: tuple[int, int, int]) -> None:
    """Write a safetensors file: the length of the header, the header, the images, then the labels of each split."""
    tensors: dict[str, tuple[list[int], IO[bytes] | bytearray]] = {}
    for kind, split in spool.items():
        if split.count:
            tensors[f"{kind}_images"] = ([split.count, *shape], split.pixels)
    for kind, split in spool.items():
        if split.labels:
            tensors[f"{kind}_labels"] = ([split.count], split.labels)
    header, end = {}, 0
    for name, (sizes, content) in tensors.items():
        length = len(content) if isinstance(content, bytearray) else content.tell()
        header[name] = {"dtype": "U8", "shape": sizes, "data_offsets": [end, end + length]}
        end += length
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with written_atomically(target) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, content in tensors.values():
            if isinstance(content, bytearray):
                file.write(content)
            else:
                content.seek(0)
                shutil.copyfileobj(content, file, 1 << 20)


def _notes(found: Found, labels: list[int] | None) -> Iterator[str]:
    if found.others:
        names = ", ".join(shown(path).rpartition("/")[2] for path in found.others[:3])
        more = ", …" * (len(found.others) > 3)  # noqa: PLR2004
        yield f"note: left out, for their suffixes: {len(found.others):,} files ({names}{more})"
    for label, count in sorted(Counter(labels or []).items()):
        if count == 1:
            path = found.pictures[(labels or []).index(label)]
            yield f"warning: {shown(path)} is the only picture of its class"
