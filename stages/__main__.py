"""`python stages NAME` runs the stage NAME with the library of this very tree.

A copy of the repository (`dvc exp run --temp`, a worktree) thus runs its own code, whatever is installed.
"""

import importlib
import sys
from pathlib import Path

import click

sys.path[:0] = [str(Path(__file__).resolve().parent.parent / "src")]

from autoencoder.entry import Group  # noqa: E402 (the path comes first)

STAGES = ("download", "pca", "train", "evaluate", "render", "report", "track")
PROJECT = "project"  # what MLproject calls: DVC, with the stages above


class Stages(Group):
    """Imports a stage when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(STAGES)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in (*STAGES, PROJECT):
            return None
        command: click.Command = getattr(importlib.import_module(name), name)
        return command


@click.group(cls=Stages)
def main() -> None:
    """The stages that dvc.yaml calls, in their order. They read params.yaml."""


if __name__ == "__main__":
    main(prog_name="stages")
