"""The real program before services that are compatible with MongoDB, but not in all."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Gauge, Metric, NumberDataPoint
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from exporter import SIGNALS, Signal
from tests.end_to_end.process import Program
from tests.end_to_end.wire import export_http
from tests.services import COSMOS_DB, PERSONALITIES, Personality, StubServer, serving

pytestmark = pytest.mark.integration

_DATABASE = "otel"
_OTLP_MONGO = Path(sys.executable).parent / "otlp-mongo"
_PATIENCE = 30.0


def _request(signal: Signal, count: int, start: int) -> Any:
    nanos = [1_800_000_000_000_000_000 + start + number for number in range(count)]
    request: Any = signal.request()
    if signal.name == "traces":
        scope = request.resource_spans.add().scope_spans.add()
        scope.spans.extend(Span(name="a", trace_id=b"t" * 16, start_time_unix_nano=nano) for nano in nanos)
    elif signal.name == "logs":
        scope = request.resource_logs.add().scope_logs.add()
        scope.log_records.extend(LogRecord(time_unix_nano=nano, body=AnyValue(string_value="a")) for nano in nanos)
    else:
        scope = request.resource_metrics.add().scope_metrics.add()
        points = [NumberDataPoint(time_unix_nano=nano, as_int=1) for nano in nanos]
        points[0].attributes.append(KeyValue(key="a", value=AnyValue(bool_value=True)))
        scope.metrics.append(Metric(name="m", gauge=Gauge(data_points=points)))
    return request


def _environment(service: StubServer, folder: Path, **variables: str) -> Mapping[str, str]:
    return {
        "MONGODB_URI": service.uri,
        "MONGODB_DATABASE": _DATABASE,
        "OTLP_MONGO_GRPC_ENDPOINT": "127.0.0.1:0",
        "OTLP_MONGO_HTTP_ENDPOINT": "127.0.0.1:0",
        "OTLP_MONGO_ADMIN_ENDPOINT": "127.0.0.1:0",
        "OTLP_MONGO_DATA_DIR": str(folder / "data"),
        **variables,
    }


def _serve(service: StubServer, folder: Path, **variables: str) -> Program:
    return Program([_OTLP_MONGO, "serve"], _environment(service, folder, **variables), folder)


def _await(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _counts(service: StubServer) -> list[int]:
    return [len(service.documents(_DATABASE, name)) for name in ("spans", "metrics", "logs", "dead_letters")]


@pytest.mark.parametrize("personality", PERSONALITIES, ids=lambda personality: personality.name)
def test_serve_same_requests_again_stores_all_once_and_makes_no_dead_letter(
    personality: Personality, tmp_path: Path
) -> None:
    with serving(personality) as service, _serve(service, tmp_path, OTLP_MONGO_RETENTION_SPANS="7d") as program:
        ready = program.line(lambda line: line.get("message") == "ready")
        answers = [
            export_http(ready["http"], signal, _request(signal, 40, 0).SerializeToString())
            for _ in range(3)
            for signal in SIGNALS.values()
        ]
        _await(lambda: _counts(service)[:3] == [40, 40, 40])
        exit_code = program.stop()

        assert [(answer.status, answer.body) for answer in answers] == [(200, b"")] * 9
        assert _counts(service) == [40, 40, 40, 0]
        assert "resource.attributes.service.name_1_startTime_1" in service.indexes(_DATABASE, "spans")
        assert exit_code == 0


def test_serve_throttled_stores_all_in_the_end_and_makes_no_dead_letter(tmp_path: Path) -> None:
    slow = replace(COSMOS_DB, documents_a_second=300)
    with serving(slow) as service, _serve(service, tmp_path) as program:
        ready = program.line(lambda line: line.get("message") == "ready")
        answers = [
            export_http(ready["http"], signal, _request(signal, 100, number * 1000).SerializeToString())
            for number in range(6)
            for signal in SIGNALS.values()
        ]
        _await(lambda: _counts(service)[:3] == [600, 600, 600])
        program.stop()

        assert {(answer.status, answer.body) for answer in answers} == {(200, b"")}
        assert _counts(service) == [600, 600, 600, 0]


@pytest.mark.parametrize("personality", PERSONALITIES, ids=lambda personality: personality.name)
def test_serve_refused_record_makes_one_dead_letter_however_often_it_comes(
    personality: Personality, tmp_path: Path
) -> None:
    with serving(personality) as service:
        service.add_unique_index(_DATABASE, "spans", "name")
        with _serve(service, tmp_path) as program:
            ready = program.line(lambda line: line.get("message") == "ready")
            spans = _request(SIGNALS["traces"], 3, 0).SerializeToString()
            answers = [export_http(ready["http"], SIGNALS["traces"], spans) for _ in range(3)]
            _await(lambda: _counts(service) == [1, 0, 0, 2])
            program.stop()

        assert [answer.status for answer in answers] == [200] * 3
        assert _counts(service) == [1, 0, 0, 2]


@pytest.mark.parametrize("personality", PERSONALITIES, ids=lambda personality: personality.name)
def test_init_makes_what_the_service_has_and_says_what_it_has_not(personality: Personality, tmp_path: Path) -> None:
    with serving(personality) as service:
        result = subprocess.run(
            [_OTLP_MONGO, "init"],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, **_environment(service, tmp_path, OTLP_MONGO_RETENTION_LOGS="7d")},
            timeout=50,
        )
        logs, spans = service.indexes(_DATABASE, "logs"), service.indexes(_DATABASE, "spans")

    has_ttl = "createIndexes.expireAfterSeconds" not in personality.no_options
    assert {"traceId_1", "resource.attributes.service.name_1_time_1"} <= logs
    assert "traceId_1" in spans
    assert ("otlp_mongo_ttl" in logs) is has_ttl
    assert result.returncode == (0 if has_ttl else 1), result.stderr
    assert ("documents in 'logs' are not kept for 7 days, 0:00:00" in result.stderr) is not has_ttl
    assert ("without the option sparse" in result.stderr) is ("createIndexes.sparse" in personality.no_options)
    assert "cannot be reached" not in result.stderr
    assert "Traceback" not in result.stderr
