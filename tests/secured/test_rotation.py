"""A password that changes while `otlp-mongo serve` runs: the real process, the real MongoDB, no restart."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from tests.end_to_end.process import Program
from tests.secured.conftest import environment
from tests.secured.mongod import ROOT, ROOT_PASSWORD, Mongod

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]
_USER = "rotating"


class Running:
    """A sidecar that takes its URI from a file."""

    def __init__(self, program: Program, endpoint: str, pid: int, file: Path) -> None:
        self.program = program
        self._endpoint = endpoint
        self._pid = pid
        self._file = file

    def write_uri(self, uri: str) -> None:
        """As secrets are mounted: the whole file at once."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(uri)
        fresh.replace(self._file)

    def hang_up(self) -> None:
        os.kill(self._pid, signal.SIGHUP)

    def send(self, name: str) -> None:
        span = {"traceId": "0" * 31 + "1", "spanId": "0" * 15 + "1", "name": name, "startTimeUnixNano": "1"}
        body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()
        request = urllib.request.Request(
            f"http://{self._endpoint}/v1/traces", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            assert response.status == 200


def _uri(mongod: Mongod, password: str) -> str:
    return f"mongodb://{_USER}:{password}@{mongod.address}/?replicaSet=guarded"


@contextmanager
def _serving(folder: Path, uri: str, database: str) -> Iterator[Running]:
    file = folder / "uri"
    file.write_text(uri)
    variables = environment(folder) | {"MONGODB_URI_FILE": str(file), "MONGODB_DATABASE": database}
    with Program([Path(sys.executable).parent / "otlp-mongo", "serve"], variables, folder) as program:
        ready = program.line(lambda line: line.get("message") == "ready")
        pid = json.loads((folder / "data" / "sidecar.json").read_text())["pid"]
        yield Running(program, ready["http"], pid, file)
        assert program.stop() == 0


@pytest.fixture
def root(guarded: Mongod) -> Iterator[MongoClient[dict[str, Any]]]:
    with guarded.client(f"{ROOT}:{ROOT_PASSWORD}@") as client:
        yield client


@pytest.fixture
def rotating(root: MongoClient[dict[str, Any]], database_name: str) -> Callable[[str], None]:
    """Gives the user a password, by dropping and making it: its connections are not authenticated any more then."""

    def set_password(password: str) -> None:
        if root.admin.command("usersInfo", _USER)["users"]:
            root.admin.command("dropUser", _USER)
        root.admin.command("createUser", _USER, pwd=password, roles=[{"role": "readWrite", "db": database_name}])

    return set_password


def _wait_for(root: MongoClient[dict[str, Any]], database: str, name: str) -> None:
    deadline = time.monotonic() + 40
    while not root[database].spans.find_one({"name": name}):
        assert time.monotonic() < deadline, f"{name} was not stored"
        time.sleep(0.05)


def test_serve_password_changed_in_the_file_is_taken_without_a_restart(
    guarded: Mongod,
    root: MongoClient[dict[str, Any]],
    rotating: Callable[[str], None],
    database_name: str,
    tmp_path: Path,
) -> None:
    rotating("first")
    with _serving(tmp_path, _uri(guarded, "first"), database_name) as running:
        running.send("before")
        _wait_for(root, database_name, "before")

        rotating("second")
        running.write_uri(_uri(guarded, "second"))
        running.send("after")

        _wait_for(root, database_name, "after")
        running.program.line(lambda line: line.get("message") == "connected anew")
        log = (tmp_path / "otlp-mongo.log").read_text()
    assert "first" not in log
    assert "second" not in log.replace("_seconds", "").replace("seconds", "")


def test_serve_password_changed_before_its_file_buffers_until_the_file_follows(
    guarded: Mongod,
    root: MongoClient[dict[str, Any]],
    rotating: Callable[[str], None],
    database_name: str,
    tmp_path: Path,
) -> None:
    rotating("first")
    with _serving(tmp_path, _uri(guarded, "first"), database_name) as running:
        running.send("before")
        _wait_for(root, database_name, "before")

        rotating("second")
        running.send("between")  # acknowledged: it is in the retry buffer
        running.write_uri(_uri(guarded, "second"))

        _wait_for(root, database_name, "between")


def test_serve_sighup_takes_a_new_uri_and_keeps_the_old_one_when_it_is_wrong(
    guarded: Mongod,
    root: MongoClient[dict[str, Any]],
    rotating: Callable[[str], None],
    database_name: str,
    tmp_path: Path,
) -> None:
    rotating("first")
    with _serving(tmp_path, _uri(guarded, "first"), database_name) as running:
        running.send("before")
        running.write_uri(_uri(guarded, "fir@st"))
        running.hang_up()
        refused = running.program.line(lambda line: line.get("what") == "local MongoDB" and "reason" in line)
        running.send("between")

        running.write_uri(_uri(guarded, "first") + "&appName=renewed")
        running.hang_up()
        running.program.line(lambda line: line.get("outcome") == "connected anew")
        running.send("after")

        for name in ("before", "between", "after"):
            _wait_for(root, database_name, name)
        everybody = [{"$currentOp": {"allUsers": True, "idleConnections": True}}]
        names = {operation.get("appName") for operation in root.admin.aggregate(everybody)}
    assert "percent-encoded" in refused["reason"]
    assert "st@" not in str(refused)
    assert "renewed" in names
