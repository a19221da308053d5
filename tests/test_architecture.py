"""Who imports whom, and whether dvc.yaml, params.yaml and README.md say the same as the code."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from dependencies import imported, imports, module, needed, reached, sources, updated
from ruamel.yaml import YAML

from autoencoder import paths
from autoencoder.files import md5

SOURCES = sources()
MODULES = sorted(module(path) for path in SOURCES if path.startswith("src/") and not path.endswith("__init__.py"))
DVC: dict[str, Any] = YAML(typ="safe", pure=True).load(ROOT / "dvc.yaml")
STAGES = sorted(DVC["stages"])
PARAMS: dict[str, Any] = YAML(typ="safe", pure=True).load(ROOT / "params.yaml")

# The ground floor, which every room stands on, and the rooms that a room may import beside it and itself.
GROUND = {"params", "numerics", "paths", "files", "errors", "entry", "article"}
ROOMS: dict[str, set[str]] = {
    "kernels": set(),
    "data": set(),
    "models": {"data"},
    "training": {"kernels", "data", "models"},
    "analysis": {"data", "models", "training"},
    "record": set(),
    "tracking": {"record"},
    "report": {"data"},
    "using": {"data", "models", "training", "analysis"},
    "sweep": {"record"},
}
ALONE = {
    "tracking.export": {"data", "models"},
    "using.trained": {"tracking"},
    "numerics": {"kernels"},
}  # what this module alone of its room may import, too

# Which modules may name a package in an import statement, wherever it stands.
FIGURES = {f"analysis.{name}" for name in ("figures", "layout", "linear_figures", "family_figures", "gallery")}
MAY_NAME = {
    "click": {"entry", "cli"},
    "distributed": {"sweep.engine"},
    "dvc": set(),
    "jinja2": {"report.page"},
    "matplotlib": FIGURES | {"using.sheet"},
    "mlflow": {"tracking.client", "tracking.served_model"},
    "optuna": {"sweep.study"},
    "pydantic": {"params", "data.sources"},
    "pygments": {"report.page"},
    "sklearn": {"data.sources"},
    "torchvision": {"data.sources"},
}
# Which modules may have a package loaded, by whatever they import, once they are imported themselves.
COMPUTING = {
    name for name in MODULES if name.startswith(("kernels.", "data.", "models.", "training.", "analysis.", "using."))
}
WITHOUT_MLFLOW = {f"tracking.{name}" for name in ("export", "follower", "journal", "server", "tags", "view")}
MLFLOW = {name for name in MODULES if name.startswith("tracking.")} - WITHOUT_MLFLOW
WITHOUT_YAML = {f"record.{name}" for name in ("curves", "git", "identity", "lineage")}
SWEEP = {name for name in MODULES if name.startswith("sweep.")} - {"sweep.runner", "sweep.engine"}
YAML_READERS = {name for name in MODULES if name.startswith(("record.", "sweep."))} - WITHOUT_YAML
MAY_LOAD = {
    "click": {"entry", "cli"} | MLFLOW,
    "distributed": set(),
    "dvc": set(),
    "matplotlib": FIGURES | {"using.sheet"} | MLFLOW,
    "mlflow": MLFLOW,
    "optuna": set(),
    "pydantic": {"params", "numerics", "data.sources", "training.loop", "training.resume"} | SWEEP | MLFLOW,
    "ruamel": YAML_READERS | MLFLOW,
    "sklearn": MLFLOW,
    "torch": COMPUTING | MLFLOW,
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
        module(path)
        for path, tree in SOURCES.items()
        if path.startswith("src/") and package in {name.partition(".")[0] for name in imported(tree)}
    }
    assert naming == MAY_NAME[package]


def test_what_is_said_of_modules_is_said_of_modules_that_there_are() -> None:
    said = (*MAY_LOAD.values(), *MAY_NAME.values(), ALONE, WITHOUT_MLFLOW, WITHOUT_YAML)
    assert set().union(*said) <= set(MODULES)


def beyond(trees: dict[str, ast.Module]) -> set[tuple[str, str]]:
    """Each module that imports what it may not, with the room or the module of the ground floor that it imports."""
    found = set()
    for path, tree in trees.items():
        if path.startswith("src/") and (name := module(path)) != "cli":
            room = name.partition(".")[0]
            allowed = GROUND | {room} | ROOMS.get(room, set()) | ALONE.get(name, set())
            heads = {other.split(".")[1] for other in imported(tree) if other.startswith("autoencoder.")}
            found |= {(name, head) for head in heads - allowed}
    return found


def test_rooms_import_only_what_lies_below_them() -> None:
    assert beyond(SOURCES) == set()


@pytest.mark.parametrize(
    ("path", "statement"),
    [
        ("errors.py", "from autoencoder.data import images"),
        ("errors.py", "import autoencoder.record"),
        ("data/images.py", "def lazily():\n    from autoencoder.models.linear import Encoder"),
        ("models/linear.py", "from autoencoder.training.loop import Training"),
        ("training/loop.py", "from autoencoder import analysis"),
        ("training/loop.py", "from autoencoder.record import lock"),
        ("training/new.py", "from autoencoder.tracking.journal import Journal"),
        ("analysis/figures.py", "import autoencoder.tracking.view as view"),
        ("record/state.py", "from autoencoder.data.images import Images"),
        ("record/verify.py", "from autoencoder.tracking import journal"),
        ("tracking/store.py", "from autoencoder.models import saved"),
        ("tracking/export.py", "from autoencoder.training import loop"),
        ("tracking/view.py", "from autoencoder.cli import main"),
        ("another/room.py", "from autoencoder.data.images import Images"),
    ],
)
def test_an_import_from_above_would_be_found(path: str, statement: str) -> None:
    planted = f"src/autoencoder/{path}"
    (found,) = beyond(SOURCES | {planted: ast.parse(statement)})
    assert found[0] == module(planted)
    assert f"autoencoder.{found[1]}" in statement or f"import {found[1]}" in statement


def test_every_room_and_every_module_of_the_ground_floor_has_a_rule() -> None:
    assert {name.partition(".")[0] for name in MODULES if "." in name} == set(ROOMS)
    assert {name for name in MODULES if "." not in name} == GROUND | {"cli"}


def test_of_a_room_init_is_one_docstring() -> None:
    inits = {path: tree for path, tree in SOURCES.items() if path.endswith("__init__.py")}
    assert {str(Path(path).parent) for path in inits} == {str(Path(path).parent) for path in SOURCES} - {"stages"}
    for path, tree in inits.items():
        assert ast.get_docstring(tree), path
        assert len(tree.body) == 1, path


def test_imports_are_absolute() -> None:
    """Others would not be seen where imports are counted."""
    for path, tree in SOURCES.items():
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level], path


def cycle(trees: dict[str, ast.Module]) -> list[str]:
    """The files of an import cycle, if there is one; an import in a function counts."""
    try:
        TopologicalSorter({path: imports(path, trees) for path in trees}).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_module_imports_itself_through_others() -> None:
    assert cycle(SOURCES) == []


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


def test_a_cycle_of_imports_would_be_found(tree: dict[str, Any]) -> None:
    assert cycle(tree) == []
    lines, table = "src/autoencoder/tracking/lines.py", "src/autoencoder/room/table.py"
    chair, journal = "src/autoencoder/room/deeper/chair.py", "src/autoencoder/tracking/journal.py"
    planted = tree | {lines: ast.parse("def lazily():\n    from autoencoder.room.table import X")}
    assert set(cycle(planted)) == {table, chair, journal, lines}


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
    assert read - {"data/sets/${data.name}"} == written - {"mlruns/tracked"}


def test_the_map_of_the_readme_has_a_line_for_every_stage_room_and_module_of_the_ground_floor() -> None:
    text = (ROOT / "README.md").read_text()
    (lines,) = re.findall(r"^    stages/ .*\n((?:      .*\n|    src/autoencoder/ .*\n)+)", text, re.MULTILINE)
    shown = [name for line in lines.splitlines() for name in line.strip().split("  ")[0].split(", ")]
    stages = [Path(path).name for path in SOURCES if path.startswith("stages/")]
    ground = [f"{name}.py" for name in MODULES if "." not in name]
    assert sorted(shown) == sorted([*stages, "src/autoencoder/", *ground, *(f"{room}/" for room in ROOMS)])


def test_the_readme_shows_params_yaml_as_it_is() -> None:
    shown = re.search(r"((?:    \w+: +\S.*\n)+)\nA wrong one", (ROOT / "README.md").read_text())
    assert shown
    assert YAML(typ="safe", pure=True).load(shown[1]) == PARAMS


def test_the_pictures_of_the_readme_are_those_of_the_recorded_run() -> None:
    stages = YAML(typ="safe", pure=True).load(ROOT / "dvc.lock")["stages"]
    recorded = {out["path"]: out["md5"] for out in stages["render"]["outs"]}
    shown = [path for path in (ROOT / "docs" / "images").glob("*.png") if f"figures/{path.name}" in recorded]
    assert len(shown) >= 2
    for path in shown:
        assert md5(path) == recorded[f"figures/{path.name}"], path.name


def test_the_makefile_looks_for_the_file_that_the_stage_download_leaves() -> None:
    assert f"OFFLINE = {paths.NO_MIRROR}\n" in (ROOT / "Makefile").read_text()
