"""What one collection or batch needs stops no other: the whole sidecar from the outside."""

from __future__ import annotations

import gzip
import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span
from pymongo import MongoClient
from pymongo.database import Database

from tests.sidecar.serving import Serving, start

pytestmark = pytest.mark.integration

_SPAN = {"traceId": "01" * 16, "spanId": "02" * 8, "name": "a"}


@pytest.fixture
def database(mongodb_uri: str, database_name: str) -> Iterator[Database[dict[str, Any]]]:
    with MongoClient[dict[str, Any]](mongodb_uri) as client:
        yield client[database_name]
        client.drop_database(database_name)


@contextmanager
def sidecar(folder: Path, uri: str, database: Database[dict[str, Any]]) -> Iterator[Serving]:
    running = start(folder, MONGODB_URI=uri, MONGODB_DATABASE=database.name)
    try:
        running.wait_until_ready()
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait()


def post(running: Serving, path: str, body: bytes, **headers: str) -> int:
    request = urllib.request.Request(f"http://{running.state['http']}{path}", body, headers)
    with urllib.request.urlopen(request, timeout=30) as response:
        return int(response.status)


def send(running: Serving, signal: str, name: str = "a") -> int:
    now = str(time.time_ns())
    log = {"timeUnixNano": now, "body": {"stringValue": "a"}}
    metric = {"name": "m", "gauge": {"dataPoints": [{"timeUnixNano": now, "asInt": "1"}]}}
    span = {**_SPAN, "name": name, "startTimeUnixNano": now}
    bodies = {
        "traces": {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]},
        "logs": {"resourceLogs": [{"scopeLogs": [{"logRecords": [log]}]}]},
        "metrics": {"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]},
    }
    return post(running, f"/v1/{signal}", json.dumps(bodies[signal]).encode(), **{"Content-Type": "application/json"})


def wait(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def backlog(running: Serving) -> dict[str, Any]:
    result = running.command("buffer", "status", "--json")
    (destination,) = json.loads(result.stdout)["destinations"]
    found: dict[str, Any] = destination
    return found


def test_serve_spans_is_a_view_keeps_logs_and_metrics_going(
    tmp_path: Path, mongodb_uri: str, database: Database[dict[str, Any]]
) -> None:
    database.create_collection("spans", viewOn="other", pipeline=[])

    with sidecar(tmp_path, mongodb_uri, database) as running:
        answers = [send(running, signal) for signal in ("traces", "logs", "metrics") * 2]
        stored = [database[name].count_documents({}) for name in ("logs", "metrics")]
        state, shown = backlog(running), running.command("buffer", "status").stdout
        ready = running.get("/readyz")
        metrics = running.get("/metrics")[1]
        database.spans.drop()
        wait(lambda: database.spans.count_documents({}) == 2)

    assert answers == [200] * 6
    assert stored == [2, 2]
    assert state["healthy"] is True
    assert state["backlog"]["batches"] == "2"
    assert [lane["signal"] for lane in state["lanes"] if not lane["healthy"]] == ["traces"]
    assert "traces go to the retry buffer: " in shown
    assert ready[0] == 200
    assert "traces go to the retry buffer" in ready[1]
    assert 'otlp_mongo_exporter_signal_blocked{destination="local",signal="traces"} 1.0' in metrics
    assert 'otlp_mongo_exporter_destination_open{destination="local"} 0.0' in metrics


def test_serve_batch_whose_dead_letters_cannot_be_written_steps_aside(
    tmp_path: Path, mongodb_uri: str, database: Database[dict[str, Any]]
) -> None:
    database.create_collection("spans", validator={"name": {"$ne": "poison"}})
    database.create_collection("dead_letters", viewOn="other", pipeline=[])
    gauge = 'otlp_mongo_exporter_batches_set_aside{destination="local",signal="traces"}'

    with sidecar(tmp_path, mongodb_uri, database) as running:
        answers = [send(running, "traces", name) for name in ("poison", "good", "good")]
        answers.append(send(running, "logs"))
        wait(lambda: f"{gauge} 1.0" in running.get("/metrics")[1])
        stored = database.spans.count_documents({}), database.logs.count_documents({})
        shown = running.command("buffer", "status").stdout
        database.dead_letters.drop()
        wait(lambda: database.dead_letters.count_documents({}) == 1)
        wait(lambda: f"{gauge} 0.0" in running.get("/metrics")[1])

    assert answers == [200] * 4
    assert stored == (2, 1)
    assert "1 batches of traces are set aside" in shown
    assert "dead letters cannot be written" in shown


def test_serve_paused_during_an_outage_live_goes_directly_after_it(
    tmp_path: Path, mongodb_uri: str, database: Database[dict[str, Any]]
) -> None:
    fault = {
        "configureFailPoint": "failCommand",
        "data": {"failCommands": ["insert"], "closeConnection": True, "namespace": f"{database.name}.logs"},
    }

    with sidecar(tmp_path, mongodb_uri, database) as running:
        database.client.admin.command({**fault, "mode": "alwaysOn"})
        during = [send(running, "logs") for _ in range(3)]
        paused = running.command("buffer", "pause")
        database.client.admin.command({**fault, "mode": "off"})
        over = time.monotonic()
        while database.logs.count_documents({}) == 0:
            assert send(running, "logs") == 200
            assert time.monotonic() - over < 15
            time.sleep(0.1)
        waiting = int(backlog(running)["backlog"]["batches"])
        resumed = running.command("buffer", "resume")
        wait(lambda: int(backlog(running)["backlog"]["batches"]) == 0)

    assert during == [200] * 3
    assert paused.returncode == resumed.returncode == 0
    assert waiting >= 3


def test_serve_very_many_empty_records_do_not_hold_up_small_requests(
    tmp_path: Path, mongodb_uri: str, database: Database[dict[str, Any]]
) -> None:
    count = 100_000
    empty = Span(trace_id=bytes([1] * 16), span_id=bytes([2] * 8))
    request = ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=[empty] * count)])])
    body = gzip.compress(request.SerializeToString())

    with sidecar(tmp_path, mongodb_uri, database) as running:
        headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}
        many = post(running, "/v1/traces", body, **headers)
        small = [send(running, signal) for signal in ("traces", "logs", "traces", "logs")]
        stored = database.logs.count_documents({})
        wait(lambda: database.spans.count_documents({}) == count + 2)
        opened = "destination failed" in running.log()

    assert (many, small) == (200, [200] * 4)
    assert stored == 2
    assert not opened
