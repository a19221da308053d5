"""Stop training at random instants, damage what it kept now and then, and compare its outputs with an unharmed run's.

`python tests/kill_matrix.py` is the full matrix, about a minute on a quiet machine; .ci/run runs a short one.
Trainers are forked from a process that has imported torch already: a start takes milliseconds instead of seconds.
"""

import argparse
import hashlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "stages")]

from autoencoder import numerics, params  # noqa: E402 (the path comes first)
from autoencoder.tracking import journal  # noqa: E402 (the path comes first)

# How a trainer may end by each signal: a handler's status, or death before the handler is there.
ENDS = {signal.SIGKILL: (-9,), signal.SIGINT: (130,), signal.SIGTERM: (143, -15)}
OUTPUTS = ("models/autoencoder.safetensors", "metrics/training.csv", "metrics/steps.csv")


def main() -> None:
    """Print a line per kill; exit with 1 if any output differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    # Followers would write to the folder after their trainers' end; killing those is tests/kill_tracking.py's.
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(journal.Journal, "_follow"):
        os.chdir(folder)
        torture(arguments.kills, random.Random(arguments.seed))  # noqa: S311 (repeatable, not secret)


def torture(kills: int, choose: random.Random) -> None:
    """Stop trainers until `kills` of them were hit alive; whenever one ends by itself, compare and start over."""
    prepare()
    from train import train

    train.main([], standalone_mode=False)  # the unharmed run, which also imports all that a trainer needs
    expected = fingerprints()
    started = time.monotonic()
    wait(start_trainer())
    lifetime = time.monotonic() - started
    killed, finished, resumed, slowest = 0, 0, 0, 0.0
    reset()
    while killed < kills:
        damage = harm(choose)
        kept = len(states())
        instant = choose.uniform(0, 0.7 * lifetime)
        number = choose.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
        pid = start_trainer()
        time.sleep(instant)
        os.kill(pid, number)
        sent = time.monotonic()
        code = wait(pid, *ENDS[number])
        took = time.monotonic() - sent
        if code == 0:
            finished += compare(expected)
            continue
        if code == 128 + number and not states():
            sys.exit(f"expected a kept state after {number.name}, found none")
        killed += 1
        resumed += kept > 0
        slowest = max(slowest, took)
        print(
            f"{killed:3}: {number.name} after {instant:.3f} s, gone {took:.3f} s later with status {code}; "
            f"before it: {kept} states kept, damage: {damage}"
        )
    wait(start_trainer())
    finished += compare(expected)
    print(
        f"{killed} kills, {resumed} of trainers with a kept state, the slowest gone after {slowest:.3f} s; "
        f"{finished} trainings ended in the same bytes"
    )


def prepare() -> None:
    """Make the current folder a workspace on digits with adam, whose state is the largest, and states kept often."""
    for name in ("src", "stages"):
        shutil.copytree(ROOT / name, name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "dvc.yaml", "dvc.yaml")
    text = (ROOT / "params.yaml").read_text()
    for old, new in (("mnist", "digits"), ("sgd", "adam"), ("epochs: 20", "epochs: 30"), ("every: 1000", "every: 9")):
        text = text.replace(old, new, 1)
    Path("params.yaml").write_text(text)
    numerics.configure(params.load().runtime)

    from autoencoder.data import sources
    from autoencoder.data.images import save_images
    from autoencoder.training import resume

    resume.SECONDS, resume.EPOCH_SECONDS = 0.01, 0.0
    save_images(sources.digits())


def start_trainer() -> int:
    """`python stages train` in a child of this process; its PID."""
    if pid := os.fork():
        return pid
    from train import train

    with Path("log").open("a") as log:
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())
        code = 1
        try:
            train.main([], standalone_mode=False)
            code = 0
        except SystemExit as end:
            code = int(str(end.code))
        except KeyboardInterrupt:  # before training answers signals; see `entry`
            code = 128 + signal.SIGINT
        finally:
            sys.stdout.flush()
            os._exit(code)  # the parent's clean-up is the parent's


def wait(pid: int, *expected: int) -> int:
    """The exit status of `pid`, negative after a signal; any but 0 and those `expected` ends the matrix."""
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code not in (0, *expected):
        sys.exit(f"expected exit status 0 or {expected}, found {code}:\n{Path('log').read_text()[-2000:]}")
    return code


def states() -> list[Path]:
    """The states that are kept, the oldest first."""
    return sorted(Path(".autoencoder").glob("resume/*/*.state"))


def fingerprints() -> dict[str, str]:
    """SHA-256 by output."""
    return {name: hashlib.sha256(Path(name).read_bytes()).hexdigest() for name in OUTPUTS}


def compare(expected: dict[str, str]) -> bool:
    """Whether all outputs are as `expected`, which they must be, and nothing else was left behind."""
    if fingerprints() != expected:
        sys.exit(f"expected {expected}, found {fingerprints()}")
    if left := list(Path(".autoencoder/resume").iterdir()):
        sys.exit(f"expected no state after success, found {left}")
    reset()
    return True


def reset() -> None:
    """Remove the outputs, as DVC does before it runs a stage."""
    for name in OUTPUTS:
        Path(name).unlink(missing_ok=True)


def harm(choose: random.Random) -> str:
    """Half of the time, tear the newest state or flip one of its bits."""
    kind = choose.choice(["none", "none", "torn", "bit flipped"])
    kept = states()
    if not kept or kind == "none":
        return "none"
    content = bytearray(kept[-1].read_bytes())
    place = choose.randrange(len(content))
    if kind == "torn":
        del content[place:]
    else:
        content[place] ^= 1 << choose.randrange(8)
    kept[-1].write_bytes(content)
    return kind


if __name__ == "__main__":
    main()
