"""The imports of the stages, and the lists in dvc.yaml that follow from them: `make deps` writes the lists.

DVC looks for no imports, so dvc.yaml lists every module that a stage imports, directly or through others, and that can
change what the stage computes. Modules that only watch, read params or print errors are left out.
"""

import ast
import os
import re
import textwrap
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "src/autoencoder"

# DVC hashes the values of params.yaml, and an error or a path changes no result. `track` alone depends on what watches.
NO_DEPENDENCY = ("params.py", "errors.py", "entry.py", "paths.py", "cli.py")
WATCHING = ("record", "tracking")


def sources(root: Path = ROOT) -> dict[str, ast.Module]:
    """The syntax tree of every module of the package and of every stage, by path from `root`."""
    files = [*(root / PACKAGE).rglob("*.py"), *(root / "stages").rglob("*.py")]
    return {str(path.relative_to(root)): ast.parse(path.read_text()) for path in files}


def module(path: str) -> str:
    """The dotted name of a file within the package: `data.images` for src/autoencoder/data/images.py."""
    return ".".join(Path(path).relative_to(PACKAGE).with_suffix("").parts)


def imported(tree: ast.AST) -> set[str]:
    """Dotted names of all that a module imports, at its top or in a function: `from a import b` gives a and a.b.

    A string "b.py" counts as well: a module may be given to a program by its file's name.
    """
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.endswith(".py"):
            names.add(node.value)
    return names


def imports(path: str, trees: dict[str, ast.Module]) -> set[str]:
    """The files among `trees` that the file `path` imports itself."""
    names = imported(trees[path])
    files = {f"src/{name.replace('.', '/')}.py" for name in names}
    files |= {os.path.normpath(Path(path).parent / name) for name in names if name.endswith(".py")}
    return (files & trees.keys()) - {path}


def reached(path: str, trees: dict[str, ast.Module], follow: Callable[[str], bool]) -> set[str]:
    """The file `path` and those among `trees` that it imports, directly or through others, if `follow` accepts them."""
    found: set[str] = set()
    todo = {path}
    while todo:
        found |= todo
        todo = {file for path in todo for file in imports(path, trees) if follow(file)} - found
    return found


def counts(path: str) -> bool:
    """Whether a change of the file `path` can change what `track` mirrors, or how."""
    return path not in {f"{PACKAGE}/{name}" for name in NO_DEPENDENCY}


def computes(path: str) -> bool:
    """Whether a change of the file `path` can change what a stage other than `track` computes."""
    return counts(path) and not path.startswith(tuple(f"{PACKAGE}/{room}/" for room in WATCHING))


def needed(stage: str, stages: Iterable[str], trees: dict[str, ast.Module]) -> list[str]:
    """The modules that `stage` depends on. `track` mirrors what all `stages` do, and depends on their modules too."""
    if stage != "track":
        return sorted(reached(f"stages/{stage}.py", trees, computes))
    mirrored = set().union(*(needed(name, [], trees) for name in stages if name != "track"))
    return sorted(mirrored | reached("stages/track.py", trees, counts))


def updated(pipeline: dict[str, Any], trees: dict[str, ast.Module]) -> dict[str, list[str]]:
    """By stage of the content of dvc.yaml: its dependencies, with the modules that the imports ask for."""
    stages = pipeline["stages"]
    others = {name: [dep for dep in stage["deps"] if not dep.endswith(".py")] for name, stage in stages.items()}
    return {name: [*others[name], *needed(name, stages, trees)] for name in stages}


def main() -> None:
    """Write the lists of modules into dvc.yaml, and leave the rest of the file as it is."""
    text = (ROOT / "dvc.yaml").read_text()
    for name, deps in updated(YAML(typ="safe").load(text), sources()).items():
        quoted = [f'"{dep}"' if "$" in dep else dep for dep in deps]
        listed = textwrap.fill(", ".join(quoted), 118, initial_indent=" " * 6, subsequent_indent=" " * 6)
        pattern = rf"(?ms)(^  {name}:\n.*?^    deps:).*?(?=^    \w)"
        text = re.sub(pattern, rf"\1 [\n{listed}\n    ]\n", text, count=1)
    (ROOT / "dvc.yaml").write_text(text)


if __name__ == "__main__":
    main()
