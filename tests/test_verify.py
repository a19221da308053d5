"""`autoencoder verify` runs what dvc.lock records and nothing else, and says where an output first differs."""

import hashlib
import shutil
import sys
from pathlib import Path

import pytest
import torch
from conftest import run
from safetensors.torch import save

from autoencoder.errors import UserError
from autoencoder.files import md5 as md5_of
from autoencoder.record import lock, verify
from autoencoder.record.differences import explain, first_row, first_tensor
from autoencoder.record.lock import Stage


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


COPY = """from pathlib import Path
Path("out").write_text(Path("in").read_text() + "".join(Path("params.yaml").read_text().split()))
"""
OUT = "content\nsection:{key:1}"


@pytest.fixture
def stages(tmp_path, monkeypatch) -> dict[str, Stage]:
    """A workspace with a recorded pipeline of two stages, in dvc.lock's order, which need not be theirs."""
    for name, text in {"in": "content\n", "copy.py": COPY, "dvc.yaml": "stages: {}\n", "params.yaml": "{}"}.items():
        (tmp_path / name).write_text(text)
    for command in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "Start")):
        run("git", *command, cwd=tmp_path)
    monkeypatch.chdir(tmp_path)
    first = Stage(
        "python copy.py", {"in": md5("content\n"), "copy.py": md5(COPY)}, {"section.key": 1}, {"out": md5(OUT)}
    )
    second = Stage("cp out last", {"out": md5(OUT)}, {}, {"last": md5(OUT)})
    return {"second": second, "first": first}


@pytest.fixture
def scratch(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("scratch")


@pytest.fixture
def said() -> list[str]:
    return []


def test_stages_run_in_their_order_and_every_output_is_compared(stages, scratch, said):
    rows = list(verify.run(stages, {"first", "second"}, scratch, said.append))
    assert [(row.stage, str(row.output), row.found == row.expected, row.executed) for row in rows] == [
        ("first", "out", True, True),
        ("second", "last", True, True),
    ]
    assert sorted(path.name for path in Path.cwd().iterdir()) == [".git", "copy.py", "dvc.yaml", "in", "params.yaml"]


def test_what_the_workspace_holds_otherwise_has_no_influence(stages, scratch, said):
    Path("in").write_text("edited")
    Path("params.yaml").write_text("section: {key: 2")
    Path("dvc.yaml").write_text("stages: {first: {deps: [added]}}")
    (row,) = verify.run(stages, {"first"}, scratch, said.append)
    assert row.found == row.expected
    assert any(line.startswith("note: in is not what dvc.lock records") for line in said)


@pytest.mark.usefixtures("stages")
@pytest.mark.parametrize("order", [("all", "one"), ("one", "all")])
def test_a_stage_runs_with_the_params_that_it_was_recorded_with(scratch, said, order):
    """As after a change of the params and `dvc repro` of some stages alone."""
    params = {"all": {"section": {"key": "new"}}, "one": {"section.key": "old"}}
    texts = {"all": "section: {key: new}\n", "one": "section: {key: old}\n"}
    recorded = {name: Stage(f"cp params.yaml {name}", {}, params[name], {name: md5(texts[name])}) for name in order}
    rows = list(verify.run(recorded, set(order), scratch, said.append))
    assert [row.found == row.expected for row in rows] == [True, True]
    assert params == {"all": {"section": {"key": "new"}}, "one": {"section.key": "old"}}


def test_an_output_that_differs_is_a_row_that_differs(stages, scratch, said):
    stages["first"].outs["out"] = md5("something else")
    (row,) = verify.run(stages, {"first"}, scratch, said.append)
    assert (row.expected, row.found) == (md5("something else"), md5(OUT))
    assert explain(row.output, row.expected, scratch) == "the recorded file is not at hand to compare with"


def test_the_table_has_a_line_per_output_and_says_what_differs(stages, scratch, said):
    notes = []
    assert verify.compare(stages, {"first", "second"}, scratch, said.append, notes.append)
    assert said == [
        f"{'output':<36}{'expected (MD5)':<38}found",
        f"{'out':<36}{md5(OUT):<38}{md5(OUT)}  the same",
        f"{'last':<36}{md5(OUT):<38}{md5(OUT)}  the same",
        "2 of 2 outputs are the same bytes as recorded",
    ]
    assert notes == ["running first …", "running second …"]


def test_a_comparison_with_another_output_fails_and_says_where_it_differs(stages, scratch, said):
    Path("out").write_text("something else")
    stages["first"].outs["out"] = md5("something else")
    assert not verify.compare(stages, {"first"}, scratch, said.append, print)
    assert said[1:] == [
        f"{'out':<36}{md5('something else'):<38}{md5(OUT)}  DIFFERENT",
        "out: the files differ",
        "0 of 1 outputs are the same bytes as recorded",
    ]


MAIN = "import helper\nfrom pathlib import Path\nPath('out').write_text(helper.TEXT)\n"


@pytest.fixture
def importing(stages) -> dict[str, Stage]:
    """A recorded and committed stage whose module imports another that is no dependency, as what only watches is."""
    for name, text in {"src/main.py": MAIN, "src/helper.py": "TEXT = 'right'\n", "stages/a.py": ""}.items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(text)
    run("git", "add", "-A", cwd=Path.cwd())
    run("git", "commit", "-qm", "Import", cwd=Path.cwd())
    return stages | {"main": Stage("python src/main.py", {"src/main.py": md5(MAIN)}, {}, {"out": md5("right")})}


def test_a_module_that_is_no_dependency_is_there_all_the_same(importing, scratch, said):
    (row,) = verify.run(importing, {"main"}, scratch, said.append)
    assert row.found == row.expected
    assert not (scratch / "copy.py").exists()  # the folders of code alone are copied


def test_beside_the_recorded_modules_a_module_that_is_no_dependency_is_that_of_the_workspace(importing, scratch, said):
    Path("src/helper.py").write_text("TEXT = 'right'  # not committed\n")
    (row,) = verify.run(importing, {"main"}, scratch, said.append)
    assert row.found == row.expected
    assert "not committed" in (scratch / "src/helper.py").read_text()


def test_beside_edited_modules_a_module_that_is_no_dependency_is_that_of_the_commit(importing, scratch, said):
    Path("src/main.py").write_text("from helper import renamed\n")
    Path("src/helper.py").write_text("renamed = 1\n")
    (row,) = verify.run(importing, {"main"}, scratch, said.append)
    assert row.found == row.expected
    assert said == [
        "note: src/main.py is not what dvc.lock records; the recorded content is taken",
        "running main …",
    ]


def test_what_the_scratch_folder_has_of_the_code_is_left_alone(importing, scratch, said):
    (scratch / "src").mkdir()
    (scratch / "src/helper.py").write_text("TEXT = 'of the run'\n")
    (row,) = verify.run(importing, {"main"}, scratch, said.append)
    assert row.found == md5("of the run")


def test_an_input_that_is_nowhere_is_an_error_that_names_it(stages, scratch, said):
    stages["first"].deps["in"] = md5("gone")
    with pytest.raises(UserError, match=r"in: expected the content that dvc.lock records .* found it nowhere"):
        list(verify.run(stages, {"first"}, scratch, said.append))


def test_a_stage_that_fails_is_an_error_with_its_last_words(stages, scratch, said):
    stages["first"] = Stage(f"{sys.executable} -c 'exit(\"last words\")'", {}, {}, {"out": ""})
    with pytest.raises(UserError, match="stage first: expected exit status 0, found 1: last words"):
        list(verify.run(stages, {"first"}, scratch, said.append))


def test_without_a_mirror_the_recorded_images_are_taken(stages, scratch, said):
    Path("out").write_text(OUT)
    stages["first"] = Stage(
        "sh -c 'mkdir .autoencoder; touch .autoencoder/no-mirror; exit 1'", {}, {}, {"out": md5(OUT)}
    )
    (row,) = verify.run(stages, {"first"}, scratch, said.append)
    assert (row.found, row.executed) == (md5(OUT), False)


def test_without_a_mirror_a_stage_that_fails_is_still_an_error(stages, scratch, said):
    Path("out").write_text(OUT)
    stages["first"] = Stage(
        "sh -c 'mkdir .autoencoder; touch .autoencoder/no-mirror; exit 1'", {}, {}, {"out": md5(OUT)}
    )
    stages["second"] = Stage(f"{sys.executable} -c 'exit(\"crashed\")'", {"out": md5(OUT)}, {}, {"last": md5(OUT)})
    with pytest.raises(UserError, match="stage second: expected exit status 0, found 1: crashed"):
        list(verify.run(stages, {"first", "second"}, scratch, said.append))


def test_where_nothing_can_be_run_nothing_is_verified(clone, tmp_path):
    folder = tmp_path / "clone"
    shutil.copytree(clone, folder)
    run("dvc", "repro", "-q", "download", cwd=folder)
    text = (folder / "dvc.lock").read_text()
    recorded = lock.recorded(text)["download"]
    (folder / "dvc.lock").write_text(text.replace(recorded.cmd, "sh -c 'touch .autoencoder/no-mirror; exit 1'"))
    done = run("autoencoder", "verify", "--stage", "download", cwd=folder, check=False)
    assert done.returncode == 1
    assert "not run" in done.stdout
    assert "0 of 1 outputs are the same bytes as recorded" in done.stdout


def test_a_stage_of_the_pipeline_is_verified_with_its_folder_whatever_the_workspace_holds(clone, tmp_path):
    folder = tmp_path / "clone"
    shutil.copytree(clone, folder)
    run("dvc", "repro", "-q", "download", cwd=folder)
    (folder / "data/sets/digits/source.yaml").write_text("torchvision: MNIST\n")
    (folder / "src/autoencoder/paths.py").write_text("edited since: no dependency\n")
    (folder / "src/autoencoder/data/sources.py").write_text("edited since: a dependency\n")
    before = contents(folder)
    done = run("autoencoder", "verify", "--stage", "download", cwd=folder)
    assert "1 of 1 outputs are the same bytes as recorded" in done.stdout
    notes = [line for line in done.stderr.splitlines() if line.startswith("note: ")]
    assert notes == [
        f"note: {path} is not what dvc.lock records; the recorded content is taken"
        for path in ("src/autoencoder/data/sources.py", "data/sets/digits")
    ]
    assert contents(folder) == before


def test_the_first_row_that_differs_is_named(tmp_path):
    (tmp_path / "a.csv").write_text("step,epoch,mse\n0,1,0.5\n20,1,0.25\n40,1,0.1\n")
    (tmp_path / "b.csv").write_text("step,epoch,mse\n0,1,0.5\n20,1,0.125\n40,1,0.2\n")
    assert first_row(tmp_path / "a.csv", tmp_path / "b.csv") == "first at step 20: mse 0.25 → 0.125"


def test_the_first_tensor_that_differs_is_named(tmp_path):
    (tmp_path / "a").write_bytes(save({"a": torch.zeros(2), "b": torch.zeros(3), "c": torch.zeros(1)}))
    (tmp_path / "b").write_bytes(save({"a": torch.zeros(2), "b": torch.tensor([0, 0.5, 0]), "c": torch.ones(1)}))
    expected = "first tensor b: 1 of 3 values differ, by at most 0.5"
    assert first_tensor(tmp_path / "a", tmp_path / "b") == expected


def contents(folder):
    """All files but git's and the locks."""
    files = [path for path in folder.rglob("*") if path.is_file() and not {".git", ".autoencoder"} & set(path.parts)]
    return {path: path.read_bytes() for path in files}


@pytest.mark.slow
def test_verify_proves_a_state_and_names_what_differs(clone, tmp_path):
    folder = tmp_path / "clone"
    run("git", "clone", "-q", str(clone), str(folder), cwd=tmp_path)
    run("dvc", "repro", "-q", "train", cwd=folder)
    before = contents(folder)
    text = (folder / "dvc.lock").read_text()
    altered = md5("step,epoch,mse\n0,1,0.5\n")
    recorded = md5_of(folder / "metrics/steps.csv")
    (folder / "metrics/steps.csv").write_text("step,epoch,mse\n0,1,0.5\n")
    (folder / "dvc.lock").write_text(text.replace(recorded, altered))
    done = run("autoencoder", "verify", "--stage", "train", cwd=folder, check=False)
    assert done.returncode == 1
    assert f"{'metrics/steps.csv':<36}{altered:<38}{recorded}  DIFFERENT" in done.stdout
    assert "metrics/steps.csv: first at step 0: mse 0.5 → " in done.stdout
    assert "2 of 3 outputs are the same bytes as recorded" in done.stdout
    assert "this machine: torch " in done.stdout
    assert "cpu_capability" in done.stdout
    assert "the recorded machine is not known: MLflow store " in done.stdout
    for path in (folder / "metrics/steps.csv", folder / "dvc.lock"):
        path.write_bytes(before[path])
    assert contents(folder) == before


def test_an_unknown_stage_is_an_error_that_lists_the_known(clone):
    done = run("autoencoder", "verify", "--stage", "trian", cwd=clone, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "expected " in done.stderr
    assert "found trian" in done.stderr
