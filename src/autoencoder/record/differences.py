"""Where an output that was made again first departs from the recorded one: the step, or the tensor."""

from pathlib import Path

from autoencoder.errors import UserError
from autoencoder.files import read_csv
from autoencoder.record.content import recorded_content, write


def explain(output: Path, md5: str, scratch: Path) -> str:
    """Where `output` in the folder `scratch` first departs from the recorded content with the hash `md5`."""
    content = recorded_content(str(output), md5)
    if content is None:
        return "the recorded file is not at hand to compare with"
    recorded = scratch / "recorded" / output
    write(recorded, content)
    if output.suffix == ".csv":
        return first_row(recorded, scratch / output)
    if output.suffix == ".safetensors":
        return first_tensor(recorded, scratch / output)
    return "the files differ"


def first_row(expected: Path, found: Path) -> str:
    """The first row in which two CSV files of `records` differ, named by its first column: a step or an epoch."""
    old, new = read_csv(expected), read_csv(found)
    for a, b in zip(old, new, strict=False):
        if a != b:
            values = ", ".join(f"{name} {a[name]!r} → {b.get(name)!r}" for name in a if a[name] != b.get(name))
            name = next(iter(a))
            return f"first at {name} {a[name]:g}: {values}"
    return f"{len(old)} rows → {len(new)} rows"


def first_tensor(expected: Path, found: Path) -> str:
    """The first tensor, by name, in which two safetensors files differ, and by how much."""
    import numpy as np
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        old, new = load_file(expected), load_file(found)
    except SafetensorError as error:
        raise UserError(f"{expected.name}: expected two safetensors files to compare, found {error}") from None
    for name in sorted(old.keys() | new.keys()):
        a, b = old.get(name), new.get(name)
        if a is None or b is None or (a.shape, a.dtype) != (b.shape, b.dtype):
            return f"first tensor {name}: another shape or type, or there in one alone"
        if (different := np.flatnonzero(a != b)).size:
            largest = np.abs(a.astype(float) - b.astype(float)).max()
            return f"first tensor {name}: {different.size:,} of {a.size:,} values differ, by at most {largest:.3g}"
    return "the tensors are equal, their description is not"
