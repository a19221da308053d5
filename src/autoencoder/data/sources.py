"""A data set by name: fetched from the addresses in its source.yaml, verified, and unpacked into images."""

import difflib
import hashlib
import math
import sys
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import torch
from pydantic import Field
from tqdm import tqdm

from autoencoder import params, paths
from autoencoder.data.idx import read_idx, unpack
from autoencoder.data.images import NAMES, Images
from autoencoder.errors import UserError
from autoencoder.files import read_yaml, write_atomically

TIMEOUT = 20  # seconds without a byte
DIGITS_TRAIN = 1_500  # of 1,797, in the order of the set
HEADER = 4_096  # bytes that gzip may add to images that cannot be compressed

# The shapes of torchvision's sets in the format of MNIST, in torchvision's order of files.
SHAPES = {
    "train_images": [60_000, 28, 28],
    "train_labels": [60_000],
    "test_images": [10_000, 28, 28],
    "test_labels": [10_000],
}


class NoMirrorError(UserError):
    """No address could be reached. Never raised for content that arrived and was wrong."""


class File(params.Section):
    """A gzipped IDX file, the shape of its array, and what identifies it."""

    name: Annotated[str, Field(pattern=r"^[^/\\]+$")]
    shape: list[params.PositiveInt]
    bytes: Annotated[int, Field(ge=1)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class ImageFile(File):
    """The shape of its array is [n, height, width]."""

    shape: Annotated[list[params.PositiveInt], Field(min_length=3, max_length=3)]


class LabelFile(File):
    """The shape of its array is [n]."""

    shape: Annotated[list[params.PositiveInt], Field(min_length=1, max_length=1)]


class Files(params.Section):
    """The files of a set; labels may be left out."""

    train_images: ImageFile
    train_labels: LabelFile | None = None
    test_images: ImageFile
    test_labels: LabelFile | None = None


class Addresses(params.Section):
    """Files that are fetched from the first of `addresses` that has them."""

    addresses: Annotated[list[str], Field(min_length=1)]
    files: Files


class Torchvision(params.Section):
    """A set of torchvision's in the format of MNIST, which knows the addresses and MD5 sums."""

    torchvision: Literal["MNIST", "FashionMNIST", "KMNIST"]


class ScikitLearn(params.Section):
    """A set that scikit-learn bundles."""

    scikit_learn: Literal["digits"]


@dataclass(frozen=True)
class Wanted:
    """A file to be fetched: the shape of its array, the most bytes it may have, and its check sum by algorithm."""

    name: str
    shape: tuple[int, ...]
    limit: int
    algorithm: Literal["md5", "sha256"]
    digest: str


def load(name: str, mirror: str | None = None, kept: Path | None = None) -> Images:
    """The data set in the folder data/sets/`name`.

    `mirror` (a directory or URL that holds the set's files) is asked before the addresses of the set, and before both
    the folder `kept`, where each file is left once it is verified. Raises NoMirrorError if a file can be had from
    nowhere, UserError if there is no such set, or a file is not what it should be.
    """
    source = read_source(name)
    if isinstance(source, ScikitLearn):
        return digits()
    addresses, files = _torchvision(source.torchvision) if isinstance(source, Torchvision) else _listed(source)
    addresses = [mirror, *addresses] if mirror else addresses
    tensors = {part: _array(file, addresses, kept / name if kept else None) for part, file in files.items()}
    return Images(
        **{
            field: tensors[part].unsqueeze(1) if part.endswith("images") else tensors[part]
            for field, part in NAMES.items()
            if part in tensors
        }
    )


def read_source(name: str) -> Addresses | Torchvision | ScikitLearn:
    """What data/sets/`name`/source.yaml says. Raises UserError if there is no such set, or the file is wrong."""
    path = paths.SETS / name / "source.yaml"
    if not path.parent.is_dir():
        known = sorted(folder.name for folder in paths.SETS.glob("*/"))
        near = difflib.get_close_matches(name, known, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise UserError(
            f"params.yaml: data.name: expected a folder of {paths.SETS} ({', '.join(known)}), found {name!r}{hint}"
        )
    values = read_yaml(path, remedy=f"git checkout {path}")
    if "torchvision" in values:
        return params.validated(Torchvision, values, path)
    if "scikit_learn" in values:
        return params.validated(ScikitLearn, values, path)
    return params.validated(Addresses, values, path)


def _listed(source: Addresses) -> tuple[list[str], dict[str, Wanted]]:
    return source.addresses, {
        part: Wanted(file.name, tuple(file.shape), file.bytes, "sha256", file.sha256)
        for part, file in source.files
        if file
    }


def _torchvision(name: str) -> tuple[list[str], dict[str, Wanted]]:
    from torchvision import datasets  # takes seconds to import

    known = getattr(datasets, name)
    addresses = sorted(known.mirrors, key=lambda url: not url.startswith("https:"))
    return addresses, {
        part: Wanted(file, tuple(shape), math.prod(shape) + HEADER, "md5", md5)
        for (part, shape), (file, md5) in zip(SHAPES.items(), known.resources, strict=True)
    }


def _array(file: Wanted, addresses: Sequence[str], kept: Path | None) -> torch.Tensor:
    """The verified array of `file`, from the folder `kept` or else the first of `addresses` that has it."""
    here = kept / file.name if kept else None
    is_kept = here is not None and here.exists()
    address, content = fetch(file.name, [str(kept), *addresses] if is_kept else addresses, limit=file.limit)
    verify(address, content, file)
    if here and not is_kept:
        write_atomically(here, content)
    size = 4 + 4 * len(file.shape) + math.prod(file.shape)
    return read_idx(unpack(content, size, address), file.shape, address)


def fetch(file: str, mirrors: Sequence[str], *, limit: int) -> tuple[str, bytes]:
    """Address and content of `file` at the first of `mirrors` (directories or URLs) that gives it, up to `limit` bytes.

    Raises NoMirrorError that names every address and its reason, UserError if a mirror sends more than `limit`.
    """
    failures = []
    for mirror in mirrors:
        address = f"{mirror.rstrip('/')}/{file}" if "://" in mirror else (Path(mirror) / file).resolve().as_uri()
        try:
            if "@" in urlsplit(address).netloc:
                raise ValueError("a user and a password in an address are not supported")
            with urllib.request.urlopen(address, timeout=TIMEOUT) as response:
                content = _read(response.read, file, limit)
        except (OSError, HTTPException, ValueError) as error:
            failures.append(f"{address} ({getattr(error, 'reason', None) or error})")
            continue
        if len(content) > limit:
            raise UserError(f"{address}: expected at most {limit:,} bytes, found more; remove it or use another mirror")
        return address, content
    raise NoMirrorError(
        f"{file}: no mirror could be reached: tried {'; '.join(failures)}. Go online, or set AUTOENCODER_MIRROR to a "
        "directory or URL that has the file, or use the bundled set: dvc exp run -S data.name=digits"
    )


def _read(read: Callable[[int], bytes], file: str, limit: int) -> bytes:
    content = bytearray()
    with tqdm(desc=file, unit="B", unit_scale=True, disable=not sys.stderr.isatty()) as bar:
        while len(content) <= limit and (block := read(1 << 16)):
            content += block
            bar.update(len(block))
    return bytes(content)


def verify(address: str, content: bytes, wanted: Wanted) -> None:
    """Compare the check sum of `content`. Raises UserError on a difference."""
    found = hashlib.new(wanted.algorithm, content, usedforsecurity=False).hexdigest()
    if found != wanted.digest:
        name = {"md5": "MD5", "sha256": "SHA-256"}[wanted.algorithm]
        raise UserError(
            f"{address}: expected {name} {wanted.digest}, found {name} {found} of {len(content):,} bytes; "
            "altered, truncated, or of another data set: remove it or use another mirror"
        )


def digits() -> Images:
    """The UCI set of 8 × 8 digits that scikit-learn bundles, in the order of the set."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = torch.from_numpy(bunch.images).mul(255 / 16).round().to(torch.uint8).unsqueeze(1)  # 0…16 → 0…255
    labels = torch.from_numpy(bunch.target).to(torch.uint8)
    train, test = slice(DIGITS_TRAIN), slice(DIGITS_TRAIN, None)
    return Images(images[train], images[test], labels[train], labels[test])
