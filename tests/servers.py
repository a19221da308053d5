"""Servers for the tests: MLflow's, PostgreSQL, and one that never answers."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def status(url: str, **headers: str) -> int:
    """The HTTP status of a GET request, or 0 without an answer."""
    try:
        with urlopen(Request(url, headers=headers), timeout=5) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code
    except (URLError, TimeoutError, ConnectionError):
        return 0


@contextmanager
def serving(
    command: list[str], folder: Path, host: str = "127.0.0.1", port: int | None = None, **environment: str
) -> Iterator[str]:
    """The address of the server that `command` starts in `folder`, once it answers; it is killed at the end."""
    port = port or free_port()
    url = f"http://{host}:{port}"
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--host", host, "--port", str(port)],
            cwd=folder,
            stdout=log,
            stderr=log,
            env=os.environ | environment,
            start_new_session=True,
        )
    try:
        for _ in range(600):
            if status(f"{url}/health"):
                break
            assert process.poll() is None, (folder / "server.log").read_text()
            time.sleep(0.2)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def postgresql() -> Iterator[str]:
    """The address of a new, empty PostgreSQL database, reached by a socket in a folder of its own."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    assert programs, "expected PostgreSQL in /usr/lib/postgresql; apt-get install postgresql"
    user = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    if user:
        shutil.chown(folder, user, user)
    data = folder / "data"
    initdb = [str(programs[-1] / "initdb"), "--auth=trust", "--username=mlflow", "--no-sync", "-D", str(data)]
    subprocess.run(initdb, check=True, capture_output=True, user=user, cwd=folder)
    command = [str(programs[-1] / "postgres"), "-D", str(data), "-k", str(folder), "-c", "listen_addresses=", "-F"]
    with (data.parent / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, user=user, cwd=folder)
    try:
        for _ in range(100):
            if (data / "postmaster.pid").exists() and "ready" in (data / "postmaster.pid").read_text():
                break
            time.sleep(0.1)
        yield f"postgresql+psycopg2://mlflow@/postgres?host={folder}"
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(folder)


@contextmanager
def black_hole() -> Iterator[str]:
    """The address of a server that accepts connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(100)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def s3(bucket: str) -> Iterator[str]:
    """The address of an S3 service in memory (moto) with an empty bucket."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host.replace('0.0.0.0', '127.0.0.1')}:{port}"  # noqa: S104
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=url, **keys).create_bucket(Bucket=bucket)
    try:
        yield url
    finally:
        server.stop()
