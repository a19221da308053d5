"""Kill the reconciling at random instants, then let it go on, and compare the store with an unharmed one's.

`python tests/kill_tracking.py` does it twenty times, in about two minutes; CI does it a few times. The reconcilers are
forked from a process that has imported MLflow already: a start takes milliseconds instead of seconds.
"""

import argparse
import os
import random
import re
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

import conftest  # noqa: E402, F401 (the path comes first, and this before torch)
import test_tracking as small  # noqa: E402

from autoencoder.data import sources  # noqa: E402
from autoencoder.tracking import export  # noqa: E402
from autoencoder.tracking import reconcile as reconciling  # noqa: E402
from autoencoder.tracking.store import Store  # noqa: E402

EMPTY = "empty.db"
QUERIES = {
    "metrics": "SELECT key, step, value, COUNT(*) FROM metrics GROUP BY key, step, value ORDER BY key, step",
    "params": "SELECT key, value FROM params ORDER BY key",
    "tags": "SELECT key FROM tags ORDER BY key",
    "runs": "SELECT name, status, lifecycle_stage FROM runs",
    "datasets": "SELECT name, digest FROM datasets",
    "inputs and outputs": "SELECT source_type, destination_type FROM inputs ORDER BY source_type",
    "models": "SELECT status FROM logged_models WHERE lifecycle_stage = 'active'",
    "versions": "SELECT name, version, status FROM model_versions",
    "aliases": "SELECT name, alias, version FROM registered_model_aliases",
}


def main() -> None:
    """Print a line per kill; exit with 1 if a store differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        torture(arguments.kills, random.Random(arguments.seed))  # noqa: S311 (repeatable, not secret)


def torture(kills: int, choose: random.Random) -> None:
    """Kill reconcilers until `kills` of them were hit alive; after each, reconcile in peace and compare."""
    small.record(small.ten(sources.digits()))
    Path("exported").mkdir()
    in_a_fork(lambda: export.export(Path("exported")))
    export.begun = small.begun(Path("exported").resolve())
    in_a_fork(Store)
    shutil.copy("mlflow.db", EMPTY)
    lifetimes = [lifetime(fresh) for fresh in (False, True)]
    expected = contents()
    killed = 0
    while killed < kills:
        fresh = killed % 4 == 3
        reset(fresh)
        instant = choose.uniform(0, lifetimes[fresh])
        pid = fork(reconcile)
        time.sleep(instant)
        os.kill(pid, signal.SIGKILL)
        if os.waitpid(pid, 0)[1] == 0:
            continue  # it was faster
        killed += 1
        in_a_fork(reconcile)
        found = contents()
        different = [name for name in expected if found[name] != expected[name]]
        store = "no store" if fresh else "an empty store"
        print(f"kill {killed}, from {store}, after {instant:.2f} s: {different or 'the same'}", flush=True)
        if different:
            sys.exit("\n".join(f"{name}: expected {expected[name]}, found {found[name]}" for name in different))


def lifetime(fresh: bool) -> float:
    """How many seconds the reconciling takes when nobody kills it."""
    reset(fresh)
    began = time.monotonic()
    in_a_fork(reconcile)
    return time.monotonic() - began


def reset(fresh: bool) -> None:
    """No store if `fresh`, else an empty one, and the journal of a training that nobody has followed."""
    for path in Path().glob("mlflow.db*"):
        path.unlink()
    shutil.rmtree("mlruns", ignore_errors=True)
    if not fresh:
        shutil.copy(EMPTY, "mlflow.db")
    small.train()


def reconcile() -> None:
    """What `track` does, with a model that was exported before."""
    reconciling.reconcile()


def contents() -> dict[str, Any]:
    """What the store holds, without times and names that MLflow invents."""
    with sqlite3.connect("mlflow.db") as database:
        found: dict[str, Any] = {name: database.execute(query).fetchall() for name, query in QUERIES.items()}
    files = (path.name for path in Path("mlruns").glob("*/artifacts/**/*") if path.is_file())
    found["files"] = sorted(re.sub(r"timestamp\+\d+", "moment", name) for name in files)
    return found


def fork(work: Callable[[], None]) -> int:
    """The process id of a child that does `work`."""
    if pid := os.fork():
        return pid
    status = 1
    try:
        work()
        status = 0
    finally:
        if status:
            traceback.print_exc()
        os._exit(status)


def in_a_fork(work: Callable[[], None]) -> None:
    """Do `work` in a child, to its end: this process is to open no store, whose threads a fork would not have."""
    status = os.waitpid(fork(work), 0)[1]
    if status:
        sys.exit(f"expected exit status 0, found {status}")


if __name__ == "__main__":
    main()
