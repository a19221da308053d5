"""The console script `autoencoder`: what is no stage."""

import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autoencoder import paths
from autoencoder.entry import Group

SHEET = 24  # pictures on a sheet

if TYPE_CHECKING:
    from autoencoder.params import Runtime
    from autoencoder.record.lock import Stage
    from autoencoder.using.trained import Trained


class Command(click.Command):
    """Refuses a wrong params.yaml first: DVC takes a wrong type, such as `true` for 1, for no change."""

    def invoke(self, ctx: click.Context) -> Any:
        from autoencoder import params

        params.load()
        return super().invoke(ctx)


@click.group(cls=Group)
@click.version_option(package_name="autoencoder")
def main() -> None:
    """Commands beside the pipeline, which `dvc repro` runs."""


@main.command(cls=Command)
@click.option("--all", "everything", is_flag=True, help="Track every commit and DVC experiment before the workspace.")
def track(everything: bool) -> None:
    """Give the MLflow store all that the workspace's record holds, whatever happened to the store before.

    With --all the exit status is 1 if a state whose outputs are there could not be tracked.
    """
    from autoencoder.errors import UserError
    from autoencoder.record.history import GoneError
    from autoencoder.tracking.reconcile import reconcile, reconcile_all

    failed, gone = [], []
    for commit, error in reconcile_all() if everything else []:
        if isinstance(error, GoneError):
            gone.append(commit[:7])
            continue
        click.echo(f"{commit[:7]}: {error or 'tracked'}", err=bool(error))
        if error:
            failed.append(commit[:7])
    if gone:
        where = "neither in DVC's cache nor in a remote; `dvc push` where they are"
        click.echo(f"not tracked, for their outputs are {where}: {', '.join(gone)}", err=True)
    click.echo(reconcile())
    if failed:
        raise UserError(f"{', '.join(failed)}: not tracked, for the reasons above")


@main.command(cls=Command, hidden=True)
def check() -> None:
    """Check params.yaml, as every command does first, and the place of the store, before `make` runs anything."""
    from autoencoder.tracking import server

    server.uri()


@main.command(cls=Command)
def which_run() -> None:
    """Print the MLflow run of the workspace's state, its link, and what it lacks. Exit status 1 if it is not whole."""
    from autoencoder.record import state
    from autoencoder.tracking import mirror
    from autoencoder.tracking.store import Store

    recorded = state.read()
    run, missing = mirror.which(Store(create=False), recorded)
    if not run:
        raise click.ClickException("no MLflow run holds this state; autoencoder track")
    click.echo(f"{run.run_id} {run.name!r}\n{run.link}")
    if missing:
        raise click.ClickException(f"the run lacks {', '.join(missing)}; autoencoder track")


@main.command(cls=Command)
@click.option("--host", default="127.0.0.1", show_default=True, help="Other addresses need a password: see the docs.")
@click.option("--port", default=5000, show_default=True, type=click.IntRange(1, 65535))
def ui(host: str, port: int) -> None:
    """Show the runs in a browser, with MLflow's own server."""
    from autoencoder.tracking import server

    server.check_database()
    arguments, environment = server.command(host, port)
    server.check_free(host, port)
    click.echo(f"MLflow is starting, which takes about fifteen seconds: http://{host}:{port}")
    if (page := server.root() / paths.REPORT).exists():
        click.echo(f"The page that explains the workspace's run: {page.as_uri()}")
    os.execve(arguments[0], arguments, environment)


@main.command()
@click.argument("name", required=False)
@click.option("--all", "everything", is_flag=True, help="Put all examples into DVC's queue, and work through it.")
def example(name: str | None, everything: bool) -> None:
    """List the examples, or run the one of this NAME as a DVC experiment, which leaves the workspace as it is."""
    from autoencoder.record import examples

    def dvc(*arguments: str) -> None:
        done = subprocess.run([sys.executable, "-m", "dvc", *arguments], check=False)
        if done.returncode:
            raise SystemExit(done.returncode)

    if name:
        dvc(*examples.command(name), "--temp")
    elif everything:
        for each in examples.names():
            dvc(*examples.command(each), "--queue")
        dvc("queue", "start")
    else:
        for each in examples.names():
            click.echo(f"{each:<15}{examples.about(each)}")


@main.command("sweep", cls=Command)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--jobs", type=click.IntRange(1), help="States at once; by default one per core, or Dask thread.")
@click.option("--engine", "where", default="local", show_default=True, help="local, or dask:ADDRESS of a scheduler.")
@click.option("--report", is_flag=True, help="Train nothing; print what is known, the best first.")
@click.option("--render-best", type=click.IntRange(1), help="Draw figures and page of so many of the best, too.")
def sweep_(file: Path, jobs: int | None, where: str, report: bool, render_best: int | None) -> None:
    """Search params as FILE describes, such as sweeps/code_and_rate.yaml; every state is a DVC experiment.

    What is known already is not trained again, whether it was made here or came by `dvc exp pull`.
    """
    from autoencoder.sweep import command

    command.run(file, jobs, where, render_best=render_best or 0, report=report)


@main.command("verify", cls=Command)
@click.option("--stage", "names", multiple=True, help="Only this stage; may be given several times.")
def verify_(names: tuple[str, ...]) -> None:
    """Run again what dvc.lock records, in a scratch folder, and compare every output with its hash."""
    from autoencoder import numerics, params
    from autoencoder.errors import UserError
    from autoencoder.record import lock, verify

    stages = {name: stage for name, stage in lock.recorded().items() if name != "track"}  # no results of its own
    known = verify.in_order(stages)
    if unknown := set(names) - set(known):
        raise UserError(f"--stage: expected {', '.join(known)}, found {', '.join(sorted(unknown))}")
    recorded = next(stage.params["runtime"] for stage in stages.values() if "runtime" in stage.params)
    runtime = params.Runtime(device=recorded["device"], threads=recorded["threads"])
    numerics.configure(runtime)
    with tempfile.TemporaryDirectory() as folder:
        same = _compare(stages, set(names or known), Path(folder), runtime)
    if not same:
        _print_recorded_machine()
        raise SystemExit(1)


@main.command("reproduce", cls=Command)
@click.argument("run_id")
def reproduce_(run_id: str) -> None:
    """Run again what an MLflow run has recorded, in a scratch clone, and compare every output with its hash."""
    from autoencoder import numerics, params

    runtime = params.load().runtime
    numerics.configure(runtime)  # before MLflow, which imports numpy

    from autoencoder.record import reproduce
    from autoencoder.tracking import runs
    from autoencoder.tracking.store import Store

    origin = runs.origin(Store(create=False), run_id)
    stages = reproduce.recorded_stages(origin)
    with reproduce.worktree(origin) as folder:
        same = _compare(stages, set(stages) - {"track"}, folder, runtime)
    _print_facts("the run's machine", origin.facts)
    raise SystemExit(0 if same else 1)


@main.command("encode")
@click.argument("names", nargs=-1, required=True, metavar="PATHS…")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="The table: .parquet or .csv.")
@click.option(
    "--model", help="A model file, the id of a run, or models:/autoencoder@champion.  [default: the workspace's]"
)
@click.option(
    "--rank", is_flag=True, help="Print squared error, percentile and path of each picture, the oddest first."
)
@click.option("--sheet", type=click.Path(dir_okay=False, path_type=Path), help="Draw the oddest into this PNG.")
def encode_(names: tuple[str, ...], output: Path | None, model: str | None, rank: bool, sheet: Path | None) -> None:
    """Find the codes of pictures: files, folders of them, or - for a list of names. Exit status 1 if one has none."""
    if not (output or rank or sheet):
        raise click.UsageError("expected --output, --rank or --sheet, found none of them")
    trained = _trained(model)

    from autoencoder.data.pictures import shown
    from autoencoder.using import tables
    from autoencoder.using.encode import encode, named

    if output:
        tables.check_suffix(output)
    files = named(names, map(os.fsdecode, sys.stdin.buffer))
    rows, bad = encode(trained, files, output)
    if output:
        click.echo(f"{len(rows):,} pictures in {output}", err=True)
    if trained.test_errors is None:
        click.echo("note: no test_errors.csv is known for this model: the percentiles are empty", err=True)
    oddest_first = sorted(rows, key=lambda row: -row.squared_error)
    if sheet and rows:
        from autoencoder.analysis import layout
        from autoencoder.files import write_atomically
        from autoencoder.using.sheet import sheet as draw

        with layout.style():
            write_atomically(sheet, layout.png(draw(trained, oddest_first[:SHEET], len(rows))))
    for row in oddest_first if rank else []:
        click.echo(f"{row.squared_error:10.3f} {row.percentile:6.1f} %  {shown(row.path)}")
    for line in bad:
        click.echo(line, err=True)
    if bad:
        raise click.ClickException(f"{len(bad):,} of {len(files):,} pictures could not be decoded")


@main.command("decode")
@click.argument("codes", type=click.Path(path_type=Path))
@click.option("--output", required=True, type=click.Path(file_okay=False, path_type=Path), help="A folder.")
@click.option("--model", help="As for encode.")
def decode_(codes: Path, output: Path, model: str | None) -> None:
    """Write the pictures that the codes of a table stand for, named by their rows: 000000.png and so on."""
    trained = _trained(model)

    from autoencoder.using import tables
    from autoencoder.using.decode import write_pictures

    pieces = tables.read_codes(codes, trained.description.code_dimensions)
    click.echo(f"{write_pictures(trained, pieces, output):,} pictures in {output}", err=True)


def _trained(source: str | None) -> "Trained":
    """The model `source`, in the numeric settings of params.yaml, or without one in those of the pipeline."""
    import gc

    from autoencoder import numerics, params

    gc.enable()  # these commands may last
    here = paths.PARAMS.exists()
    numerics.configure(params.load().runtime if here else params.Runtime(device="cpu", threads=1))

    from autoencoder.using import trained

    return trained.load(source)


def _compare(stages: "dict[str, Stage]", wanted: set[str], scratch: Path, runtime: "Runtime") -> bool:
    """Run the `wanted` of the recorded `stages` in `scratch`, and print what came out and the facts of this machine."""
    from autoencoder import numerics
    from autoencoder.record import lineage, verify

    same = verify.compare(stages, wanted, scratch, click.echo, partial(click.echo, err=True))
    _print_facts("this machine", numerics.facts(runtime) | lineage.versions() | lineage.packages())
    return same


def _print_recorded_machine() -> None:
    """Print the facts of the machine that trained the recorded model, if the MLflow store has its run."""
    from autoencoder.errors import UserError
    from autoencoder.record import lock
    from autoencoder.tracking import runs
    from autoencoder.tracking.store import Store

    try:
        facts = runs.facts_of_model(Store(create=False), lock.recorded()["train"].outs[str(paths.MODEL)])
    except UserError as error:
        click.echo(f"the recorded machine is not known: {error}")
    else:
        _print_facts("the recorded machine", facts)


def _print_facts(whose: str, facts: dict[str, str]) -> None:
    click.echo(f"{whose}: " + (", ".join(f"{name} {value}" for name, value in facts.items()) or "not known"))
