"""Every command of docs/team.md, and a search on two Dask workers with a remote of their own."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT, run
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
    (own_clone / "sweeps/some.yaml").write_text(GRID.replace("{1: 4, 3: 1}", "{20: 4, 40: 1}").replace("32", "4"))
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


def test_a_search_on_two_workers_survives_the_kill_of_one_and_gives_the_same_bytes(
    clones: dict[str, Path], tmp_path: Path
) -> None:
    homes, address = tmp_path / "homes", f"tcp://127.0.0.1:{free_port()}"
    dask = [sys.executable, "-m", "distributed.cli.dask_worker"]
    scheduler = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", address, "--no-dashboard"]
    processes = [background(scheduler, tmp_path, homes / "driver")]
    try:
        for name in ("one", "two"):
            worker = [
                *dask,
                address,
                "--nthreads",
                "1",
                "--no-dashboard",
                "--no-nanny",
                "--local-directory",
                str(homes / name),
            ]
            processes.append(background(worker, clones[name], homes / name))
        search = ["autoencoder", "sweep", "sweeps/some.yaml", "--engine", f"dask:{address}"]
        with (tmp_path / "printed").open("wb") as printed:
            driver = subprocess.Popen(search, cwd=clones["driver"], stdout=printed, stderr=printed)
        wait_for(lambda: any(clones["two"].glob(".autoencoder/sweep/some/states/*/*/*.state")), driver)
        processes[2].send_signal(signal.SIGKILL)  # what it has started lives on
        wait_for(lambda: driver.poll() is not None)
        assert driver.returncode == 0, (tmp_path / "printed").read_text()
    finally:
        for process in processes:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    there = experiments(clones["driver"])
    assert len(there) == 5
    assert experiments(tmp_path / "hub.git") == there

    run("git", "clone", "-q", str(tmp_path / "hub.git"), "local", cwd=tmp_path)
    run("autoencoder", "sweep", "sweeps/some.yaml", "--jobs", "2", cwd=tmp_path / "local", timeout=280)
    local = experiments(tmp_path / "local")
    assert there.keys() == local.keys()
    for name in there:
        assert outputs(clones["driver"], there[name]) == outputs(tmp_path / "local", local[name])


def wait_for(condition, process: "subprocess.Popen[bytes] | None" = None) -> None:
    deadline = time.monotonic() + 280
    while not condition():
        assert time.monotonic() < deadline
        assert process is None or process.poll() is None
        time.sleep(0.2)
