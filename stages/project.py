"""What MLproject calls: DVC, with params from `mlflow run -P`, and afterwards no run without results."""

import os
import subprocess
import sys
from pathlib import Path

import click

from autoencoder import paths
from autoencoder.errors import UserError


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--stage", help="Run this stage and what it depends on, instead of all.")
@click.option("--discard", hidden=True, metavar="RUN_ID", help="Delete the empty run when MLflow has closed it.")
@click.argument("overrides", nargs=-1, type=click.UNPROCESSED)
def project(stage: str | None, discard: str | None, overrides: tuple[str, ...]) -> None:
    """Run the pipeline. `--train.learning_rate 0.01`, or any other key of params.yaml, is set there first."""
    if discard:
        from autoencoder.tracking import runs
        from autoencoder.tracking.store import Store

        runs.discard(Store(), discard)
        return
    given = _edits(overrides)
    _check(given)
    edits = [argument for name, value in given.items() for argument in ("--set-param", f"{name}={value}")]
    command = ["dvc", "exp", "run", *edits] if edits else ["dvc", "repro"]
    done = subprocess.run([sys.executable, "-m", *command, *([stage] if stage else [])], check=False)
    if done.returncode:
        raise SystemExit(done.returncode)
    if run_id := os.environ.get("MLFLOW_RUN_ID"):
        from autoencoder.tracking import reconcile, runs
        from autoencoder.tracking.store import Store

        store = Store()
        if stage in ("evaluate", "render", "report"):  # the whole pipeline ends in `track`
            reconcile.reconcile()
        elif stage == "train":
            reconcile.carry_left(store)  # there is no evaluation of this model yet
        if not runs.holds_results(store.client.get_run(run_id)):
            click.echo(f"no new state was trained: run {run_id} holds nothing, and is deleted as soon as it is closed")
            subprocess.Popen(
                [sys.executable, str(Path(__file__).parent), "project", "--discard", run_id],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )


def _check(edits: dict[str, str]) -> None:
    """Raise UserError if one of `edits` is wrong: DVC would write it down all the same."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    from autoencoder import params
    from autoencoder.files import read_yaml
    from autoencoder.record.lock import put

    values = read_yaml(paths.PARAMS, remedy=f"git checkout {paths.PARAMS}")
    for name, text in edits.items():
        try:
            value = YAML(typ="safe").load(text)
        except YAMLError:
            raise UserError(f"--{name}: expected a value as in {paths.PARAMS}, found {text!r}") from None
        put(values, name, value)
    params.check(values)


def _edits(overrides: tuple[str, ...]) -> dict[str, str]:
    names, values = overrides[::2], overrides[1::2]
    if len(names) != len(values) or not all(name.startswith("--") for name in names):
        raise UserError(f"expected pairs such as --train.epochs 5, found {' '.join(overrides)!r}")
    return {name.removeprefix("--"): value for name, value in zip(names, values, strict=True)}
