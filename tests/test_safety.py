"""Nothing that is read can run code: a pickle is refused everywhere, and so is a file that is none of ours."""

import ast
import json
import pickle
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import ROOT, run
from safetensors.torch import save

from autoencoder.analysis.optimum import load_optimum
from autoencoder.data.idx import read_idx, unpack
from autoencoder.data.images import Images, load_images, save_images
from autoencoder.errors import UserError
from autoencoder.models.saved import Description, load_model, save_model
from autoencoder.record.differences import first_tensor
from autoencoder.tracking import export
from autoencoder.training import resume

UNPICKLERS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}

READERS: dict[str, Callable[[Path], object]] = {
    "images": load_images,
    "model": load_model,
    "optimum": load_optimum,
    "resume state": resume.read,
    "the recorded output": lambda path: first_tensor(path, path),
    "a data set's file": lambda path: read_idx(unpack(path.read_bytes(), 12, str(path)), (4,), str(path)),
}


class Malice:
    """Pickled, it leaves a file behind when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.mark,)


def malicious(kind: str, mark: Path) -> bytes:
    content = pickle.dumps(Malice(mark))
    if kind == "pickle":
        return content
    if kind == "torch archive":
        path = mark.with_name("archive")
        torch.save(Malice(mark), path)
        return path.read_bytes()
    sound = save({"train_images": torch.zeros(8, dtype=torch.uint8)})
    header = int.from_bytes(sound[:8], "little")
    return {
        "header of 2^62 bytes": (1 << 62).to_bytes(8, "little") + sound[8:],
        "header with offsets past the end": sound.replace(b"[0,8]", b"[0,9]"),
        "header that is no JSON": sound[:8] + b"?" * header + sound[8 + header :],
        "pickle behind a sound header": sound[: 8 + header] + content,
    }[kind]


def test_the_marks_are_left_where_pickles_are_loaded(tmp_path: Path) -> None:
    pickle.loads(malicious("pickle", tmp_path / "ran"))  # noqa: S301 (what must never happen elsewhere)
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(
    "kind",
    [
        "pickle",
        "torch archive",
        "header of 2^62 bytes",
        "header with offsets past the end",
        "header that is no JSON",
        "pickle behind a sound header",
    ],
)
def test_each_place_that_reads_a_file_refuses_it_in_one_line(name: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(malicious(kind, tmp_path / "ran"))
    with pytest.raises(UserError, match="expected ") as caught:
        READERS[name](path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning")
def test_the_model_that_mlflow_serves_is_refused_with_a_pickle_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digits: Images
) -> None:
    from mlflow import pyfunc
    from mlflow.exceptions import MlflowException
    from mlflow.models import Model

    from autoencoder.tracking import model

    monkeypatch.chdir(tmp_path)
    save_images(digits)
    description = Description("linear", 8, (1, 8, 8))
    save_model(description.build(), description)
    export.export(tmp_path)
    sound, altered = tmp_path / "sound", tmp_path / "altered"
    model.save_model(tmp_path, sound, Model())
    pyfunc.load_model(str(sound))
    shutil.copytree(sound, altered)
    (program,) = altered.rglob("model.pt2")
    with zipfile.ZipFile(program) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(program, "w") as archive:
        for name, content in records.items():
            archive.writestr(name, malicious("torch archive", tmp_path / "ran") if name.endswith(".pt") else content)
    assert any(name.endswith(".pt") for name in records)
    with pytest.raises(MlflowException, match="pickle"):
        pyfunc.load_model(str(altered))
    assert not (tmp_path / "ran").exists()


def test_no_source_names_an_unpickler() -> None:
    for path in [*(ROOT / "src").rglob("*.py"), *(ROOT / "stages").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name for alias in node.names} | {str(getattr(node, "module", ""))}
                assert not UNPICKLERS & {name.partition(".")[0] for name in names}, path
            if isinstance(node, ast.Attribute) and ast.unparse(node) == "torch.load":
                raise AssertionError(f"{path} calls torch.load")
            if isinstance(node, ast.keyword) and node.arg in ("allow_pickle", "weights_only"):
                raise AssertionError(f"{path} speaks of pickle")


STAGES = """
import importlib, json, sys
seen = []
sys.addaudithook(lambda event, arguments: seen.append(arguments) if event == "pickle.find_class" else None)
sys.path[:0] = ["src", "stages"]
for name in ("download", "pca", "train", "evaluate", "render", "report"):
    getattr(importlib.import_module(name), name).main([], standalone_mode=False)
print(json.dumps(seen, default=str))
"""


@pytest.mark.slow
@pytest.mark.usefixtures("workspace")
def test_no_stage_loads_a_pickle() -> None:
    """CPython reports every global that an unpickler looks up; without one a pickle holds plain data alone."""
    done = run(sys.executable, "-W", "ignore", "-c", STAGES, cwd=Path.cwd())
    assert json.loads(done.stdout.splitlines()[-1]) == []


@pytest.mark.slow
def test_ten_thousand_damaged_downloads_are_read_or_refused_in_little_memory(tmp_path: Path) -> None:
    done = run(sys.executable, str(ROOT / "tests" / "fuzz_sources.py"), cwd=tmp_path)
    assert done.stdout.startswith("10,000 files: ")
