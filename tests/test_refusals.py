"""What must be refused, or be left out, although it looks as if it were right."""

import gzip
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from conftest import ROOT, run

from autoencoder import cli, paths
from autoencoder.data.idx import unpack
from autoencoder.data.images import Images
from autoencoder.errors import UserError
from autoencoder.models.saved import describe
from autoencoder.params import Train
from autoencoder.record import lineage
from autoencoder.record.lock import Stage
from autoencoder.training.loop import Training


def test_training_stops_at_an_infinite_loss(digits: Images) -> None:
    """The weights are finite, and the squares of what they reconstruct are not."""
    settings = Train(
        loss="mse",
        epochs=1,
        batch_size=32,
        optimizer="sgd",
        learning_rate=0.1,
        momentum=0.0,
        weight_decay=0.0,
        log_every=1,
    )
    model = describe(digits, {"name": "linear", "code_dimensions": 8}).build(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(1e15)
    with pytest.raises(UserError, match="expected a finite loss, found inf in epoch 1"):
        list(Training(model, digits, settings, seed=0, device=torch.device("cpu")).run())


def test_a_gzip_stream_that_has_all_bytes_but_no_end_is_refused() -> None:
    packed = gzip.compress(b"all bytes")
    assert unpack(packed, 9, "file") == b"all bytes"
    with pytest.raises(UserError, match="found 9 and no end"):
        unpack(packed[:-1], 9, "file")


def test_dvc_lock_is_no_part_of_what_was_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run("git", "init", "-q", cwd=tmp_path)
    for name in ("dvc.lock", "params.yaml"):
        Path(name).write_text("old\n")
    run("git", "add", ".", cwd=tmp_path)
    run("git", "commit", "-qm", "Start", cwd=tmp_path)
    for name in ("dvc.lock", "params.yaml"):
        Path(name).write_text("new\n")
    assert b"params.yaml" in lineage.diff()
    assert b"dvc.lock" not in lineage.diff()


@pytest.mark.parametrize(("old", "new"), [("threads: 1", "threads: true"), ("seed: 42", "seed: 42.0")])
@pytest.mark.parametrize("command", ["check", "track", "which-run", "verify", "ui"])
@pytest.mark.usefixtures("workspace")
def test_a_wrong_type_that_dvc_takes_for_no_change_is_refused(old: str, new: str, command: str) -> None:
    paths.PARAMS.write_text(paths.PARAMS.read_text().replace(old, new))
    done = CliRunner().invoke(cli.main, [command])
    assert (done.exit_code, done.output.count("\n")) == (1, 1)
    assert "expected a valid integer" in done.output


def test_make_checks_the_params_before_dvc() -> None:
    lines = (ROOT / "Makefile").read_text().partition("\nrun: setup\n")[2].splitlines()
    assert lines[0] == "\t@autoencoder check"


def test_the_same_number_is_the_same_stage() -> None:
    stage = Stage("run", {}, {"train": {"momentum": 0, "learning_rate": 1e-3}})
    assert stage.key == replace(stage, params={"train": {"momentum": 0.0, "learning_rate": 0.001}}).key
    assert stage.key != replace(stage, params={"train": {"momentum": 0.1, "learning_rate": 0.001}}).key
    assert stage.key != replace(stage, params={"train": {"momentum": False, "learning_rate": 0.001}}).key


def test_a_byte_that_is_no_utf_8_in_params_yaml_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    paths.PARAMS.write_bytes(b"seed: 42 # \xff\n")
    for command in ("which-run", "track"):
        done = CliRunner().invoke(cli.main, [command])
        assert (done.exit_code, done.output.count("\n")) == (1, 1)
        assert "not readable as YAML" in done.output


@pytest.mark.parametrize("name", ["what?", "50%20", "a\nb", "'\"", "no \udcff"])
def test_a_folder_in_which_mlflow_cannot_keep_its_database_is_refused_before_anything_is_made(
    workspace: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = workspace / "below" / name
    folder.mkdir(parents=True)
    shutil.copy("params.yaml", folder)
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(cli.main, ["check"])
    assert (done.exit_code, done.output.count("\n")) == (1, 1)
    assert "rename the folder, or set MLFLOW_TRACKING_URI" in done.output
    assert list(folder.parent.iterdir()) == [folder]


@pytest.mark.parametrize("name", ["it's", 'a "b"', "c#d & e", "да 😀"])
def test_other_folders_are_taken(workspace: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = workspace / name
    folder.mkdir()
    shutil.copy("params.yaml", folder)
    monkeypatch.chdir(folder)
    assert CliRunner().invoke(cli.main, ["check"]).exit_code == 0


def test_a_dvc_lock_that_is_gone_is_one_line_on_a_terminal_without_utf_8(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = workspace / "да 😀"
    folder.mkdir()
    shutil.copy("params.yaml", folder)
    program = f"import sys; sys.path[:0] = [{str(ROOT / 'src')!r}]; from autoencoder.cli import main; main()"
    for name, value in {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}.items():
        monkeypatch.setenv(name, value)
    done = run(sys.executable, "-c", program, "which-run", cwd=folder, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: dvc.lock: not found in ")
    assert done.stderr.endswith("git checkout dvc.lock, or dvc repro without it\n")
    assert done.stderr.count("\n") == 1
