"""Codes of other pictures, the odd ones among them, and pictures of codes."""

import os
from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

from autoencoder import cli, paths
from autoencoder.analysis.evaluation import QUANTILES, errors_by_image, quantiles
from autoencoder.analysis.optimum import fit
from autoencoder.analysis.results import Results
from autoencoder.data import pictures
from autoencoder.data.images import Images, save_images, scale
from autoencoder.files import write_csv
from autoencoder.models.saved import describe, load_model, save_model
from autoencoder.training.objective import squared_errors
from autoencoder.using import trained

CODES = 7

pytestmark = pytest.mark.usefixtures("place")


@pytest.fixture
def place(workspace: Path, digits: Images) -> Path:
    """A workspace with an untrained model of digits, its test errors, and the test images as pictures."""
    description = describe(digits, {"name": "linear", "code_dimensions": CODES})
    model = description.build(1)
    save_images(digits)
    save_model(model, description)
    results = Results(digits, model, description, fit(digits))
    write_csv(paths.TEST_ERRORS, quantiles(errors_by_image(results, 100)["test"], description.input_dimensions))
    (workspace / "new").mkdir()
    for index, image in enumerate(digits.test):
        Image.fromarray(image[0].numpy()).save(workspace / "new" / f"{index:03}.png")
    return workspace


def invoke(*arguments: str, given: bytes = b"", code: int = 0) -> Result:
    result = CliRunner().invoke(cli.main, arguments, input=given)
    assert result.exit_code == code, result.output
    return result


def test_codes_and_errors_are_those_of_the_model_on_the_same_images(digits: Images) -> None:
    invoke("encode", "new", "--output", "codes.parquet")
    table = pyarrow.parquet.read_table("codes.parquet")
    assert table.schema.names == ["path", "squared_error", "percentile", *(f"code_{i}" for i in range(CODES))]
    assert table["path"].to_pylist() == [f"new/{i:03}.png" for i in range(len(digits.test))]
    model, _ = load_model()
    codes = model.encode(scale(digits.test)).detach()
    found = np.stack([table[f"code_{i}"].to_numpy() for i in range(CODES)], 1)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, codes.numpy(), atol=1e-6, rtol=0)
    on_unit = 0.5 * (model.decode(codes) + 1) - digits.test.flatten(1) / 255
    np.testing.assert_allclose(table["squared_error"], on_unit.detach().square().sum(1).numpy(), rtol=1e-5)


def test_percentiles_are_shares_of_the_test_images_with_no_greater_error(digits: Images) -> None:
    model = trained.load(None)
    errors = squared_errors(model.model, digits.test, 100) * 16
    expected = [100 * (errors < error).double().mean().item() for error in errors]
    assert np.abs(model.percentiles(errors).numpy() - expected).max() < 100 / len(errors) + 200 / QUANTILES
    extremes = torch.tensor([0.0, 1e9], dtype=torch.float64)
    assert model.percentiles(extremes).tolist() == [0, 100]


def test_csv_holds_the_same_numbers() -> None:
    invoke("encode", "new", "--output", "codes.parquet")
    invoke("encode", "new", "--output", "codes.csv")
    table, text = pyarrow.parquet.read_table("codes.parquet"), pyarrow.csv.read_csv("codes.csv")
    assert text["path"].to_pylist() == table["path"].to_pylist()
    for name in table.schema.names[1:]:
        np.testing.assert_array_equal(text[name].to_numpy().astype(table[name].to_numpy().dtype), table[name])


def test_files_folders_and_a_list_of_names_give_the_same_rows() -> None:
    names = [f"new/{i:03}.png" for i in range(297)]
    invoke("encode", "new", "--output", "folder.csv")
    invoke("encode", *names, "--output", "files.csv")
    invoke("encode", "-", "--output", "list.csv", given="\n".join(names).encode())
    assert Path("folder.csv").read_bytes() == Path("files.csv").read_bytes() == Path("list.csv").read_bytes()


def test_unreadable_pictures_are_named_and_the_others_are_done() -> None:
    Path("new/000.png").write_text("no picture")
    result = invoke("encode", "new", "missing.png", "--output", "codes.csv", code=1)
    assert "new/000.png: no picture in a known format" in result.stderr
    assert "missing.png: No such file or directory" in result.stderr
    assert result.stderr.endswith("Error: 2 of 298 pictures could not be decoded\n")
    assert pyarrow.csv.read_csv("codes.csv").num_rows == 296


def test_a_table_stays_where_no_picture_can_be_decoded() -> None:
    Path("codes.csv").write_text("of an earlier run")
    result = invoke("encode", "missing.png", "--output", "codes.csv", code=1)
    assert result.stderr == ("Error: 1 of 1 pictures could not be decoded:\nmissing.png: No such file or directory\n")
    assert Path("codes.csv").read_text() == "of an earlier run"


@pytest.mark.parametrize("name", [b"$x^$ 1.png", b"bad\xff.png"])
def test_a_picture_of_any_name_is_drawn(name: bytes) -> None:
    Path("few").mkdir()
    Path("new/000.png").rename(os.fsdecode(b"few/" + name))
    result = invoke("encode", "few", "--rank", "--sheet", "odd.png")
    assert Path("odd.png").exists()
    assert pictures.shown(os.fsdecode(name)) in result.stdout


def test_the_oddest_are_first_and_drawn() -> None:
    Image.fromarray(np.full((8, 8), 255, np.uint8)).save("new/white.png")
    result = invoke("encode", "new", "--rank", "--sheet", "odd.png")
    first, *others = result.stdout.splitlines()
    assert first.endswith("100.0 %  new/white.png")
    errors = [float(line.split()[0]) for line in (first, *others)]
    assert errors == sorted(errors, reverse=True)
    assert len(errors) == 298
    with Image.open("odd.png") as sheet:
        assert sheet.width == 1200


def test_pictures_are_prepared_as_those_of_training() -> None:
    Image.new("RGBA", (32, 16), (255, 0, 0, 0)).save("x.png")  # transparent: white on 8 × 8, grey
    Image.new("L", (8, 8), 255).save("y.png")
    invoke("encode", "x.png", "y.png", "--output", "codes.csv")
    x, y = Path("codes.csv").read_text().splitlines()[1:]
    assert x.partition(",")[2] == y.partition(",")[2]


def test_decoding_writes_the_reconstructions(digits: Images) -> None:
    invoke("encode", "new", "--output", "codes.parquet")
    invoke("decode", "codes.parquet", "--output", "out")
    model, _ = load_model()
    expected = model(scale(digits.test)).detach().mul(0.5).add(0.5).clamp(0, 1).mul(255).round()
    found = np.stack([np.asarray(Image.open(f"out/{i:06}.png")) for i in range(297)])
    assert np.abs(found.reshape(297, -1) - expected.numpy()).max() <= 1


def test_a_model_file_carries_what_it_takes() -> None:
    invoke("encode", "new", "--output", "a.csv")
    invoke("encode", "new", "--output", "b.csv", "--model", "models/autoencoder.safetensors")
    assert Path("a.csv").read_bytes() == Path("b.csv").read_bytes()
    Path("elsewhere").mkdir()
    Path("models/autoencoder.safetensors").rename("elsewhere/m.safetensors")
    result = invoke("encode", "new", "--output", "c.csv", "--model", "elsewhere/m.safetensors")
    assert "note: no test_errors.csv is known for this model" in result.stderr
    paths.TEST_ERRORS.rename("elsewhere/test_errors.csv")
    invoke("encode", "new", "--output", "d.csv", "--model", "elsewhere/m.safetensors")
    assert Path("d.csv").read_bytes() == Path("a.csv").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["encode", "new", "--output", "x.json"], "x.json: expected a name that ends in .parquet or .csv"),
        (["encode", "new", "--output", "x.csv", "--model", "no.safetensors"], "no.safetensors: not found"),
        (["encode", "src", "--output", "x.csv"], "src: expected pictures, found none"),
        (["decode", "no.csv", "--output", "out"], "no.csv: expected a table of `autoencoder encode`"),
        (["decode", "params.yaml", "--output", "out"], "params.yaml: expected a name that ends in"),
        (["decode", "short.csv", "--output", "out"], "short.csv: expected codes of 7 numbers (code_0 … code_6)"),
        (["decode", "text.csv", "--output", "out"], "text.csv: expected a table of `autoencoder encode`"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], message: str) -> None:
    Path("short.csv").write_text("path,code_0\na,1\n")
    Path("text.csv").write_text(",".join(f"code_{i}" for i in range(7)) + "\n" + ",".join("abcdefg") + "\n")
    result = invoke(*arguments, code=1)
    assert result.stderr.startswith(f"Error: {message}")
    assert result.stderr.count("\n") == 1
    assert not Path("x.csv").exists()


def test_something_to_put_out_must_be_named() -> None:
    assert "expected --output, --rank or --sheet" in invoke("encode", "new", code=2).stderr
