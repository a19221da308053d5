"""The content that dvc.lock records is found wherever it is: in the workspace, the commit or the real DVC's cache."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import run

from autoencoder.errors import UserError
from autoencoder.files import md5
from autoencoder.record import content

BIRDS = "data/sets/birds"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of git and DVC with a folder that neither knows."""
    folder = tmp_path_factory.mktemp("repository")
    run("git", "init", "-q", cwd=folder)
    run("dvc", "init", "-q", cwd=folder)
    for name in ("owl/1.png", "owl/2.png", "wren/1.png"):
        (folder / BIRDS / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / BIRDS / name).write_text(name)
    return folder


@pytest.fixture
def birds(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder in a copy of the repository, which is the current folder."""
    shutil.copytree(repository, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    content.cache_folder.cache_clear()
    yield Path(BIRDS)
    content.cache_folder.cache_clear()


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    return tmp_path / "scratch"


def commit() -> None:
    run("git", "add", "-A", cwd=Path.cwd())
    run("git", "commit", "-qm", "Birds", cwd=Path.cwd())


def files(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def edit(folder: Path) -> None:
    """Another file, another content, and one file less."""
    (folder / "owl/1.png").write_text("edited")
    (folder / "owl/2.png").unlink()
    (folder / "robin.png").touch()


NOTE = f"note: {BIRDS} is not what dvc.lock records; the recorded content is taken"


def test_a_folder_is_taken_from_the_workspace(birds: Path, scratch: Path) -> None:
    assert content.supply({BIRDS: md5(birds)}, scratch) == []
    assert files(scratch / BIRDS) == files(birds)


def test_an_edited_folder_is_taken_from_the_commit(birds: Path, scratch: Path) -> None:
    recorded, expected = md5(birds), files(birds)
    commit()
    edit(birds)
    assert content.supply({BIRDS: recorded}, scratch) == [NOTE]
    assert files(scratch / BIRDS) == expected


@pytest.mark.parametrize("change", [edit, shutil.rmtree])
def test_a_folder_that_git_does_not_hold_is_taken_from_the_cache_as_dvc_add_leaves_it(
    birds: Path, scratch: Path, change: object
) -> None:
    recorded, expected = md5(birds), files(birds)
    run("dvc", "add", "-q", BIRDS, cwd=Path.cwd())
    commit()
    assert run("git", "ls-files", BIRDS, cwd=Path.cwd()).stdout == ""
    change(birds)
    assert content.supply({BIRDS: recorded}, scratch) == ([NOTE] if birds.exists() else [])
    assert files(scratch / BIRDS) == expected


def test_a_folder_of_an_earlier_commit_is_taken_from_the_cache(birds: Path, scratch: Path) -> None:
    recorded, expected = md5(birds), files(birds)
    run("dvc", "add", "-q", BIRDS, cwd=Path.cwd())
    Path(f"{BIRDS}.dvc").unlink()
    (birds.parent / ".gitignore").unlink()
    edit(birds)
    commit()  # git holds another content now
    assert content.supply({BIRDS: recorded}, scratch) == [NOTE]
    assert files(scratch / BIRDS) == expected


@pytest.mark.parametrize("place", ["workspace", "commit", "cache"])
def test_a_folder_that_the_scratch_folder_holds_otherwise_is_replaced(birds: Path, scratch: Path, place: str) -> None:
    recorded, expected = md5(birds), files(birds)
    if place == "cache":
        run("dvc", "add", "-q", BIRDS, cwd=Path.cwd())
    commit()
    shutil.copytree(birds, scratch / BIRDS)
    edit(scratch / BIRDS)
    if place != "workspace":
        edit(birds)
    content.supply({BIRDS: recorded}, scratch)
    assert files(scratch / BIRDS) == expected


def nowhere(recorded: str, scratch: Path) -> None:
    with pytest.raises(UserError) as caught:
        content.supply({BIRDS: recorded}, scratch)
    assert str(caught.value).startswith(f"{BIRDS}: expected the content that dvc.lock records (MD5 {recorded}) in the ")
    assert "found it nowhere" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_nowhere_is_one_line(birds: Path, scratch: Path) -> None:
    recorded = md5(birds)
    nowhere("0" * 32 + ".dir", scratch)
    shutil.rmtree(birds)
    nowhere(recorded, scratch)


@pytest.mark.parametrize("damage", ["a file is lost", "the list is cut short"])
def test_a_folder_of_which_the_cache_holds_a_part_is_nowhere(birds: Path, scratch: Path, damage: str) -> None:
    recorded, lost = md5(birds), md5(birds / "owl/1.png")
    run("dvc", "add", "-q", BIRDS, cwd=Path.cwd())
    shutil.rmtree(birds)
    cache = Path(".dvc/cache/files/md5")
    if damage == "a file is lost":
        (cache / lost[:2] / lost[2:]).unlink()
    else:
        listed = cache / recorded[:2] / recorded[2:]
        listed.chmod(0o644)
        listed.write_bytes(listed.read_bytes()[:-1])
    nowhere(recorded, scratch)


def test_a_file_is_taken_from_the_workspace_the_commit_or_the_cache(birds: Path, scratch: Path) -> None:
    owl, recorded = str(birds / "owl/1.png"), md5(birds / "owl/1.png")
    assert content.supply({owl: recorded}, scratch / "1") == []
    commit()
    Path(owl).write_text("edited")
    assert content.supply({owl: recorded}, scratch / "2") == [NOTE.replace(BIRDS, owl)]
    run("git", "rm", "-qrf", "--cached", BIRDS, cwd=Path.cwd())
    run("git", "commit", "-qm", "Birds that git does not know", cwd=Path.cwd())
    with pytest.raises(UserError, match=f"^{owl}: expected .* found it nowhere"):
        content.supply({owl: recorded}, scratch / "3")
    Path(owl).write_text("owl/1.png")
    run("dvc", "add", "-q", owl, cwd=Path.cwd())
    Path(owl).unlink()
    assert content.supply({owl: recorded}, scratch / "3") == []
    assert [path.read_text() for path in sorted(scratch.rglob("1.png"))] == ["owl/1.png"] * 3
