"""`otlp-mongo check` beside what runs already, and what other commands say of a MongoDB that is not there."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.port_owner import owner_of
from tests.end_to_end.process import Program

_COMMAND = [sys.executable, "-c", "from sidecar.cli import main; main()"]


def _environment(folder: Path, **variables: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OTLP_MONGO_", "MONGODB_"))}
    return inherited | {"OTLP_MONGO_DATA_DIR": str(folder / "data"), "OTLP_MONGO_START_TIMEOUT": "5s"} | variables


def _run(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    variables = _environment(folder, **variables)
    return subprocess.run(
        [*_COMMAND, *arguments], capture_output=True, text=True, cwd=folder, env=variables, timeout=50
    )


@pytest.fixture
def ports() -> dict[str, str]:
    """Endpoints on ports that were free a moment ago."""
    names = ("OTLP_MONGO_GRPC_ENDPOINT", "OTLP_MONGO_HTTP_ENDPOINT", "OTLP_MONGO_ADMIN_ENDPOINT")
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in names]
    found = {name: f"127.0.0.1:{bound.getsockname()[1]}" for name, bound in zip(names, sockets, strict=True)}
    for bound in sockets:
        bound.close()
    return found


@pytest.fixture
def pid(mongodb_uri: str, database_name: str, tmp_path: Path, ports: dict[str, str]) -> Iterator[int]:
    """The process of a sidecar that runs in `tmp_path` on `ports`."""
    variables = _environment(tmp_path, MONGODB_URI=mongodb_uri, MONGODB_DATABASE=database_name, **ports)
    with Program([Path(sys.executable).parent / "otlp-mongo", "serve"], variables, tmp_path) as program:
        program.line(lambda line: line.get("message") == "ready")
        yield json.loads((tmp_path / "data" / "sidecar.json").read_text())["pid"]


@pytest.mark.integration
def test_check_beside_the_running_sidecar_is_all_ok(
    tmp_path: Path, mongodb_uri: str, database_name: str, ports: dict[str, str], pid: int
) -> None:
    result = _run(tmp_path, "check", MONGODB_URI=mongodb_uri, MONGODB_DATABASE=database_name, **ports)

    lines = result.stdout.splitlines()
    assert result.returncode == 0, result.stdout
    assert all(line.startswith("ok ") for line in lines), result.stdout
    assert len([line for line in lines if line.endswith(f"in use by the running sidecar, process {pid}")]) == 4


@pytest.mark.integration
def test_check_with_another_data_folder_names_the_sidecar_on_the_port(
    tmp_path: Path, mongodb_uri: str, ports: dict[str, str], pid: int
) -> None:
    (tmp_path / "other").mkdir()

    result = _run(tmp_path / "other", "check", MONGODB_URI=mongodb_uri, **ports)

    failed = [line for line in result.stdout.splitlines() if line.startswith("FAILED")]
    assert result.returncode == 1
    assert [line.split(":")[0] for line in failed] == [
        "FAILED   gRPC endpoint",
        "FAILED   HTTP endpoint",
        "FAILED   admin endpoint",
    ]
    assert all(f"it is process {pid} (" in line and "otlp-mongo" in line for line in failed)


def test_owner_of_a_port_of_our_own_is_this_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        owner = owner_of(listener.getsockname()[1])

    assert owner.startswith(f"process {os.getpid()} (")


def test_owner_of_a_free_port_is_nobody(unused_tcp_port: int) -> None:
    assert owner_of(unused_tcp_port) == ""


@pytest.mark.parametrize("as_json", [False, True])
def test_buffer_status_without_sidecar_and_mongodb_says_down_and_why(tmp_path: Path, as_json: bool) -> None:
    arguments = ["buffer", "status", *(["--json"] if as_json else [])]

    result = _run(tmp_path, *arguments, MONGODB_URI="mongodb://127.0.0.1:1/")

    assert result.returncode == 0, result.stderr
    assert "nothing listens there" in result.stdout
    assert " up " not in result.stdout
    assert not as_json or json.loads(result.stdout)["destinations"][0]["healthy"] is False


@pytest.mark.integration
def test_buffer_status_without_sidecar_asks_a_mongodb_that_is_there(tmp_path: Path, mongodb_uri: str) -> None:
    result = _run(tmp_path, "buffer", "status", MONGODB_URI=mongodb_uri)

    assert result.stdout.splitlines()[1].split()[:2] == ["local", "up"]


@pytest.mark.parametrize(
    "command", [["serve"], ["init"], ["check"], ["config"], ["buffer", "status"], ["dead-letters", "list"]]
)
def test_any_command_with_a_tls_file_that_is_not_there_has_one_line_that_names_the_option(
    tmp_path: Path, command: str
) -> None:
    result = _run(
        tmp_path, *command, MONGODB_URI="mongodb://app:hunter2@127.0.0.1:1/?tls=true&tlsCAFile=/nowhere/ca.pem"
    )

    assert result.returncode == 2
    assert result.stderr.startswith("otlp-mongo: MONGODB_URI: got mongodb://***@127.0.0.1:1/")
    assert "its option tlsCAFile names '/nowhere/ca.pem', which cannot be read" in result.stderr
    assert result.stderr.count("\n") == 1
    assert "hunter2" not in result.stdout + result.stderr


@pytest.mark.parametrize(("password", "other"), [("e", "zzzzzz"), ("a/b@c", "@@")])
def test_output_of_check_is_the_same_whatever_the_password(tmp_path: Path, password: str, other: str) -> None:
    """So it tells nothing about it. tests/exporter/mongodb/test_secrets.py does it with any password."""
    outputs = set()
    for text in (password, other):
        uri = f"mongodb://app:{text}@127.0.0.1:1/"
        done = _run(tmp_path, "check", MONGODB_URI=uri, OTLP_MONGO_START_TIMEOUT="100ms")
        outputs.add(done.stdout + done.stderr)

    assert len(outputs) == 1


def test_check_retention_without_index_creation_is_warned_of(tmp_path: Path) -> None:
    result = _run(
        tmp_path,
        "check",
        MONGODB_URI="mongodb://127.0.0.1:1/",
        OTLP_MONGO_START_TIMEOUT="100ms",
        OTLP_MONGO_CREATE_INDEXES="false",
        OTLP_MONGO_RETENTION_LOGS="7d",
    )

    assert "warning  settings: OTLP_MONGO_RETENTION_LOGS: without effect" in result.stdout
