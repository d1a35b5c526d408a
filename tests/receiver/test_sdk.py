"""The stock OpenTelemetry SDK for Python as the client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from exporter import Overloaded, Unavailable
from tests.receiver.conftest import Rig

Make = Callable[[type[Any], str], Any]
SHORT = 0.05
"""Shorter than an SDK's own first backoff of about a second, by which the two are told apart."""


def span_through(exporter: Any) -> None:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    provider.get_tracer("test").start_span("GET /").end()
    provider.shutdown()


def log_through(exporter: Any) -> None:
    provider = LoggerProvider()
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    provider.get_logger("test").emit(body="hello", severity_text="INFO")
    provider.shutdown()


def metric_through(exporter: Any) -> None:
    provider = MeterProvider([PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)])
    provider.get_meter("test").create_gauge("temperature").set(21)
    provider.shutdown()


WAYS = {
    "grpc-traces": (GrpcSpans, span_through, "traces"),
    "grpc-logs": (GrpcLogs, log_through, "logs"),
    "grpc-metrics": (GrpcMetrics, metric_through, "metrics"),
    "http-traces": (HttpSpans, span_through, "traces"),
    "http-logs": (HttpLogs, log_through, "logs"),
    "http-metrics": (HttpMetrics, metric_through, "metrics"),
}


@pytest.fixture(autouse=True)
def _sdk_telemetry_off(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_SDK_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    return iter(())


@pytest.fixture
def make(request: pytest.FixtureRequest) -> Make:
    """Makes an SDK's exporter against the receiver of its transport."""

    def make(kind: type[Any], signal: str) -> Any:
        if ".grpc." in kind.__module__:
            return kind(endpoint=grpc_receiver.endpoint, insecure=True)
        return kind(endpoint=f"http://{http_receiver.endpoint}/v1/{signal}")

    grpc_receiver = request.getfixturevalue("grpc_receiver")
    http_receiver = request.getfixturevalue("http_receiver")
    return make


@pytest.mark.parametrize(("kind", "emit", "signal"), WAYS.values(), ids=WAYS)
async def test_sdk_record_reaches_exporter(
    rig: Rig, make: Make, kind: type[Any], emit: Callable[[Any], None], signal: str
) -> None:
    await asyncio.to_thread(emit, make(kind, signal))

    (batch,) = rig.exporter.batches
    assert (batch.signal.name, batch.records) == (signal, 1)


async def test_sdk_over_grpc_comes_back_when_retry_info_says(
    rig: Rig, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("receiver.errors.describe.__defaults__", (lambda: 0.0, lambda most: most))
    rig.exporter.run(Unavailable("MongoDB is away", SHORT), Overloaded("full", SHORT), Unavailable("away", SHORT))

    async with asyncio.timeout(2.0):  # the SDK's own backoff would be 1 + 2 + 4 seconds
        await asyncio.to_thread(span_through, make(GrpcSpans, "traces"))

    assert len(rig.exporter.batches) == 1


async def test_sdk_over_http_comes_back_after_unavailable_and_overloaded(rig: Rig, make: Make) -> None:
    rig.exporter.run(Unavailable("MongoDB is away", SHORT), Overloaded("full", SHORT))

    await asyncio.to_thread(span_through, make(HttpSpans, "traces"))

    assert len(rig.exporter.batches) == 1
