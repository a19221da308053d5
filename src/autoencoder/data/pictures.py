"""A folder of pictures → a file of images: found, checked, decoded on all cores, split, and streamed to disk."""

import hashlib
import json
import math
import os
import shutil
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator
from itertools import accumulate, pairwise
from pathlib import Path
from tempfile import TemporaryFile

from tqdm import tqdm

from autoencoder import paths
from autoencoder.data.decode import SUFFIXES, Picture, Shape, Wanted, attempt, decode_all
from autoencoder.errors import UserError
from autoencoder.files import written_atomically

SHOWN = 10  # files that an error names
CLASSES = 256  # labels are bytes
SPLITS = ("train", "test", "validation")
HEADER = 1_024  # bytes before the pixels, so that these can be written before their number is known


def is_folder_of_pictures(name: str) -> bool:
    """Whether data/sets/`name` holds pictures instead of a source.yaml."""
    folder = paths.SETS / name
    return folder.is_dir() and not (folder / "source.yaml").exists()


def find(folder: str) -> tuple[list[str], list[str]]:
    """The pictures below `folder`, and its other files; hidden ones are left out of both.

    They are in the order of their names' UTF-8 bytes after NFC: the same on every file system. Links to files are
    followed. Raises UserError for a link to a folder.
    """
    by_kind: dict[bool, list[str]] = {True: [], False: []}
    for path in sorted((file.path for file in _files(folder)), key=_order):
        by_kind[f".{path.rpartition('.')[2].lower()}" in SUFFIXES].append(path)
    return by_kind[True], by_kind[False]


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


def convert(name: str, target: Path, wanted: Wanted, test: float, validation: float = 0.0) -> list[str]:
    """Write the pictures in data/sets/`name` as the file that `images.load_images` reads; return what is to be said.

    `test` and `validation` are the fractions of the test images among all and of the validation images among the
    others, by `split_of`. A few megabytes per core are in memory at a time. Raises UserError if there are no pictures,
    if some cannot be decoded (all are tried) or differ in shape, or if a split stays empty; then nothing is written.
    """
    folder = str(paths.SETS / name)
    files, others = find(folder)
    if not files:
        kinds = ", ".join(sorted(suffix.removeprefix(".") for suffix in SUFFIXES))
        raise UserError(f"{folder}: expected pictures ({kinds}), found none among {len(others):,} files")
    labels = classes(files, folder)
    members: dict[str, list[int]] = {split: [] for split in SPLITS}
    with written_atomically(target) as file, TemporaryFile(dir=target.parent) as other, TemporaryFile() as third:
        file.seek(HEADER)
        pixels = dict(zip(SPLITS, (file, other, third), strict=True))  # training images go where they stay
        for index, picture in decoded(files, wanted):
            shape = picture.shape
            split = split_of(hashlib.sha256(picture.pixels).digest(), test, validation)
            pixels[split].write(picture.pixels)
            members[split].append(index)
        empty = [split for split in SPLITS if not members[split] and (split != "validation" or validation)]
        if empty:
            raise UserError(
                f"{folder}: expected images in every split, found {' and '.join(empty)} empty "
                f"({len(files):,} pictures, data.test_fraction {test}); add pictures or change the fraction"
            )
        for rest in (other, third):
            rest.seek(0)
            shutil.copyfileobj(rest, file, 1 << 20)
        sizes = {f"{split}_images": [len(indices), *shape] for split, indices in members.items() if indices}
        if labels:
            sizes |= {f"{split}_labels": [len(indices)] for split, indices in members.items() if indices}
            file.write(bytes(labels[index] for indices in members.values() for index in indices))
        file.seek(0)
        file.write(_header(sizes))
    counts = ", ".join(f"{len(indices):,} {split}" for split, indices in members.items() if indices)
    return [
        f"{name}: {counts} images of {' × '.join(map(str, shape))} in {target}",
        *_notes(files, others, labels or []),
    ]


def _header(sizes: dict[str, list[int]]) -> bytes:
    """The first bytes of a safetensors file of bytes in these shapes: a length and JSON, filled up with spaces."""
    ends = list(accumulate(map(math.prod, sizes.values()), initial=0))
    entries = {
        name: {"dtype": "U8", "shape": shape, "data_offsets": offsets}
        for (name, shape), offsets in zip(sizes.items(), pairwise(ends), strict=True)
    }
    return (HEADER - 8).to_bytes(8, "little") + json.dumps(entries).encode().ljust(HEADER - 8)


def decoded(files: list[str], wanted: Wanted) -> Iterator[tuple[int, Picture]]:
    """The pictures in `files`, which must have one shape, each with its place in the list; a bar shows how far it is.

    Raises UserError at the first picture of another shape, or at the end, with the files that cannot be decoded.
    """
    tried = ((path, attempt(path, wanted)) for path in files)
    first = next(((path, picture.shape) for path, picture in tried if isinstance(picture, Picture)), ("", (1, 1, 1)))
    bad: list[str] = []
    found = decode_all(files, wanted, first[1])
    bar = tqdm(found, total=len(files), unit="picture", leave=False, disable=not sys.stderr.isatty())
    for index, picture in enumerate(bar):
        if isinstance(picture, str):
            bad.append(f"{shown(files[index])}: {picture}")
        elif picture.shape != first[1]:
            raise _mixed(*first, files[index], picture.shape)
        elif not bad:
            yield index, picture
    if bad:
        more = [f"… and {len(bad) - SHOWN:,} more"] * (len(bad) > SHOWN)
        lines = "\n".join([*bad[:SHOWN], *more])
        raise UserError(f"{len(bad):,} of {len(files):,} pictures cannot be decoded; mend or remove them:\n{lines}")


def _mixed(path: str, shape: Shape, other_path: str, other_shape: Shape) -> UserError:
    a, b = (f"{width} × {height} × {channels}" for channels, height, width in (shape, other_shape))
    remedy = "data.channels to 1 (grey) or 3 (colour)" if shape[1:] == other_shape[1:] else "data.image_size"
    return UserError(
        f"expected pictures of one shape, found {shown(path)} with {a} and {shown(other_path)} with {b} "
        f"(width × height × channels); set {remedy} in {paths.PARAMS}"
    )


def _notes(files: list[str], others: list[str], labels: list[int]) -> Iterator[str]:
    if others:
        names = ", ".join(shown(path).rpartition("/")[2] for path in others[:3])
        more = ", …" * (len(others) > 3)  # noqa: PLR2004
        yield f"note: left out, for their suffixes: {len(others):,} files ({names}{more})"
    for label, count in sorted(Counter(labels).items()):
        if count == 1:
            yield f"warning: {shown(files[labels.index(label)])} is the only picture of its class"
