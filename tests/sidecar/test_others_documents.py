"""Documents of other programs in our collections, and collections that somebody drops, from the outside."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from tests.end_to_end.process import Program
from tests.end_to_end.wire import send_http

pytestmark = pytest.mark.integration

_OTLP_MONGO = Path(sys.executable).parent / "otlp-mongo"
_FOREIGN: list[dict[str, Any]] = [
    {"_id": 1, "signal": "traces", "reason": "an order that failed"},
    {"_id": "a", "time": datetime(2020, 1, 1, tzinfo=UTC), "payload": b"precious"},
    {"text": "a note", "time": datetime(2020, 1, 1, tzinfo=UTC)},
]


@pytest.fixture
def store(mongodb_uri: str, database_name: str) -> Iterator[Database[dict[str, Any]]]:
    with MongoClient[dict[str, Any]](mongodb_uri) as client:
        yield client[database_name]
        client.drop_database(database_name)


@pytest.fixture
def environment(mongodb_uri: str, database_name: str, tmp_path: Path) -> dict[str, str]:
    ports = {f"OTLP_MONGO_{name}_ENDPOINT": "127.0.0.1:0" for name in ("GRPC", "HTTP", "ADMIN")}
    return {
        **ports,
        "MONGODB_URI": mongodb_uri,
        "MONGODB_DATABASE": database_name,
        "OTLP_MONGO_DATA_DIR": str(tmp_path / "data"),
    }


def _run(folder: Path, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [_OTLP_MONGO, *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, **environment},
        timeout=50,
    )


@pytest.mark.parametrize("command", [("list",), ("replay", "--all"), ("purge", "--all")], ids=lambda args: args[0])
def test_dead_letters_command_leaves_documents_of_others_and_says_so(
    store: Database[dict[str, Any]], environment: dict[str, str], tmp_path: Path, command: tuple[str, ...]
) -> None:
    store.dead_letters.insert_many([dict(document) for document in _FOREIGN])

    result = _run(tmp_path, environment, "dead-letters", *command)

    assert result.returncode == 0, result.stderr
    assert "3 documents of other programs in dead_letters were left alone" in result.stderr
    assert "an order" not in result.stdout
    assert store.dead_letters.count_documents({}) == 3


def test_init_puts_no_ttl_on_documents_of_others_but_does_the_rest(
    store: Database[dict[str, Any]], environment: dict[str, str], tmp_path: Path
) -> None:
    store.logs.insert_many([dict(document) for document in _FOREIGN])
    retention = {f"OTLP_MONGO_RETENTION_{name}": "7d" for name in ("SPANS", "LOGS", "METRICS")}

    result = _run(tmp_path, {**environment, **retention}, "init")

    assert result.returncode == 1
    assert "'logs' holds documents of another program" in result.stderr
    assert "Traceback" not in result.stderr
    assert "otlp_mongo_ttl" not in store.logs.index_information()
    assert "traceId_1" in store.logs.index_information()
    for name in ("spans", "metrics"):
        assert "otlp_mongo_ttl" in store[name].index_information()


@pytest.mark.timeout(150)
def test_serve_after_the_database_was_dropped_makes_indexes_and_ttl_again(
    store: Database[dict[str, Any]], environment: dict[str, str], tmp_path: Path
) -> None:
    retention = {"OTLP_MONGO_RETENTION_LOGS": "7d"}
    body = b'{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": "1", "body": {"stringValue": "a"}}]}]}]}'

    def has_all() -> bool:
        return {"otlp_mongo_ttl", "traceId_1"} <= set(store.logs.index_information())

    with Program([_OTLP_MONGO, "serve"], {**environment, **retention}, tmp_path) as program:
        ready = program.line(lambda line: line.get("message") == "ready")
        _await(has_all)
        store.client.drop_database(store.name)
        answer = send_http(ready["http"], "/v1/logs", body, "application/json")
        _await(has_all, seconds=90)
        exit_code = program.stop()

    assert (answer.status, exit_code) == (200, 0)


def _await(condition: Any, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
