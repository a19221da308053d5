"""What the README says of adding a model, a corruption and a constraint, done in a clone."""

import json
import re
import textwrap
from pathlib import Path

import pytest
from conftest import ROOT, run

README = (ROOT / "README.md").read_text()
ADDED = [
    ("models/networks.py", "def funnel", "NETWORKS", "funnel", "funnel", '"convolutional"]'),
    ("training/corruption.py", "class Dimming", "CORRUPTIONS", "dimming", "Dimming", '"salt_and_pepper"]'),
    ("models/constraint.py", "class NonNegative", "CONSTRAINTS", "non_negative", "NonNegative", '"variational"]'),
]


def add(folder: Path, entry: tuple[str, ...]) -> None:
    """Add the piece of the README's block that begins with `start`, and its name."""
    file, start, registry, name, piece, last = entry
    code = re.search(rf"((?:    {start}.*\n)(?:(?:    .*)?\n)+)", README)
    assert code
    path = folder / "src" / "autoencoder" / file
    text = path.read_text().replace(f"{registry}: dict", f"{textwrap.dedent(code[1])}\n\n{registry}: dict")
    path.write_text(re.sub(rf"({registry}: dict.*?)(\n}}\n)", rf'\1\n    "{name}": {piece},\2', text, flags=re.DOTALL))
    params = folder / "src" / "autoencoder" / "params.py"
    assert last in params.read_text()
    params.write_text(params.read_text().replace(last, f'{last[:-1]}, "{name}"]'))


@pytest.mark.slow
def test_a_stranger_adds_a_model_a_corruption_and_a_constraint(own_clone: Path) -> None:
    for piece in ADDED:
        add(own_clone, piece)
    edits = [f"{section}.name={name}" for section, (_, _, _, name, _, _) in zip(
        ("model", "corruption", "constraint"), ADDED, strict=True
    )]  # fmt: skip
    edits += ["train.optimizer=adam", "train.learning_rate=0.003"]
    arguments = [argument for edit in edits for argument in ("-S", edit)]
    run("dvc", "exp", "run", *arguments, cwd=own_clone, timeout=280)
    figures = json.loads((own_clone / "metrics" / "evaluation.json").read_text())
    assert figures["test"]["equivalent_rank"] > 0
    assert "denoising_mse" in figures["test"]
    assert "denoising_optimum_mse" not in figures["test"], "nobody has derived it"
    assert (own_clone / "figures" / "family" / "denoising.png").exists()
    assert "funnel" in run("env", f"PYTHONPATH={own_clone / 'src'}", "autoencoder", "which-run", cwd=own_clone).stdout
