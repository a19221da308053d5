"""The console script `autoencoder`: what is no stage."""

import hashlib
import os
import tempfile
from functools import partial
from pathlib import Path

import click

from autoencoder.entry import Group


@click.group(cls=Group)
@click.version_option(package_name="autoencoder")
def main() -> None:
    """Commands beside the pipeline, which `dvc repro` runs."""


@main.command()
@click.option("--all", "everything", is_flag=True, help="Track every commit and DVC experiment before the workspace.")
def track(everything: bool) -> None:
    """Make the MLflow store say what the workspace's results say, whatever happened to it before."""
    from autoencoder import follower, history, params, tracking

    for commit in history.states() if everything else []:
        click.echo(history.track(commit) or f"{commit[:7]}: tracked")
    click.echo(follower.reconcile(tracking.Store(), params.load().track.champion))


@main.command()
def which_run() -> None:
    """Print the MLflow run of the workspace's state, its link, and what it lacks. Exit status 1 if it is not whole."""
    from autoencoder import state, tracking

    run, missing = tracking.Store().which(state.read())
    if not run:
        raise click.ClickException("no MLflow run holds this state; autoencoder track")
    click.echo(f"{run.run_id} {run.name!r}\n{run.link}")
    if missing:
        raise click.ClickException(f"the run lacks {', '.join(missing)}; autoencoder track")


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Other addresses need a password: see the docs.")
@click.option("--port", default=5000, show_default=True)
def ui(host: str, port: int) -> None:
    """Show the runs in a browser, with MLflow's own server."""
    from autoencoder import server

    arguments, environment = server.command(host, port)
    click.echo(f"MLflow is starting, which takes about fifteen seconds: http://{host}:{port}")
    os.execve(arguments[0], arguments, environment)


@main.command("verify")
@click.option("--stage", "names", multiple=True, help="Only this stage; may be given several times.")
@click.pass_context
def verify_(ctx: click.Context, names: tuple[str, ...]) -> None:
    """Run again what dvc.lock records, in a scratch folder, and compare every output with its hash."""
    from autoencoder import numerics, params, pipeline, verify
    from autoencoder.errors import UserError

    stages = pipeline.recorded()
    known = [name for name in verify.in_order(stages) if name != "track"]
    if unknown := set(names) - set(known):
        raise UserError(f"--stage: expected {', '.join(known)}, found {', '.join(sorted(unknown))}")
    # Training's follower may outlive it by a moment, and write into the folder while that is removed.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        scratch, rows = Path(folder), []
        click.echo(f"{'output':<36}{'expected (MD5)':<34}found")
        for row in verify.run(stages, set(names or known), scratch, partial(click.echo, err=True)):
            rows.append(row)
            verdict = "the same" if row.found == row.expected else "DIFFERENT"
            click.echo(f"{row.output!s:<36}{row.expected:<34}{row.found}  {verdict if row.executed else 'not run'}")
        different = [row for row in rows if row.found != row.expected]
        for row in different:
            click.echo(f"{row.output}: {verify.explain(row, scratch)}")
    runtime = params.Params.model_validate(verify.params(stages)).runtime
    numerics.configure(runtime)
    facts = numerics.facts(runtime) | {
        "packages": hashlib.sha256(Path("requirements.lock").read_bytes()).hexdigest()[:12]
    }
    click.echo("this machine: " + ", ".join(f"{name} {value}" for name, value in facts.items()))
    click.echo(f"{len(rows) - len(different)} of {len(rows)} outputs are the same bytes as dvc.lock records")
    ctx.exit(bool(different))
