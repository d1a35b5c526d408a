"""Servers that ask who is calling, speak TLS, or both. Each starts once in a worker, when a test first needs it."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from pymongo.server_api import ServerApi

from tests.secured.certificates import CLIENT_SUBJECT, Certificates, make_certificates
from tests.secured.mongod import ROOT, ROOT_PASSWORD, Mongod

Command = Callable[..., subprocess.CompletedProcess[str]]
_TRANSCRIPTS = ("spans", "logs", "metrics", "dead_letters")
_ALL = ["find", "insert", "remove", "createCollection", "createIndex", "dropIndex", "listIndexes", "collMod"]


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    """A replica set of one that asks for users. `USERS` says which there are."""
    folder = tmp_path_factory.mktemp("guarded")
    key = folder / "key"
    key.write_text("0123456789abcdef")
    key.chmod(0o600)
    with Mongod(folder, ["--auth", "--keyFile", key], replica_set="guarded") as mongod:
        with mongod.client() as client:
            client.admin.command("createUser", ROOT, pwd=ROOT_PASSWORD, roles=["root"])
        with mongod.client(f"{ROOT}:{ROOT_PASSWORD}@") as client:
            _add_users(client.admin.command)
        yield mongod


def _add_users(command: Callable[..., object]) -> None:
    def add(name: str, *privileges: tuple[str, list[str]]) -> None:
        listed = [
            {"resource": {"db": "otel", "collection": collection}, "actions": actions}
            for collection, actions in privileges
        ]
        command("createRole", f"{name}-role", privileges=listed, roles=[])
        command("createUser", name, pwd=name, roles=[f"{name}-role"])

    command("createUser", "readwrite", pwd="readwrite", roles=[{"role": "readWrite", "db": "otel"}])
    command("createUser", "reader", pwd="reader", roles=[{"role": "read", "db": "otel"}])
    add("inserter", ("", ["insert"]))
    add("four", *((name, _ALL) for name in _TRANSCRIPTS), ("", ["listCollections"]))
    add("writer", ("", ["find", "insert"]))
    add("no-logs", *((name, ["find", "insert"]) for name in _TRANSCRIPTS if name != "logs"))


@pytest.fixture(scope="session")
def encrypted(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[Mongod]:
    """A standalone that takes TLS only, asks for users, and knows the client certificate's subject as one."""
    tls: list[str | Path] = ["--tlsMode", "requireTLS", "--tlsCertificateKeyFile", certificates.server, "--tlsCAFile"]
    arguments = [*tls, certificates.authority, "--tlsAllowConnectionsWithoutCertificates", "--auth"]
    with Mongod(tmp_path_factory.mktemp("encrypted"), arguments) as mongod:
        with mongod.client(tls=True, tlsCAFile=str(certificates.authority)) as client:
            client.admin.command("createUser", ROOT, pwd=ROOT_PASSWORD, roles=["root"])
        with mongod.client(f"{ROOT}:{ROOT_PASSWORD}@", tls=True, tlsCAFile=str(certificates.authority)) as client:
            roles = [{"role": "readWrite", "db": "otel"}]
            client["$external"].command("createUser", CLIENT_SUBJECT, roles=roles)
            client.admin.command("createUser", "readwrite", pwd="readwrite", roles=roles)
        yield mongod


@pytest.fixture(scope="session")
def expired(certificates: Certificates) -> Iterator[int]:
    """The port of a server whose certificate has expired. mongod refuses to start with one: it is no mongod."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.expired)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_shake_hands, args=(listener, context), daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def _shake_hands(listener: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with suppress(OSError), connection, context.wrap_socket(connection, server_side=True):
            pass


@pytest.fixture(scope="session")
def versioned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    """A server that takes no command without a version of its API."""
    # MongoDB 6 takes the parameter only together with the first one.
    arguments = ["--setParameter", "enableTestCommands=1", "--setParameter", "requireApiVersion=true"]
    with Mongod(tmp_path_factory.mktemp("versioned"), arguments) as mongod:
        mongod.client(server_api=ServerApi("1")).close()
        yield mongod


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Runs `otlp-mongo` with arguments and variables, on addresses that are free."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", "from sidecar.cli import main; main()", *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment(tmp_path) | variables,
            timeout=100,
            stdin=subprocess.DEVNULL,
        )

    return run


def environment(folder: Path) -> dict[str, str]:
    """The variables of a sidecar on free addresses with a data folder of its own."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OTLP_MONGO_", "MONGODB_"))}
    return inherited | {
        "OTLP_MONGO_GRPC_ENDPOINT": "127.0.0.1:0",
        "OTLP_MONGO_HTTP_ENDPOINT": "127.0.0.1:0",
        "OTLP_MONGO_ADMIN_ENDPOINT": "127.0.0.1:0",
        "OTLP_MONGO_DATA_DIR": str(folder / "data"),
        "OTLP_MONGO_START_TIMEOUT": "3s",
    }


def verdict(result: subprocess.CompletedProcess[str]) -> str:
    """What was said of the local MongoDB. Nothing else may fail, and nothing be a traceback."""
    lines = [line for line in result.stdout.splitlines() if " local MongoDB: " in line]
    others = [line for line in result.stdout.splitlines() if line.startswith("FAILED") and line not in lines]
    assert not others
    assert "Traceback" not in result.stdout + result.stderr
    assert (result.returncode == 1) == lines[0].startswith("FAILED")
    return lines[0]
