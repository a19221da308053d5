"""Hashes of decoded pictures, to be compared between CPUs: `python tests/decoded.py` prints one per file.

`emulated_cpus.py` does so on several CPUs. Neither numpy nor torch is imported: a run under emulation takes seconds.
"""

import hashlib
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

sys.path[:0] = [str(Path(__file__).resolve().parent.parent / "src")]

from autoencoder.data.decode import Wanted, decode  # noqa: E402 (the path comes first)

FILES = {
    "4:2:0.jpg": {"quality": 85, "subsampling": 2},
    "4:2:2.jpg": {"quality": 85, "subsampling": 1},
    "4:4:4.jpg": {"quality": 95, "subsampling": 0},
    "progressive.jpg": {"quality": 70, "progressive": True},
    "x.png": {},
    "x.webp": {"quality": 80},
    "lossless.webp": {"lossless": True},
    "x.gif": {},
    "x.bmp": {},
    "x.tiff": {"compression": "tiff_lzw"},
}
WANTED = {
    "as it is": Wanted(),
    "28 grey": Wanted((28, 28), 1),
    "64": Wanted((64, 64), 3),
    "48 × 32": Wanted((48, 32), 3),
    "300": Wanted((300, 300), 3),
}


def picture(size: tuple[int, int], mode: str) -> Image.Image:
    """Smooth colours with noise, the same everywhere."""
    numbers = random.Random(42)  # noqa: S311
    channels = len(mode)
    coarse = Image.frombytes(mode, (9, 7), numbers.randbytes(63 * channels)).resize(size, Image.Resampling.BICUBIC)
    noise = Image.frombytes(mode, size, numbers.randbytes(size[0] * size[1] * channels))
    return Image.blend(coarse, noise, 0.2) if mode != "CMYK" else coarse


def hashes() -> Iterator[tuple[str, str]]:
    """SHA-256, cut to 16 digits, of the pixels of every file as it is wanted in several ways."""
    with tempfile.TemporaryDirectory() as folder:
        for mode, size in (("RGB", (203, 151)), ("RGB", (640, 480)), ("L", (97, 131)), ("CMYK", (120, 80))):
            for name, options in FILES.items():
                if mode == "CMYK" and not name.endswith((".jpg", ".tiff")):
                    continue
                path = Path(folder) / name
                picture(size, mode).save(path, **options)
                for way, wanted in WANTED.items():
                    digest = hashlib.sha256(decode(str(path), wanted).pixels).hexdigest()[:16]
                    yield f"picture {mode} {size[0]} × {size[1]} {name} {way}", digest


def main() -> None:
    """Print the hash of each picture."""
    for name, digest in hashes():
        print(f"{digest}  {name}")


if __name__ == "__main__":
    main()
