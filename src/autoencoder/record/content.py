"""The content that dvc.lock records by its hash, wherever it is: the workspace, the commit or the DVC cache."""

import io
import json
import os
import shutil
import tarfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from autoencoder import paths
from autoencoder.errors import UserError
from autoencoder.files import has_md5, md5_of_bytes
from autoencoder.record import git
from autoencoder.record.lock import Stage


def supply_code(stages: Iterable[Stage], scratch: Path) -> list[str]:
    """Copy the folders of code to `scratch`, unless it has them: with them modules come that no stage depends on.

    These cannot change a result, but must fit the recorded modules: they are taken from the workspace if all recorded
    modules are there, else from the commit. Returns a note for each recorded module that the workspace holds otherwise.
    """
    recorded = {path: md5 for stage in stages for path, md5 in stage.deps.items() if path.endswith(".py")}
    if (scratch / paths.CODE[0]).exists():
        return []
    edited = [path for path, md5 in recorded.items() if not has_md5(Path(path), md5)]
    if edited:
        copy_committed(paths.CODE, scratch)
    else:
        for name in filter(Path.exists, map(Path, paths.CODE)):
            shutil.copytree(name, scratch / name, ignore=shutil.ignore_patterns("__pycache__"))
    return [_note(path) for path in edited if has_md5(scratch / path, recorded[path])]


def copy_committed(names: Iterable[str], folder: Path) -> None:
    """Copy the files and folders `names` as they are in the commit to `folder`; nothing if the commit lacks one."""
    if archive := git.output("archive", "HEAD", "--", *names):
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extraction_filter = getattr(tarfile, "data_filter", None)  # Python before 3.11.4 has none
            files.extractall(folder)  # noqa: S202 (the archive is of this repository)


def recorded_content(path: str, md5: str) -> bytes | None:
    """The content of the file `path` that has the MD5: the workspace's, its commit's, that of DVC's cache, or none."""
    if has_md5(Path(path), md5):
        return Path(path).read_bytes()
    committed = git.committed(path)
    if md5_of_bytes(committed) == md5:
        return committed
    return cached(md5).read_bytes() if has_md5(cached(md5), md5) else None


def supply(files: dict[str, str], scratch: Path) -> list[str]:
    """Give `scratch` each of `files` with its MD5; return a note for each that the workspace holds otherwise.

    Raises UserError if the content is nowhere.
    """
    notes = []
    for path, md5 in files.items():
        target = scratch / path
        if has_md5(target, md5):
            continue
        if md5.endswith(".dir"):
            _supply_folder(path, md5, scratch)
        elif (content := recorded_content(path, md5)) is not None:
            write(target, content)
        if not has_md5(target, md5):
            raise UserError(
                f"{path}: expected the content that dvc.lock records (MD5 {md5}) in the workspace, the commit or the "
                "DVC cache, found it nowhere; `dvc repro` records the present one, `git checkout` or `dvc pull` brings "
                "it back"
            )
        if Path(path).exists() and not has_md5(Path(path), md5):
            notes.append(_note(path))
    return notes


def _note(path: str) -> str:
    return f"note: {path} is not what dvc.lock records; the recorded content is taken"


def _supply_folder(path: str, md5: str, scratch: Path) -> None:
    """Copy the folder from the workspace, else from the commit, else as far as the DVC cache has it."""
    target = scratch / path
    shutil.rmtree(target, ignore_errors=True)  # what is there may have more files
    if has_md5(Path(path), md5):
        shutil.copytree(path, target)
        return
    copy_committed([path], scratch)
    listed = cached(md5)
    if not has_md5(target, md5) and listed.exists() and f"{md5_of_bytes(listed.read_bytes())}.dir" == md5:
        shutil.rmtree(target, ignore_errors=True)
        for file in json.loads(listed.read_text()):
            if (kept := cached(file["md5"])).exists():
                write(target / file["relpath"], kept.read_bytes())


def write(path: Path, content: bytes) -> None:
    """Write `content`, in a folder that is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def cached(md5: str) -> Path:
    """Where DVC's cache keeps the content with the MD5, if it does."""
    return cache_folder() / "files" / "md5" / md5[:2] / md5[2:]


@cache
def cache_folder() -> Path:
    """The folder of DVC's cache."""
    return Path(os.fsdecode(git.dvc("cache", "dir").stdout.strip())).absolute()


def share_cache(folder: Path) -> None:
    """Let the project in `folder`, a clone of the present one, use the present DVC cache and its remotes."""
    if (local := Path(".dvc/config.local")).exists():
        write(folder / local, local.read_bytes())
    cache_folder().mkdir(parents=True, exist_ok=True)
    (folder / ".dvc/cache").symlink_to(cache_folder())  # DVC's configuration cannot hold every path
    git.dvc("cache", "dir", "--local", ".dvc/cache", folder=folder)
