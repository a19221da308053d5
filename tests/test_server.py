"""MLflow's server on the workspace's store: for this machine alone, unless a password is set."""

import shutil
import socket
from pathlib import Path
from urllib.request import urlopen

import pytest
from conftest import ROOT
from servers import serving, status

from autoencoder.errors import UserError
from autoencoder.tracking import server


def test_the_store_is_the_databases_of_the_repository_also_in_an_experiments_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert server.uri() == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("DVC_ROOT", "/repository")
    assert server.uri() == "sqlite:////repository/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://host/db")
    assert server.uri() == "postgresql://host/db"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://me:p@ss@host:80/path: no answer", "http://host:80/path: no answer"),
        ("postgresql://host/db?user=me&password=secret&port=1", "postgresql://host/db?user=me&password=…&port=1"),
        ("sqlite:////tmp/mlflow.db", "sqlite:////tmp/mlflow.db"),
        ("write to me@example.org", "write to me@example.org"),
    ],
)
def test_passwords_are_left_out_of_what_a_user_is_told(text: str, expected: str) -> None:
    assert str(UserError(text)) == expected


def test_outside_a_repository_no_store_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"dvc.yaml: not found in .*; run from the repository's root"):
        server.command("127.0.0.1", 5000)


def test_an_address_that_is_taken_is_an_error_that_names_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=f"--port {port}: expected a free address"):
            server.check_free("127.0.0.1", port)


def test_the_servers_arguments_hold_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://me:secret@host/db")
    arguments, environment = server.command("127.0.0.1", 5000)
    assert "secret" not in " ".join(arguments)
    assert environment["MLFLOW_BACKEND_STORE_URI"] == "postgresql://me:secret@host/db"


def test_beyond_this_machine_a_password_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in server.AUTHENTICATION:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match=r"--host 0.0.0.0: others can reach it, so a password is needed"):
        server.command("0.0.0.0", 5000)  # noqa: S104
    for name in server.AUTHENTICATION:
        monkeypatch.setenv(name, "long enough a secret")
    assert "basic-auth" in server.command("0.0.0.0", 5000)[0]  # noqa: S104


def test_where_the_store_is_a_server_no_other_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:secret@mlflow.example.org")
    with pytest.raises(UserError, match=r"open https://mlflow.example.org in a browser"):
        server.command("127.0.0.1", 5000)


@pytest.mark.slow
def test_the_ui_answers_under_its_own_names_alone_and_asks_for_a_password_where_one_is_set(tmp_path: Path) -> None:
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    with serving(["autoencoder", "ui"], tmp_path) as url:
        assert status(url) == 200
        assert status(url, Host="localhost:8080") == 200
        assert status(url, Host="10.evil.example") == 403
        with urlopen(f"{url}/ajax-api/3.0/mlflow/ui-telemetry") as answer:
            assert b'"disable_ui_telemetry":true' in answer.read()
    secrets = dict.fromkeys(server.AUTHENTICATION, "correct horse battery")
    with serving(["autoencoder", "ui"], tmp_path, "127.0.0.2", **secrets) as url:
        assert status(url) == 401
