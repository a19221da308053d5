"""Damage a finished workspace at random, then let `dvc repro` and `autoencoder track` mend it, and look at the end.

`python tests/adversity.py` does fifty damages; CI does ten. All are done to the same workspace, one after the other: to
its outputs, its caches and its store. Afterwards there are the committed bytes, one whole run, the right champion and a
model that loads; or one clear line that says what to do, after which a fresh copy takes the workspace's place. So it
does where a damage made another state: other inputs, which git holds.
"""

import argparse
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INPUTS = ("data/sets", "params.yaml")
PARTS = ("data", "models", "metrics", "figures", ".autoencoder", "mlruns", "mlflow.db", "dvc.lock", "params.yaml")
ROWS = {
    "tags": "key LIKE 'autoencoder.%' OR key LIKE 'mlflow.note%'",
    "params": "1",
    "metrics": "1",
    "latest_metrics": "1",
    "inputs": "1",
    "model_versions": "1",
    "registered_model_aliases": "1",
    "registered_model_tags": "1",
    "logged_model_metrics": "1",
    "logged_model_tags": "1",
    "logged_models": "1",
    "experiment_tags": "1",
    "runs": "1",
}
LOADED = """
import sys, mlflow, numpy
from mlflow import MlflowClient
mlflow.set_tracking_uri("sqlite:///mlflow.db")
client = MlflowClient()
(run,) = client.search_runs([e.experiment_id for e in client.search_experiments()])
assert run.info.status == "FINISHED", run.info.status
for alias in ("champion", "champion-digits"):
    assert client.get_model_version_by_alias("autoencoder", alias).run_id == run.info.run_id, alias
model = mlflow.pyfunc.load_model("models:/autoencoder@champion")
assert model.predict(numpy.zeros((1, 64), numpy.float32))["code"].shape == (1, 32)
"""


def main() -> None:
    """Print a line per damage; exit with 1 if one ends otherwise than it must."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--damages", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    choose = random.Random(arguments.seed)  # noqa: S311 (repeatable, not secret)
    os.environ |= {"DVC_NO_ANALYTICS": "1", "DO_NOT_TRACK": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with tempfile.TemporaryDirectory() as folder:
        finished, workspace = Path(folder, "finished"), Path(folder, "workspace")
        prepare(finished)
        shutil.copytree(finished, workspace, symlinks=True)
        for number in range(arguments.damages):
            os.chdir(workspace)
            kind, damage = choose.choice(list(DAMAGES.items()))
            print(f"{number:3}: {kind}: {damage(choose)} … ", end="", flush=True)
            workspace = Path.cwd()  # which may have been moved
            line = mend()
            if line or program("git", "diff", "--name-only", "HEAD", "--", *INPUTS).stdout:
                print(line or "other inputs, which git names")
                os.chdir(folder)
                shutil.rmtree(workspace)
                workspace = Path(shutil.copytree(finished, Path(folder, f"workspace {number}"), symlinks=True))
            else:
                check()
                print("mended")


def prepare(folder: Path) -> None:
    """A repository with this tree and a finished pipeline: digits, two epochs."""
    names = program("git", "ls-files", "-co", "--exclude-standard", cwd=ROOT).stdout.splitlines()
    for name in filter(lambda name: (ROOT / name).is_file(), names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    text = (folder / "params.yaml").read_text()
    for old, new in (("mnist", "digits"), ("epochs: 20", "epochs: 2"), ("every: 1000", "every: 20")):
        text = text.replace(old, new, 1)
    (folder / "params.yaml").write_text(text)
    os.chdir(folder)
    user = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
    program("git", "init", "-q")
    for step in ("code", "results"):
        program("git", "add", "-A")
        program("git", *user, "commit", "-qm", step)
        if step == "code":
            program("dvc", "repro")
    check()


def program(*command: str, cwd: Path | None = None, check: bool = True) -> "subprocess.CompletedProcess[str]":
    """Run a program with the library of the current folder."""
    environment = os.environ | {"PYTHONPATH": str(Path("src").absolute())}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if check and done.returncode:
        sys.exit(f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def mend() -> str:
    """Run what mends; the one line of an error that says what to do, or nothing."""
    for command in (["dvc", "repro"], ["autoencoder", "track"], ["autoencoder", "which-run"]):
        done = program(*command, check=False)
        if done.returncode:
            printed = f"{done.stdout}\n{done.stderr}"
            if "Traceback" in printed:
                sys.exit(f"expected one line, found\n{printed}")
            lines = [line for line in printed.splitlines() if line.startswith(("Error: ", "ERROR: "))]
            return lines[0] if lines else sys.exit(f"expected an error in one line, found\n{printed}")
    return ""


def check() -> None:
    """Exit unless the bytes are the committed ones, and one whole run is there, champion, with a model that loads."""
    if changed := program("git", "diff", "--stat", "HEAD", "--", ".").stdout:
        sys.exit(f"expected the committed bytes, found {changed}")
    if stale := program("dvc", "status").stdout.replace("Data and pipelines are up to date.", "").strip():
        sys.exit(f"expected nothing to do, found {stale}")
    program("autoencoder", "which-run")
    program(sys.executable, "-c", LOADED)


def some_path(choose: random.Random, files: bool) -> Path:
    """A file or folder of the workspace below one of PARTS."""
    there = [path for part in PARTS for path in (Path(part), *sorted(Path(part).rglob("*"))) if path.exists()]
    return choose.choice([path for path in there if path.is_file() and path.stat().st_size] if files else there)


def writable(path: Path) -> Path:
    """The file as one of its own, not a link to DVC's cache."""
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)
    return path


def remove(choose: random.Random) -> str:
    path = some_path(choose, files=False)
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    return str(path)


def truncate(choose: random.Random) -> str:
    path = writable(some_path(choose, files=True))
    path.write_bytes(path.read_bytes()[: choose.randrange(path.stat().st_size)])
    return str(path)


def change(choose: random.Random) -> str:
    path = writable(some_path(choose, files=True))
    content = bytearray(path.read_bytes())
    content[choose.randrange(len(content))] ^= 1 << choose.randrange(8)
    path.write_bytes(content)
    return str(path)


def rename(choose: random.Random) -> str:
    path = some_path(choose, files=False)
    path.rename(path.with_name(f"{path.name} renamed"))
    return str(path)


def move(choose: random.Random) -> str:
    new = Path.cwd().with_name(f"moved {choose.randrange(10**6)}")
    Path.cwd().rename(new)
    os.chdir(new)
    return new.name


def lose_row(choose: random.Random) -> str:
    table = choose.choice(list(ROWS))
    if not Path("mlflow.db").is_file():
        return "nothing"
    try:
        with closing(sqlite3.connect("mlflow.db")) as database, database:
            rows = [row for (row,) in database.execute(f"SELECT rowid FROM {table} WHERE {ROWS[table]}")]  # noqa: S608
            if not rows:
                return f"no {table}"
            if table in ("runs", "logged_models"):  # as MLflow deletes them
                database.execute(f"UPDATE {table} SET lifecycle_stage = 'deleted'")  # noqa: S608
            else:
                database.execute(f"DELETE FROM {table} WHERE rowid = ?", (choose.choice(rows),))  # noqa: S608
    except sqlite3.DatabaseError as error:
        return str(error)
    return f"a row of {table}"


def lose_cache(choose: random.Random) -> str:
    files = sorted(Path(".dvc/cache").rglob("*"))
    path = choose.choice([file for file in files if file.is_file()])
    path.chmod(0o644)
    path.unlink()
    return str(path)


DAMAGES: dict[str, Callable[[random.Random], str]] = {
    "removed": remove,
    "cut": truncate,
    "a bit flipped": change,
    "renamed": rename,
    "the repository moved": move,
    "lost in the store": lose_row,
    "lost in the store too": lose_row,
    "lost in DVC's cache": lose_cache,
}

if __name__ == "__main__":
    main()
