"""Offer damaged IDX and gzip files to `data`: each gives its tensor or a UserError of one line, in little memory.

`python tests/fuzz_sources.py` offers 10,000, the same ones every time, and prints what came of them. They are looked
at without their checksums, which would refuse them all before they are unpacked.
"""

import math
import random
import resource
import sys
import tempfile
import zlib
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent.parent / "src")]

from autoencoder.data import sources  # noqa: E402 (the path comes first)
from autoencoder.data.idx import read_idx, unpack  # noqa: E402
from autoencoder.errors import UserError  # noqa: E402

FILES = 10_000
LARGE = 25  # of them are as large as the training images of MNIST
LIMIT = 300 << 20  # bytes of memory above the start
MNIST = (60_000, 28, 28)
SHAPES = ((5, 4, 3), (40,))
BLOCK = 1 << 20


def main() -> None:
    """Exit with an error if any file gives something else, or too much memory was needed."""
    choose = random.Random(0)  # noqa: S311 (repeatable, not secret)
    start = peak()
    valid = 0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(FILES):
            shape = MNIST if number % (FILES // LARGE) == 0 else choose.choice(SHAPES)
            (Path(folder) / "file").write_bytes(mutate(damaged(shape, choose), choose))
            valid += accepted(folder, shape)
    grown = peak() - start
    print(f"{FILES:,} files: {valid:,} as they should be, {FILES - valid:,} refused, {grown >> 20} MB above the start")
    sys.exit(grown > LIMIT)


def damaged(shape: tuple[int, ...], choose: random.Random) -> bytes:
    """A gzip file of zeros as IDX of this shape, which is mutated in its beginning; a few unpack to four times that."""
    sizes = b"".join(size.to_bytes(4, "big") for size in shape)
    beginning = mutate(bytes([0, 0, 8, len(shape)]) + sizes + bytes(16), choose)
    zeros = math.prod(shape) * choose.choice((1,) * 9 + (4,)) - 16
    packer = zlib.compressobj(1, wbits=31)
    blocks = (packer.compress(bytes(min(BLOCK, zeros - start))) for start in range(0, zeros, BLOCK))
    return b"".join([packer.compress(beginning), *blocks, packer.flush()])


def mutate(sound: bytes, choose: random.Random) -> bytes:
    """`sound` with up to eight mutations, often none, most of them near its beginning or its end."""
    content = bytearray(sound)
    for _ in range(choose.choice((0, 0, 1, 2, 8))):
        near = choose.randrange(min(len(content), 32) + 1)
        place = choose.choice((near, len(content) - near, choose.randrange(len(content) + 1)))
        match choose.choice(("flip", "set", "cut", "insert", "repeat", "size")):
            case "flip":
                content[place : place + 1] = bytes(
                    byte ^ 1 << choose.randrange(8) for byte in content[place : place + 1]
                )
            case "set":
                content[place : place + 1] = bytes([choose.choice((0, 1, 0x7F, 0x80, 0xFF))])
            case "cut":
                del content[place : place + choose.choice((1, 4, len(content)))]
            case "insert":
                content[place:place] = choose.randbytes(choose.choice((1, 4, 100)))
            case "repeat":
                content += content[: choose.choice((8, 100, len(content)))]
            case "size":
                content[4:8] = choose.choice((b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", bytes(4)))
    return bytes(content)


def accepted(folder: str, shape: tuple[int, ...]) -> bool:
    """Whether the file in `folder` was read; any error but a UserError of one line ends the program."""
    size = 4 + 4 * len(shape) + math.prod(shape)
    try:
        address, packed = sources.fetch("file", [folder], limit=math.prod(shape) + 4096)
        tensor = read_idx(unpack(packed, size, address), shape, address)
    except UserError as error:
        message = str(error)
    else:
        assert tensor.shape == shape, tensor.shape
        return True
    assert "expected " in message, message
    assert "\n" not in message, message
    return False


def peak() -> int:
    """The most memory that this process had so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


if __name__ == "__main__":
    main()
