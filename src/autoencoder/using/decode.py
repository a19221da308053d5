"""Codes → pictures."""

from collections.abc import Iterable
from pathlib import Path

from jaxtyping import Float
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from autoencoder.using.trained import Trained


def write_pictures(trained: Trained, pieces: Iterable[Float[Tensor, "n code"]], folder: Path) -> int:
    """Write the image of every code as a PNG, named by its row, into `folder`; return how many there are."""
    folder.mkdir(parents=True, exist_ok=True)
    row = 0
    with tqdm(unit="picture", leave=False, disable=None) as bar:
        for codes in pieces:
            for image in trained.decode(codes).movedim(1, -1).squeeze(-1).numpy():
                Image.fromarray(image).save(folder / f"{row:06}.png")
                row += 1
            bar.update(len(codes))
    return row
