"""Every command of docs/team.md, and a search on two Dask workers with a remote of their own."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import ROOT, run, start
from servers import free_port, postgresql, s3, serving
from test_sweep import GRID, experiments, outputs

pytest.importorskip("optuna", reason="requirements-sweep.lock is not installed")
pytest.importorskip("moto", reason="moto[s3,server] is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.filterwarnings("ignore")]

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with s3("team") as url:
        yield url


def commands(page: str) -> list[tuple[str, str]]:
    """The shell blocks of a page, each with who types it."""
    return re.findall(r"^```sh (\w+)\n(.*?)^```", (ROOT / "docs" / page).read_text(), re.MULTILINE | re.DOTALL)


def test_all_commands_of_the_page_for_teams_work(own_clone: Path, service: str, tmp_path: Path) -> None:
    (own_clone / "sweeps/code_and_rate.yaml").write_text(GRID.replace("{1: 4, 3: 1}", "{1: 4}"))
    run("git", "commit", "-qam", "A small search", cwd=own_clone)
    hub, bob, port = tmp_path / "hub.git", tmp_path / "bob", free_port()
    run("git", "init", "-q", "--bare", "-b", "main", str(hub), cwd=tmp_path)
    bob.mkdir()
    printed = {"alice": "", "bob": ""}
    with postgresql() as database:
        names = {
            "HUB": str(hub),
            "BUCKET": "s3://team",
            "S3": service,
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "BEST": "code_and_rate-4",
        }
        environment = os.environ | names | {"DATABASE": database}
        (server,) = [block for who, block in commands("team.md") if who == "server"]
        assert "--artifacts-destination $BUCKET/mlflow" in server
        arguments = ["mlflow", "server", "--workers", "1", "--backend-store-uri", database]
        arguments += ["--artifacts-destination", "s3://team/mlflow"]
        with serving(arguments, tmp_path, port=port, MLFLOW_S3_ENDPOINT_URL=service):
            for who, block in commands("team.md"):
                if who == "server":
                    continue
                folder = own_clone if who == "alice" else bob / "autoencoder" if (bob / "autoencoder").exists() else bob
                without = environment if who == "alice" else environment | {"MLFLOW_TRACKING_URI": ""}
                done = subprocess.run(
                    ["bash", "-euc", block], cwd=folder, env=without, capture_output=True, text=True, check=False
                )
                assert done.returncode == 0, f"{block}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
                printed[who] += done.stdout
    assert "0 states known, 4 to train" in printed["alice"]
    assert printed["alice"].count(": tracked") >= 4
    assert "4 states known, 0 to train" in printed["bob"]
    assert re.search(r"7 of \d+ outputs are the same bytes|outputs are the same bytes as recorded", printed["bob"])
    assert "DIFFERENT" not in printed["bob"]


@pytest.fixture
def clones(own_clone: Path, service: str, tmp_path: Path) -> dict[str, Path]:
    """Three clones of one bare git remote with one S3 remote, in homes of their own."""
    (own_clone / "sweeps/some.yaml").write_text(GRID)
    (own_clone / ".dvc/config").write_text(
        (own_clone / ".dvc/config").read_text().replace("[core]\n", "[core]\n    remote = team\n")
        + f"['remote \"team\"']\n    url = s3://team/dvc\n    endpointurl = {service}\n"
    )
    run("git", "add", "-A", cwd=own_clone)
    run("git", "commit", "-qm", "A search", cwd=own_clone)
    run("git", "clone", "-q", "--bare", str(own_clone), "hub.git", cwd=tmp_path)
    found = {}
    for name in ("driver", "one", "two"):
        run("git", "clone", "-q", "hub.git", name, cwd=tmp_path)
        (tmp_path / "homes" / name).mkdir(parents=True)
        found[name] = tmp_path / name
    return found


def background(command: list[str], folder: Path, home: Path) -> "subprocess.Popen[bytes]":
    with (home / "log").open("ab") as log:
        return subprocess.Popen(
            command, cwd=folder, env=os.environ | {"HOME": str(home)}, stdout=log, stderr=log, start_new_session=True
        )


@contextmanager
def cluster(clones: dict[str, Path], *workers: str) -> Iterator[tuple[str, dict[str, "subprocess.Popen[bytes]"]]]:
    """The address of a Dask scheduler, and the processes: the scheduler, and a worker in each of these clones."""
    homes, address = clones["driver"].parent / "homes", f"tcp://127.0.0.1:{free_port()}"
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", address, "--no-dashboard"]
    processes = {"scheduler": background(dask, homes, homes / "driver")}
    try:
        for name in workers:
            dask = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard"]
            dask += ["--no-nanny", "--local-directory", str(homes / name)]
            processes[name] = background(dask, clones[name], homes / name)
        yield address, processes
    finally:
        for process in processes.values():
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def on_workers(clones: dict[str, Path], address: str) -> "subprocess.Popen[str]":
    return start("autoencoder", "sweep", "sweeps/some.yaml", "--engine", f"dask:{address}", cwd=clones["driver"])


def ended(driver: "subprocess.Popen[str]") -> str:
    """What the driver has printed at its end."""
    printed, _ = driver.communicate(timeout=280)
    assert "Traceback" not in printed
    return printed


def test_a_search_on_two_workers_survives_the_kill_of_one_and_gives_the_same_bytes(
    clones: dict[str, Path], tmp_path: Path
) -> None:
    (clones["driver"] / "sweeps/some.yaml").write_text(
        GRID.replace("{1: 4, 3: 1}", "{20: 4, 40: 1}").replace("32", "4")
    )
    with cluster(clones, "one", "two") as (address, processes):
        driver = on_workers(clones, address)
        wait_for(lambda: any(clones["two"].glob(".autoencoder/sweep/some/states/*/*/*.state")), driver)
        processes["two"].send_signal(signal.SIGKILL)  # what it has started lives on
        printed = ended(driver)
        assert driver.returncode == 0, printed
    there = experiments(clones["driver"])
    assert len(there) == 5
    assert experiments(tmp_path / "hub.git") == there

    run("git", "clone", "-q", str(tmp_path / "hub.git"), "local", cwd=tmp_path)
    (tmp_path / "local/sweeps/some.yaml").write_text((clones["driver"] / "sweeps/some.yaml").read_text())
    run("autoencoder", "sweep", "sweeps/some.yaml", "--jobs", "2", cwd=tmp_path / "local", timeout=280)
    local = experiments(tmp_path / "local")
    assert there.keys() == local.keys()
    for name in there:
        assert outputs(clones["driver"], there[name]) == outputs(tmp_path / "local", local[name])


def test_a_scheduler_that_dies_costs_one_line_and_no_finished_state(clones: dict[str, Path], tmp_path: Path) -> None:
    hub = tmp_path / "hub.git"
    with cluster(clones, "one", "two") as (address, processes):
        driver = on_workers(clones, address)
        wait_for(lambda: experiments(hub), driver)
        processes["scheduler"].kill()
        lines = ended(driver).splitlines()
        assert driver.returncode == 1
    gone = (
        f"Error: --engine dask:{address}: expected an end, found that the scheduler is gone; what is finished is kept"
    )
    assert [line.partition("; type")[0] for line in lines if not line.startswith("some")] == [gone]
    there = experiments(hub)
    assert there.items() >= experiments(clones["driver"]).items()
    with cluster(clones, "one", "two") as (address, _):
        printed = ended(on_workers(clones, address))
    assert "5 of 5 states are known" in printed
    assert experiments(hub).items() >= there.items()
    assert experiments(clones["driver"]) == experiments(hub)


def remotes(service: str, tmp_path: Path) -> dict[str, tuple[Callable[[], object], Callable[[], object], str]]:
    """What lets DVC's and git's remote refuse, and accept again, and how the driver's line about it begins."""
    import boto3

    bucket, hook = boto3.resource("s3", endpoint_url=service).Bucket("team"), tmp_path / "hub.git/hooks/pre-receive"

    def empty_and_remove() -> None:
        bucket.objects.delete()
        bucket.delete()

    def refuse() -> None:
        hook.parent.mkdir(exist_ok=True)
        hook.write_text("#!/bin/sh\necho no more room for you >&2\nexit 1\n")
        hook.chmod(0o755)

    return {
        "dvc": (empty_and_remove, bucket.create, "Error: dvc push .*: The specified bucket does not exist.*; what is"),
        "git": (refuse, hook.unlink, "Error: some-1: git push: .*no more room for you.*; what is"),
    }


@pytest.mark.parametrize("kind", ["dvc", "git"])
def test_a_remote_that_refuses_costs_one_line_and_no_training(
    clones: dict[str, Path], service: str, tmp_path: Path, kind: str
) -> None:
    refuse, accept, line = remotes(service, tmp_path)[kind]
    (clones["driver"] / "sweeps/some.yaml").write_text(GRID.replace("[4, 16]", "[4]").replace("{1: 4, 3: 1}", "{1: 2}"))
    refuse()
    with cluster(clones, "one") as (address, _):
        driver = on_workers(clones, address)
        lines = ended(driver).splitlines()
        assert driver.returncode == 1
        made = next(clones["one"].glob(".autoencoder/sweep/some/1"), clones["one"])
        (commit,) = re.findall(r"(\w+) commit\t\S+/some-1\n", run("git", "for-each-ref", "refs/exps", cwd=made).stdout)
        accept()
        printed = ended(on_workers(clones, address))
    assert lines[0] == "some: 0 states known, 2 to train"
    assert len(lines) == 2
    assert re.match(line, lines[1])
    assert "2 of 2 states are known" in printed
    assert commit == experiments(tmp_path / "hub.git")["some-1"]


def test_a_state_of_which_workers_die_ends_the_search_in_one_line(
    clones: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES", "0")
    with cluster(clones, "one") as (address, processes):
        driver = on_workers(clones, address)
        wait_for(lambda: any(clones["one"].glob(".autoencoder/sweep/some/*.log")), driver)
        os.killpg(processes["one"].pid, signal.SIGKILL)
        lines = ended(driver).splitlines()
    assert driver.returncode == 1
    assert len(lines) == 2
    assert re.match(rf"Error: --engine dask:{address}: .* was the last of 1 workers that died of it; what is", lines[1])


def wait_for(condition: Callable[[], object], process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 280
    while not condition():
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.2)
