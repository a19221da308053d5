"""What an edit makes stale, by the real DVC: what computes is run again, what only watches is not."""

import json
import shutil
from pathlib import Path

import pytest
from conftest import run
from ruamel.yaml import YAML

PACKAGE = "src/autoencoder"
Changes = dict[str, set[str]]


@pytest.fixture(scope="module")
def repository(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone in which DVC has recorded all stages as done. Their outputs are empty files: nothing is run here."""
    folder = tmp_path_factory.mktemp("stale") / "repository"
    shutil.copytree(clone, folder, ignore=shutil.ignore_patterns("cache", "mlruns", "mlflow.db"))
    run("git", "checkout", "-qf", "main", "--", ".", cwd=folder)
    for stage in YAML(typ="safe").load(folder / "dvc.yaml")["stages"].values():
        for out in [*stage.get("outs", []), *stage.get("metrics", [])]:
            path = folder / (next(iter(out)) if isinstance(out, dict) else out)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    run("dvc", "commit", "-q", "--force", cwd=folder)
    return folder


def stale(folder: Path) -> Changes:
    """The changed dependencies and params of each stage that DVC would run again."""
    status = json.loads(run("dvc", "status", "--json", cwd=folder).stdout)
    return {
        stage: {name for kind in kinds for names in kind.values() for name in names} for stage, kinds in status.items()
    }


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        ([], set()),
        (["cli.py", "tracking/follower.py", "record/verify.py", "errors.py", "paths.py", "data/__init__.py"], set()),
        (["tracking/journal.py", "tracking/store.py", "record/lineage.py"], {"track"}),
        (["analysis/figures.py"], {"render", "track"}),
        (["data/sources.py"], {"download", "track"}),
        (["training/loop.py"], {"train", "track"}),
        (["models/linear.py"], {"train", "evaluate", "render", "report", "track"}),
        (["data/images.py"], {"download", "pca", "train", "evaluate", "render", "track"}),
    ],
    ids=lambda value: " ".join(value) or "none" if isinstance(value, list) else None,
)
def test_an_edited_module_makes_stale_what_it_computes_and_nothing_else(
    repository: Path, edits: list[str], expected: set[str]
) -> None:
    paths = [f"{PACKAGE}/{name}" for name in edits]
    try:
        for path in paths:
            (repository / path).write_text((repository / path).read_text() + "# edited\n")
        assert stale(repository) == {stage: set(paths) for stage in expected}
    finally:
        run("git", "checkout", "-q", "--", *(paths or ["README.md"]), cwd=repository)


def test_a_new_set_and_a_new_module_that_nothing_imports_make_nothing_stale(repository: Path) -> None:
    (repository / "data/sets/other").mkdir()
    (repository / "data/sets/other/source.yaml").write_text("torchvision: MNIST\n")
    (repository / PACKAGE / "models/other.py").write_text("class Other:\n    pass\n")
    assert stale(repository) == {}


def test_the_source_of_the_set_that_is_used_makes_its_download_stale_and_another_does_not(repository: Path) -> None:
    for name, expected in (
        ("mnist", {}),
        ("digits", {"download": {"data/sets/digits"}, "track": {"data/sets/digits"}}),
    ):
        path = repository / f"data/sets/{name}/source.yaml"
        path.write_text(path.read_text() + "# edited\n")
        assert stale(repository) == expected
    run("git", "checkout", "-q", "--", "data/sets", cwd=repository)
