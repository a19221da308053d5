"""`autoencoder reproduce` brings back what a run recorded: by the real git, from a real MLflow store."""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from conftest import ROOT, run

from autoencoder import cli, numerics
from autoencoder.errors import UserError
from autoencoder.paths import MODEL
from autoencoder.record import lineage, reproduce
from autoencoder.tracking import runs, tags
from autoencoder.tracking.store import Store

pytestmark = [  # MLflow's own
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:ResourceWarning"),
]

TRAIN = """from pathlib import Path
Path("models").mkdir()
Path("models/autoencoder.safetensors").write_text("first" + Path("params.yaml").read_text().partition("seed: ")[2][0])
"""
FILES = {
    ".gitignore": b"mlflow.db\nmlruns\n.autoencoder\nmodels\n",
    "dvc.yaml": b"stages: {}\n",
    "latin1.txt": b"na\xefve\r\n",
    "params.yaml": (ROOT / "params.yaml").read_text().replace("seed: 42", "seed: 1").encode(),
    "train.py": TRAIN.encode(),
}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One commit of a pipeline of one stage, whose model is a text, and an MLflow store without a run."""
    folder = tmp_path_factory.mktemp("repository")
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    for command in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-qm", "Start")):
        run("git", *command, cwd=folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Store()
    return folder


@pytest.fixture
def store(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.chdir(repository)
    yield Store(create=False)
    assert run("git", "worktree", "list", cwd=repository).stdout.count("\n") == 1
    run("git", "reset", "-q", "--hard", "main", cwd=repository)
    run("git", "clean", "-qfd", cwd=repository)


def recorded(store: Store, model: str, *, without: str = "") -> str:
    """The id of a run of the tree as it is, which put out `model`."""
    code, out = (
        hashlib.md5(c, usedforsecurity=False).hexdigest() for c in (Path("train.py").read_bytes(), model.encode())
    )
    train = {
        "cmd": "python train.py",
        "deps": [{"path": "train.py", "md5": code}],
        "params": {"params.yaml": {"seed": 2, "runtime": {"device": "cpu", "threads": 1}}},
        "outs": [{"path": str(MODEL), "md5": out}],
    }
    source = lineage.source()
    created = runs.begin(store, "key", {"seed": 2}, source)
    runs.log_lineage(store, created.info.run_id, source)
    run_id = str(created.info.run_id)
    store.client.set_tag(run_id, tags.MODEL_MD5, out)
    store.client.set_tag(run_id, f"{tags.MACHINE}threads", "7")
    for name, text in {
        "params.yaml": FILES["params.yaml"].decode(),
        "dvc.lock": json.dumps({"schema": "2.0", "stages": {"train": train}}),
    }.items():
        if name != without:
            store.client.log_text(run_id, text, name)
    return run_id


def invoke(run_id: str) -> Result:
    return CliRunner().invoke(cli.main, ["reproduce", run_id])


def snapshot(folder: Path) -> dict[str, bytes]:
    """All files of a workspace, MLflow's too, without git's own and byte code."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): path.read_bytes() for path in paths if not {".git", "__pycache__"} & set(path.parts)}


def test_a_run_of_a_clean_commit_is_run_again_with_its_params(store: Store, repository: Path) -> None:
    run_id = recorded(store, "first2")
    Path("train.py").write_text("edited since\n")
    before = snapshot(repository)
    result = invoke(run_id)
    assert result.exit_code == 0, result.output
    assert "1 of 1 outputs are the same bytes as recorded" in result.stdout
    assert re.search(r"\nthis machine: torch 2.*\nthe run's machine: threads 7\n", result.stdout)
    assert snapshot(repository) == before


def test_a_run_of_an_edited_tree_is_run_again_with_the_edits(store: Store) -> None:
    Path("train.py").write_text(TRAIN.replace('"first"', 'Path("src/new").read_text()'))
    Path("src").mkdir()
    Path("src/new").write_text("edited")
    run_id = recorded(store, "edited2")
    run("git", "stash", "-qu", cwd=Path.cwd())
    result = invoke(run_id)
    assert result.exit_code == 0, result.output


def test_an_output_that_differs_is_exit_status_1(store: Store) -> None:
    result = invoke(recorded(store, "another"))
    assert result.exit_code == 1
    assert f"{MODEL}: the recorded file is not at hand" in result.stdout
    assert "0 of 1 outputs are the same bytes as recorded" in result.stdout


@pytest.mark.parametrize("option", ["diff.noprefix", "diff.mnemonicPrefix", "color.ui"])
def test_an_edit_of_any_encoding_comes_back_whatever_git_is_told(store: Store, repository: Path, option: str) -> None:
    run("git", "config", option, "always" if option == "color.ui" else "true", cwd=repository)
    Path("latin1.txt").write_bytes(b"na\xefve\r\nd\xe9j\xe0 vu\r\n")
    Path("src").mkdir()
    Path("src/new file.bin").write_bytes(bytes(range(256)))
    origin = runs.origin(store, recorded(store, "first2"))
    run("git", "stash", "-qu", cwd=repository)
    with reproduce.worktree(origin) as folder:
        assert (folder / "latin1.txt").read_bytes() == b"na\xefve\r\nd\xe9j\xe0 vu\r\n"
        assert (folder / "src/new file.bin").read_bytes() == bytes(range(256))
    assert not folder.exists()
    run("git", "config", "--unset", option, cwd=repository)


@pytest.mark.usefixtures("store")
def test_a_run_that_is_not_there_is_one_line() -> None:
    result = invoke("0123")
    assert (result.exit_code, result.stdout) == (1, "")
    assert re.fullmatch(r"Error: run 0123: not found in MLflow store sqlite:.*which-run.*\n", result.stderr)


def test_a_run_of_another_project_is_one_line(store: Store) -> None:
    foreign = store.client.create_run("0").info.run_id
    with pytest.raises(UserError, match="expected a run of this project whose code is known, found another"):
        runs.origin(store, foreign)


def test_a_run_whose_diff_is_gone_is_one_line(store: Store) -> None:
    run_id = recorded(store, "first2")
    store.client.set_tag(run_id, tags.DIRTY, "true")
    with pytest.raises(
        UserError, match=r"artifacts params.yaml, dvc.lock, uncommitted.diff, found no uncommitted.diff"
    ):
        runs.origin(store, run_id)


def test_a_run_without_results_is_one_line(store: Store) -> None:
    run_id = recorded(store, "first2", without="dvc.lock")
    store.client.set_terminated(run_id, "KILLED")
    with pytest.raises(UserError, match=r"\(KILLED\): expected its artifacts .*, found no dvc.lock"):
        runs.origin(store, run_id)


def test_a_commit_that_is_gone_is_one_line(store: Store) -> None:
    origin = replace(runs.origin(store, recorded(store, "first2")), commit="0" * 40)
    with pytest.raises(UserError, match=f"commit {'0' * 40}: expected it in this repository, found it gone"):
        reproduce.worktree(origin).__enter__()


def test_a_diff_that_does_not_fit_is_one_line(store: Store) -> None:
    diff = b"--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n-x\n+y\n"
    origin = replace(runs.origin(store, recorded(store, "first2")), diff=diff)
    with pytest.raises(
        UserError, match=r"expected the run's diff to fit commit .*, found error: patch failed"
    ) as error:
        reproduce.worktree(origin).__enter__()
    assert "\n" not in str(error.value)


def test_a_run_that_contradicts_itself_is_one_line(store: Store) -> None:
    origin = replace(runs.origin(store, recorded(store, "first2")), model_md5="9")
    with pytest.raises(UserError, match=r"expected the run's model \(MD5 9\) in its dvc.lock, found MD5 "):
        reproduce.recorded_stages(origin)


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"mlflow.db: not found; `autoencoder track` makes it"):
        Store(create=False)
    assert not Path("mlflow.db").exists()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_training_of_an_edited_tree_is_reproduced_after_the_edit_is_gone(
    clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (*numerics.PINNED, *numerics.WAITING, *numerics.THREADS):  # as in a user's shell
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "clone"
    run("git", "clone", "-q", str(clone), str(folder), cwd=tmp_path)
    saved = folder / "src/autoencoder/models/saved.py"
    text, line = saved.read_text(), "return LinearAutoencoder(self.input_dimensions"
    assert line in text
    # A class of its own is trained by autograd: other bytes.
    saved.write_text(text.replace(line, 'return type("Edited", (LinearAutoencoder,), {})(self.input_dimensions'))
    run("dvc", "repro", "-q", "evaluate", cwd=folder)
    run("autoencoder", "track", cwd=folder)
    run_id = run("autoencoder", "which-run", cwd=folder).stdout.split()[0]
    run("git", "checkout", "-q", "--force", ".", cwd=folder)
    before = snapshot(folder)
    done = run("autoencoder", "reproduce", run_id, cwd=folder, timeout=600)
    assert "9 of 9 outputs are the same bytes as recorded" in done.stdout
    assert snapshot(folder) == before
    assert run("git", "worktree", "list", cwd=folder).stdout.count("\n") == 1
