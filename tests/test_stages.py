"""The stages through click's runner, in a folder of their own, with good input and with bad."""

import errno
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
import torch
from click.testing import CliRunner, Result
from conftest import ROOT
from ruamel.yaml import YAML
from safetensors.torch import load_file, save_file

from autoencoder import paths
from autoencoder.files import read_csv, read_json
from autoencoder.tracking import journal

STAGES: click.Group = runpy.run_path(str(ROOT / "stages" / "__main__.py"))["main"]
RECORDING = ("download", "pca", "train", "evaluate", "render", "report")  # all but track, which writes to MLflow
OUTPUTS = ("data", "models", "metrics", "figures")


def invoke(stage: str) -> Result:
    return CliRunner().invoke(STAGES, [stage])


def succeed(stage: str) -> str:
    result = invoke(stage)
    assert result.exit_code == 0, result.output
    return result.output


def fail(stage: str) -> str:
    """The one line with which a stage fails, having left all outputs as they were."""
    before = contents()
    result = invoke(stage)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit), result.exception
    assert contents() == before
    lines = result.stderr.splitlines()
    assert lines[-1].startswith("Error: ")
    assert all(line.startswith("note: ") for line in lines[:-1])
    return lines[-1].removeprefix("Error: ")


def contents() -> dict[str, bytes]:
    """All files of the output folders, hidden ones too."""
    files = [*(path for folder in OUTPUTS for path in Path(folder).rglob("*")), paths.REPORT]
    return {str(path): path.read_bytes() for path in files if path.is_file()}


def edit(old: str, new: str) -> None:
    text = Path("params.yaml").read_text()
    assert old in text
    Path("params.yaml").write_text(text.replace(old, new))


@pytest.fixture(scope="module")
def printed() -> dict[str, str]:
    return {}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.fixture(autouse=True)
def done(workspace: Path, results: Path, printed: dict[str, str]) -> None:
    """The workspace with the results of all stages before track, which run once for this file."""
    if not printed:
        printed |= {stage: succeed(stage) for stage in RECORDING}
        for folder in OUTPUTS:
            if Path(folder).exists():
                shutil.copytree(folder, results / folder, ignore=shutil.ignore_patterns("sets"))  # no output
        shutil.copy(paths.REPORT, results)
    shutil.copytree(results, workspace, dirs_exist_ok=True)


def test_the_stages_write_what_dvc_yaml_says_and_tell_what_they_did(printed: dict[str, str]) -> None:
    stages = YAML(typ="safe", pure=True).load(Path("dvc.yaml"))["stages"]
    declared = {path for stage in RECORDING for kind in ("outs", "metrics") for path in stages[stage].get(kind, [])}
    assert {"/".join(name.split("/")[:2]) for name in contents()} == declared
    assert printed["download"] == "digits: 1,500 training and 297 test images in data/images.safetensors\n"
    assert "times the optimum" in printed["evaluate"]
    assert "of 32 principal directions captured" in printed["evaluate"]


def test_training_prints_its_losses_in_the_articles_form(printed: dict[str, str]) -> None:
    rows = read_csv(paths.STEPS)
    lines = [line for line in printed["train"].splitlines() if line.startswith("Train")]
    assert [row["step"] for row in rows] == [0, 20, 40, 47, 67, 87]
    assert lines[0] == f"Train Epoch: 1 [0/1500 (0%)]\tLoss: {rows[0]['mse']:.6f}"
    assert lines[4] == f"Train Epoch: 2 [640/1500 (43%)]\tLoss: {rows[4]['mse']:.6f}"
    assert len(lines) == 6


def test_the_training_record_has_a_row_per_epoch() -> None:
    rows = read_csv(paths.TRAINING)
    assert [row["epoch"] for row in rows] == [1, 2]
    evaluated = read_json(paths.EVALUATION)
    assert evaluated["test"]["mse"] == pytest.approx(rows[-1]["test_mse"], rel=1e-6)


def test_the_journal_has_the_params_as_they_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal.Journal, "_follow", lambda _: None)
    edit("momentum: 0.5", "momentum: 0")  # as dvc.lock has it: the same run is made of either
    succeed("train")
    (path,) = journal.left()
    header = json.loads(path.read_text().splitlines()[0])
    assert repr(header["params"]["train.momentum"]) == "0"


def test_running_a_stage_again_writes_the_same_bytes() -> None:
    before = contents()
    for stage in RECORDING:
        succeed(stage)
    assert contents() == before


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("epochs: 2", "epoch: 2", "unknown key 'train.epoch' (did you mean 'epochs'?)"),
        ("epochs: 2", "epochs: 0", "train.epochs: expected greater than or equal to 1, found 0"),
        ("epochs: 2", "epochs: two", "train.epochs: expected a valid integer, found 'two'"),
        ("learning_rate: 0.03162277660168379", "learning_rate: .nan", "train.learning_rate: expected a finite number"),
        ("learning_rate: 0.03162277660168379", "learning_rate: -0.1", "train.learning_rate: expected greater than 0"),
        ("name: digits", "name: ../digits", "data.name: expected text that matches"),
        ("name: linear", "name: conv", "model.name: expected 'linear', 'mlp' or 'convolutional', found 'conv'"),
        ("device: auto", "device: tpu", "runtime.device: expected 'auto', 'cpu', 'cuda' or 'mps', found 'tpu'"),
        ("seed: 42", "seed: [42", "params.yaml: not readable as YAML"),
    ],
)
def test_a_fault_in_params_yaml_stops_every_stage_that_reads_it(old: str, new: str, message: str) -> None:
    edit(old, new)
    for stage in RECORDING:
        assert message in fail(stage)


def test_an_unknown_set_stops_download_with_the_known_ones() -> None:
    edit("name: digits", "name: digit")
    assert fail("download") == (
        "params.yaml: data.name: expected a folder of data/sets (digits, fashion_mnist, kmnist, mnist), found 'digit' "
        "(did you mean 'digits'?)"
    )


def test_without_params_yaml_a_stage_says_where_to_run() -> None:
    Path("params.yaml").unlink()
    assert "params.yaml: not found" in fail("train")


def test_a_code_that_does_not_compress_is_refused() -> None:
    edit("code_dimensions: 32", "code_dimensions: 64")
    assert "model.code_dimensions: expected fewer than the 64 pixels of an image, found 64" in fail("train")


def test_a_loss_that_diverges_stops_training() -> None:
    edit("learning_rate: 0.03162277660168379", "learning_rate: 1000")
    message = fail("train")
    assert "training diverged: expected a finite loss, found" in message
    assert "in epoch 1, batch" in message
    assert "(learning rate 1000.0); lower train.learning_rate" in message


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    edit("device: auto", "device: cuda")
    for stage in ("train", "evaluate"):
        assert "runtime.device: expected one of auto, " in fail(stage)


@pytest.mark.parametrize(
    ("file", "stage", "remedy"),
    [
        ("data/images.safetensors", "train", "dvc repro download"),
        ("data/images.safetensors", "pca", "dvc repro download"),
        ("models/autoencoder.safetensors", "evaluate", "dvc repro train"),
        ("models/autoencoder.safetensors", "render", "dvc repro train"),
        ("models/pca.safetensors", "evaluate", "dvc repro pca"),
    ],
)
@pytest.mark.parametrize("damage", ["truncated", "oversized", "empty", "foreign", "folder"])
def test_a_damaged_input_is_named(file: str, stage: str, remedy: str, damage: str) -> None:
    path = Path(file)
    content = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    else:
        damaged = {
            "truncated": content[: len(content) // 2],
            "oversized": content + b"\0",
            "empty": b"",
            "foreign": b"P" * 5000,
        }
        path.write_bytes(damaged[damage])
    message = fail(stage)
    assert file in message
    assert remedy in message


@pytest.mark.parametrize(
    ("file", "stage", "remedy"),
    [
        ("data/images.safetensors", "train", "dvc repro download"),
        ("models/autoencoder.safetensors", "evaluate", "dvc repro train"),
        ("models/pca.safetensors", "evaluate", "dvc repro pca"),
    ],
)
def test_a_missing_input_names_the_stage_that_makes_it(file: str, stage: str, remedy: str) -> None:
    Path(file).unlink()
    message = fail(stage)
    assert f"{file}: not found" in message
    assert remedy in message


@pytest.mark.parametrize("content", [None, b"step\n\xff", b"epoch,test_mse\n1", b"epoch,test_mse\n1,low"])
def test_a_damaged_table_is_named(content: bytes | None) -> None:
    path = Path("metrics/training.csv")
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    message = fail("render")
    assert message.startswith("metrics/training.csv: expected ")
    assert "dvc repro" in message


@pytest.mark.parametrize("stage", RECORDING)
def test_a_full_disk_leaves_the_old_results(monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    assert "No space left on device" in fail(stage)


def test_an_output_folder_that_is_a_file_is_one_line() -> None:
    shutil.rmtree("models")
    Path("models").write_text("")
    assert "models" in fail("train")


def test_an_altered_download_is_an_error_and_writes_nothing(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = tmp_path_factory.mktemp("mirror")
    (mirror / "train-images-idx3-ubyte.gz").write_bytes(b"altered")
    monkeypatch.setenv("AUTOENCODER_MIRROR", str(mirror))
    edit("name: digits", "name: mnist")
    message = fail("download")
    assert f"{mirror}/train-images-idx3-ubyte.gz: expected SHA-256 440f" in message
    assert re.search("found SHA-256 [0-9a-f]{64} of 7 bytes", message)


def test_results_of_another_data_set_are_an_error_and_nothing_is_drawn_or_measured() -> None:
    images = load_file("data/images.safetensors")
    save_file(
        {name: t[..., :7, :].contiguous() if t.dim() == 4 else t for name, t in images.items()},
        "data/images.safetensors",
    )
    before = contents()
    for stage in ("evaluate", "render"):
        assert "models/autoencoder.safetensors: expected one of images of (1, 7, 8)" in fail(stage)
    assert contents() == before


@pytest.mark.parametrize("edits", [("batch_size: 32", "batch_size: 5000"), ("epochs: 2", "epochs: 1")])
def test_the_ends_of_the_ranges_work(edits: tuple[str, str]) -> None:
    edit(*edits)
    succeed("train")
    succeed("evaluate")


def test_a_stage_is_a_program_that_fails_with_status_1_and_one_line() -> None:
    edit("learning_rate: 0.03162277660168379", "learning_rates: 1")
    program = [sys.executable, "stages", "train"]
    process = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    assert process.returncode == 1
    assert process.stdout == ""
    assert process.stderr.startswith("Error: params.yaml: ")
    assert "unknown key 'train.learning_rates' (did you mean 'learning_rate'?)" in process.stderr
    assert process.stderr.count("\n") == 1


def test_the_stages_are_listed_in_the_order_in_which_they_run() -> None:
    help_text = CliRunner().invoke(STAGES, ["--help"]).output
    names = [line.split()[0] for line in help_text.partition("Commands:\n")[2].splitlines()]
    assert names == ["download", "pca", "train", "evaluate", "render", "report", "track"]


def test_a_stage_without_a_mirror_says_so_and_leaves_a_mark_for_make(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise OSError("unreachable")

    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    edit("name: digits", "name: mnist")
    assert "no mirror could be reached" in fail("download")
    assert paths.NO_MIRROR.exists()


def test_the_images_are_a_dict_of_uint8_tensors_on_disk() -> None:
    tensors = load_file("data/images.safetensors")
    assert {name: tensor.dtype for name, tensor in tensors.items()} == dict.fromkeys(tensors, torch.uint8)


def test_a_set_that_torchvision_knows_and_no_mirror_has_is_one_line(tmp_path: Path) -> None:
    edit("name: digits", "name: kmnist")
    nowhere = dict.fromkeys(("http_proxy", "https_proxy"), "127.0.0.1:1")
    environment = os.environ | nowhere | {"AUTOENCODER_MIRROR": str(tmp_path)}
    command = [sys.executable, str(ROOT / "stages"), "download"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: train-images-idx3-ubyte.gz: no mirror could be reached")
