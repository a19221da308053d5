"""Files → pixels of one shape, on all cores. Nothing here imports numpy or torch: a new process starts in a moment."""

import gc
import math
import multiprocessing
import os
import signal
import stat
import threading
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, NamedTuple

from PIL import Image, ImageOps, UnidentifiedImageError

from autoencoder.errors import UserError

SUFFIXES = frozenset({".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
GREY = {"1", "L", "LA", "La", "I;16", "I;16B", "I;16L", "I;16N"}
CHUNK, CHUNK_BYTES = 128, 1 << 21  # the most pictures, and bytes of pixels, that a process decodes at a time
AHEAD = 3  # chunks per process that are decoded or wait

Shape = tuple[int, int, int]  # channels, height, width

_shared: memoryview  # of all processes of the pool


class Wanted(NamedTuple):
    """What every picture is made into: `size` is (height, width), `channels` 1 or 3; None takes it from the picture."""

    size: tuple[int, int] | None = None
    channels: int | None = None


class Picture(NamedTuple):
    """Pixels in 0…255 of `shape`, as bytes in that order."""

    shape: Shape
    pixels: bytes | memoryview


def decode(path: str, wanted: Wanted) -> Picture:
    """The picture in the file `path`: its first frame, upright, what is transparent on white, 16 bits by their upper 8.

    The centre of a picture of other proportions is cut out; it is resized by a triangle filter as wide as the new
    pixels. Colour becomes grey as in ITU-R 601 (0.299 R + 0.587 G + 0.114 B). Embedded colour profiles are not applied.
    Raises OSError, ValueError, SyntaxError and what else Pillow raises if the file holds no whole picture.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 (a Path for every picture takes time)
        raise ValueError("no regular file")  # to open a pipe would wait for ever
    with Image.open(path, formats=FORMATS) as image:
        if wanted.size:
            image.draft(None, (2 * max(wanted.size), 2 * max(wanted.size)))  # a JPEG is decoded at ½, ¼ or ⅛ then
        ImageOps.exif_transpose(image, in_place=True)
        prepared = _resized(_opaque(image, wanted.channels), wanted.size)
    if wanted.channels and len(prepared.getbands()) != wanted.channels:
        prepared = prepared.convert("RGB")
    channels, pixels = len(prepared.getbands()), prepared.tobytes()
    planes = b"".join([pixels[channel::channels] for channel in range(channels)])
    return Picture((channels, prepared.height, prepared.width), planes)


def _opaque(image: Image.Image, channels: int | None) -> Image.Image:
    """The picture as L or RGB: L if it is grey itself or `channels` asks for it."""
    mode = "L" if image.mode in GREY or channels == 1 else "RGB"
    if image.mode in ("I", "F"):
        raise ValueError("32 bits per pixel, whose black and white are not known; save it with 8 or 16")
    if image.mode.startswith("I;16"):
        return image.convert("I").point(lambda value: value / 256).convert("L")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image if image.mode == mode else image.convert(mode)


def _resized(image: Image.Image, size: tuple[int, int] | None) -> Image.Image:
    if size in (None, (image.height, image.width)):
        return image
    height, width = size
    scale = min(image.height / height, image.width / width)
    left, top = max(0.0, (image.width - scale * width) / 2), max(0.0, (image.height - scale * height) / 2)
    return image.resize((width, height), Image.Resampling.BILINEAR, (left, top, image.width - left, image.height - top))


def attempt(path: str, wanted: Wanted) -> Picture | str:
    """The picture in the file `path`, or the reason why it cannot be decoded."""
    try:
        with warnings.catch_warnings(action="ignore"):
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return decode(path, wanted)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        return f"more than {Image.MAX_IMAGE_PIXELS:,} pixels; make it smaller"
    except Exception as error:  # Pillow raises many kinds for damaged files
        return _reason(error, path)


def _reason(error: Exception, path: str) -> str:
    if isinstance(error, UnidentifiedImageError):
        return f"no picture in a known format ({', '.join(FORMATS)})"
    text = getattr(error, "strerror", None) or str(error).replace(path, "the file")
    return " ".join(text.split()) or type(error).__name__


def decode_all(paths: Sequence[str], wanted: Wanted, shape: Shape) -> Iterator[Picture | str]:
    """`attempt` at any number of files, in their order, by as many processes as there are cores.

    The processes write pixels into memory that all of them share: those of a picture are there until the next is asked
    for, and only if it has this `shape`. A bounded number is in memory at a time. Raises UserError if a process dies.
    """
    size = math.prod(shape)
    chunk = max(1, min(CHUNK, CHUNK_BYTES // size))
    chunks = [paths[first : first + chunk] for first in range(0, len(paths), chunk)]
    workers = min(os.cpu_count() or 1, len(chunks))
    if workers <= 1:
        yield from (attempt(path, wanted) for path in paths)
        return
    context, places = multiprocessing.get_context("spawn"), AHEAD * workers
    memory = context.RawArray("B", places * chunk * size)
    pool = ProcessPoolExecutor(workers, context, _begin, (memory,))
    try:
        pending: deque[tuple[int, Future[list[Shape | str]]]] = deque()
        for number, each in enumerate(chunks):
            if len(pending) == places:
                yield from _taken(*pending.popleft(), memory, size)
            place = number % places * chunk
            pending.append((place, pool.submit(_decode_into, place, each, wanted, size)))
        while pending:
            yield from _taken(*pending.popleft(), memory, size)
    except BrokenProcessPool:
        raise UserError("a process that decodes pictures died, maybe for lack of memory; type it again") from None
    finally:
        pool.shutdown(cancel_futures=True)


def _taken(first: int, decoded: "Future[list[Shape | str]]", memory: Any, size: int) -> Iterator[Picture | str]:
    """The pictures of a chunk, with their pixels from `memory`, from picture `first` on."""
    pixels = memoryview(memory).cast("B")
    for index, found in enumerate(decoded.result(), first):
        yield found if isinstance(found, str) else Picture(found, pixels[index * size : (index + 1) * size])


def _decode_into(first: int, paths: Sequence[str], wanted: Wanted, size: int) -> list[Shape | str]:
    """In a process of the pool: decode a chunk; write pixels of this `size` into memory, from picture `first` on."""
    found: list[Shape | str] = []
    for index, path in enumerate(paths, first):
        picture = attempt(path, wanted)
        if isinstance(picture, Picture) and len(picture.pixels) == size:
            _shared[index * size : (index + 1) * size] = picture.pixels  # to keep pixels until the end takes time
        found.append(picture if isinstance(picture, str) else picture.shape)
    return found


def _begin(memory: Any) -> None:
    """Take the shared `memory`, leave ^C to the parent process, and end with it, however it ends."""
    global _shared  # noqa: PLW0603 (a process gets its memory as it starts)
    _shared = memoryview(memory).cast("B")
    gc.freeze()  # what was imported is never garbage
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)
