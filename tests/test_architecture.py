"""Who imports whom, and whether dvc.yaml, params.yaml and README.md say the same as the code."""

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from dependencies import imported, module, needed, reached, sources, updated
from ruamel.yaml import YAML

from autoencoder.files import md5

PACKAGE = ROOT / "src" / "autoencoder"
SOURCES = sources()
MODULES = sorted(module(path) for path in SOURCES if path.startswith("src/") and not path.endswith("__init__.py"))
DVC: dict[str, Any] = YAML(typ="safe", pure=True).load(ROOT / "dvc.yaml")
STAGES = sorted(DVC["stages"])
PARAMS: dict[str, Any] = YAML(typ="safe", pure=True).load(ROOT / "params.yaml")

# Which modules may name a package in an import statement, wherever it stands.
MAY_NAME = {
    "click": {"entry", "cli"},
    "dvc": set(),
    "matplotlib": {"figures"},
    "mlflow": {"tracking", "served_model"},
    "pydantic": {"params"},
    "sklearn": {"datasets"},
    "torchvision": {"datasets"},
}
# Which modules may have a package loaded, by whatever they import, once they are imported themselves.
CORE = {"models", "pca", "evaluation", "training", "checkpoints", "datasets", "figures", "resume", "graph"}
MLFLOW = {"follower", "tracking", "served_model"}
PARAMS_READERS = {"params", "numerics"}
MAY_LOAD = {
    "click": {"entry", "cli"} | MLFLOW,
    "dvc": set(),
    "matplotlib": {"figures"} | MLFLOW,
    "mlflow": MLFLOW,
    "pydantic": PARAMS_READERS | MLFLOW,
    "ruamel": PARAMS_READERS | {"pipeline", "state", "journal", "lineage", "reproduce", "verify"} | MLFLOW,
    "sklearn": MLFLOW,
    "torch": CORE | MLFLOW,
    "torchvision": set(),
}


def may_load(module: str) -> frozenset[str]:
    return frozenset(package for package, modules in MAY_LOAD.items() if module in modules)


def loaded(modules: Iterable[str], *paths: Path) -> set[str]:
    """Which of the packages in MAY_LOAD a fresh interpreter has loaded once it has imported `modules`."""
    program = f"""
import json, sys
sys.path[:0] = {[str(path) for path in paths]}
import {", ".join(modules)}
print(json.dumps(list(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return set(MAY_LOAD) & set(json.loads(done.stdout))


@pytest.mark.parametrize(
    "allowed",
    sorted({may_load(module) for module in MODULES}, key=sorted),
    ids=lambda allowed: "+".join(sorted(allowed)),
)
def test_modules_load_only_what_they_may(allowed: frozenset[str]) -> None:
    modules = [f"autoencoder.{module}" for module in MODULES if may_load(module) == allowed]
    assert loaded(modules, ROOT / "src") <= allowed


def test_stages_load_no_heavy_package_before_they_run() -> None:
    assert loaded(STAGES, ROOT / "src", ROOT / "stages") == {"click"}


def test_what_a_module_loads_is_seen(tmp_path: Path) -> None:
    (tmp_path / "sneaky.py").write_text("import indirect")
    (tmp_path / "indirect.py").write_text("import click.utils")
    assert loaded(["sneaky"], tmp_path) == {"click"}


@pytest.mark.parametrize("package", MAY_NAME)
def test_a_package_is_named_only_where_it_may_be(package: str) -> None:
    naming = {
        Path(path).stem
        for path, tree in SOURCES.items()
        if path.startswith("src/") and package in {name.partition(".")[0] for name in imported(tree)}
    }
    assert naming == MAY_NAME[package]


def test_stages_do_not_import_each_other() -> None:
    for path, tree in SOURCES.items():
        if path.startswith("stages/"):
            assert not imported(tree) & set(STAGES)


def test_the_library_does_not_import_stages() -> None:
    for path, tree in SOURCES.items():
        if path.startswith("src/"):
            assert not {name.partition(".")[0] for name in imported(tree)} & {"stages", *STAGES}


def test_dvc_yaml_lists_the_modules_that_the_imports_ask_for() -> None:
    listed = {name: stage["deps"] for name, stage in DVC["stages"].items()}
    assert listed == updated(DVC, SOURCES), "`make deps` writes the lists"


def test_track_depends_on_all_that_any_stage_depends_on() -> None:
    for stage in DVC["stages"].values():
        assert set(stage["deps"]) <= set(DVC["stages"]["track"]["deps"])
    assert set(DVC["stages"]["track"]["params"]) == set(PARAMS)


TREE = {
    "stages/a.py": "def a():\n    from autoencoder.room import table",
    "stages/track.py": "from autoencoder.tracking import store",
    "src/autoencoder/__init__.py": "",
    "src/autoencoder/errors.py": "import autoencoder.unreached",
    "src/autoencoder/unreached.py": "",
    "src/autoencoder/room/__init__.py": "",
    "src/autoencoder/room/table.py": "if True:\n    from autoencoder.room.deeper.chair import seat\nX = 'given.py'",
    "src/autoencoder/room/given.py": "",
    "src/autoencoder/room/deeper/chair.py": "import autoencoder.errors, autoencoder.tracking.journal",
    "src/autoencoder/tracking/journal.py": "import autoencoder.tracking.lines",
    "src/autoencoder/tracking/lines.py": "",
    "src/autoencoder/tracking/store.py": "",
    "src/autoencoder/unused.py": "",
}


@pytest.fixture
def tree(tmp_path: Path) -> dict[str, Any]:
    for name, text in TREE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return sources(tmp_path)


def test_lazy_and_indirect_imports_and_modules_in_folders_are_seen(tree: dict[str, Any]) -> None:
    assert set(tree) == set(TREE)
    assert reached("stages/a.py", tree, bool) == {
        name for name in TREE if not name.endswith(("__init__.py", "unused.py", "store.py", "track.py"))
    }


def test_what_watches_is_a_dependency_of_track_alone(tree: dict[str, Any]) -> None:
    room = "src/autoencoder/room"
    computing = [f"{room}/deeper/chair.py", f"{room}/given.py", f"{room}/table.py", "stages/a.py"]
    assert needed("a", ["a", "track"], tree) == computing
    assert needed("track", ["a", "track"], tree) == sorted(
        [*computing, "stages/track.py", "src/autoencoder/tracking/store.py"]
    )


@pytest.mark.parametrize("stage", sorted({*STAGES} - {"track"}))
def test_a_stage_depends_on_exactly_the_params_that_it_reads(stage: str) -> None:
    source = (ROOT / "stages" / f"{stage}.py").read_text()
    read = set(re.findall(r"(?:settings|params\.load\(\))\.(\w+(?:\.\w+)?)", source))
    declared = DVC["stages"][stage].get("params", [])
    for name in declared:
        section, _, key = name.partition(".")
        assert not key or key in PARAMS[section], f"{name} is not in params.yaml"
        assert any(f"{path}.".startswith(f"{name}.") for path in read), f"{stage} does not read {name}"
    for path in read:
        assert any(f"{path}.".startswith(f"{name}.") for name in declared), f"{stage} reads {path}"


def test_every_section_of_params_yaml_is_a_param_of_a_stage() -> None:
    declared = {name.partition(".")[0] for stage in STAGES for name in DVC["stages"][stage].get("params", [])}
    others = {name.partition(".")[0] for stage in {*STAGES} - {"track"} for name in DVC["stages"][stage]["params"]}
    assert declared == others | {"track"} == set(PARAMS)


def test_all_that_a_stage_writes_is_read_by_another_and_nothing_else() -> None:
    written = {
        next(iter(out)) if isinstance(out, dict) else out
        for stage in DVC["stages"].values()
        for kind in ("outs", "metrics", "plots")
        for out in stage.get(kind, [])
    }
    read = {dep for stage in DVC["stages"].values() for dep in stage["deps"] if not dep.startswith(("src/", "stages/"))}
    assert read == written - {"mlruns/tracked"}


def test_the_readme_has_a_line_for_every_stage_and_module() -> None:
    readme = (ROOT / "README.md").read_text()
    files = [*PACKAGE.glob("*.py"), *(ROOT / "stages").glob("*.py")]
    assert [file.name for file in files if file.name != "__init__.py" and file.name not in readme] == []


def test_the_readme_shows_params_yaml_as_it_is() -> None:
    shown = re.search(r"((?:    \w+: +\S.*\n)+)\nA wrong one", (ROOT / "README.md").read_text())
    assert shown
    assert YAML(typ="safe", pure=True).load(shown[1]) == PARAMS


def test_the_pictures_of_the_readme_are_those_of_the_recorded_run() -> None:
    stages = YAML(typ="safe", pure=True).load(ROOT / "dvc.lock")["stages"]
    recorded = {out["path"]: out["md5"] for out in stages["render"]["outs"]}
    shown = [path for path in (ROOT / "docs" / "images").glob("*.png") if f"figures/{path.name}" in recorded]
    assert len(shown) >= 3
    for path in shown:
        assert md5(path) == recorded[f"figures/{path.name}"], path.name
