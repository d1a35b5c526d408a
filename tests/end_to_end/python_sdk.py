"""The Python SDK as a sender of the shop's telemetry."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from bson import Int64
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.metrics import Observation
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, Span, SpanKind, StatusCode, format_span_id, format_trace_id, set_span_in_context

from tests.end_to_end.shop import SECOND, Interval, Sent

_HOUR_MILLIS = 3_600_000
_HAS_IS_REMOTE = 0x100
"""The one flag that this SDK sets on spans and links (`SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK`)."""


class Exporter(Protocol):
    """What the SDK's exporters of all signals have in common."""

    def export(self, items: Any, /, *args: Any, **kwargs: Any) -> Any: ...


@dataclass
class Exports:
    """Stands between the SDK and its exporters: sends each request `times` times and keeps what was answered."""

    times: int
    answers: list[str] = field(default_factory=list)
    items: list[Any] = field(default_factory=list)

    def watch(self, exporter: Any) -> Any:
        """More than once: what a client does that lost the first answer."""
        send = exporter.export

        def export(items: Any, *args: Any, **kwargs: Any) -> Any:
            self.items.append(items)
            results = [send(items, *args, **kwargs) for _ in range(self.times)]
            self.answers += [result.name for result in results]
            return results[-1]

        exporter.export = export
        return exporter


def send_shop(service: str, exports: Exports, traces: Exporter, metrics: Exporter, logs: Exporter) -> Sent:
    """Send a trace, two log records and five metrics through the SDK's own batching; return once all are answered."""
    resource = Resource({"service.name": service, "host.cpu.count": 2})
    server, client = _send_traces(resource, exports.watch(traces))
    _send_logs(resource, exports.watch(logs), server)
    _send_metrics(resource, exports.watch(metrics))
    return Sent(
        trace_id=format_trace_id(server.get_span_context().trace_id),
        server_span_id=format_span_id(server.get_span_context().span_id),
        client_span_id=format_span_id(client.get_span_context().span_id),
        span_flags=_HAS_IS_REMOTE,
        log_flags=server.get_span_context().trace_flags,
        metrics=dict(_intervals(exports.items[-1])),
        gauge_has_start=False,
        empty_buckets={"negative": {"offset": 0, "counts": [Int64(0)]}},
    )


@contextmanager
def _shut_down(provider: Any) -> Iterator[Any]:
    """Shutting down sends what is still held."""
    try:
        yield provider
    finally:
        provider.shutdown()


def _send_traces(resource: Resource, exporter: Any) -> tuple[Span, Span]:
    with _shut_down(TracerProvider(resource=resource, shutdown_on_exit=False)) as provider:
        provider.add_span_processor(BatchSpanProcessor(exporter))
        tracer = provider.get_tracer("shop", "1.2")
        server = tracer.start_span("GET /cart", Context(), SpanKind.SERVER, start_time=SECOND + 1_500_000)
        server.set_attributes(
            {
                "http.request.method": "GET",
                "http.response.status_code": 200,
                "cache.hit": True,
                "sampling.rate": 0.25,
                "user.roles": ["buyer", "reader"],
                "retry.delays": [1, 2],
            }
        )
        server.add_event("cart loaded", {"cart.items": 3}, SECOND + 2_000_000)
        client = tracer.start_span(
            "find cart",
            set_span_in_context(server, Context()),
            SpanKind.CLIENT,
            links=[Link(server.get_span_context(), {"link.reason": "cause"})],
            start_time=SECOND + 1_600_000,
        )
        client.set_status(StatusCode.ERROR, "timed out")
        client.end(SECOND + 1_700_000)
        server.end(SECOND + 4_000_000)
    return server, client


def _send_logs(resource: Resource, exporter: Any, span: Span) -> None:
    with _shut_down(LoggerProvider(resource, shutdown_on_exit=False)) as provider:
        provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
        logger = provider.get_logger("shop", "1.2")
        logger.emit(
            LogRecord(
                timestamp=SECOND + 2_500_000,
                observed_timestamp=SECOND + 2_600_000,
                context=set_span_in_context(span, Context()),
                severity_number=SeverityNumber.WARN,
                severity_text="WARN",
                body={"reason": "slow", "seen": [1, "two", None, b"\x00\xff"]},
                attributes={"code.lineno": 7, "detail.map": {"inner": {"deep": 1.5}}},
                event_name="cart.slow",
            )
        )
        logger.emit(
            LogRecord(
                timestamp=SECOND + 2_700_000,
                observed_timestamp=SECOND + 2_700_000,
                context=Context(),
                body="plain text",
            )
        )


def _send_metrics(resource: Resource, exporter: Any) -> None:
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=_HOUR_MILLIS)
    views = [View(instrument_name="cart.size", aggregation=ExponentialBucketHistogramAggregation())]
    with _shut_down(MeterProvider([reader], resource, shutdown_on_exit=False, views=views)) as provider:
        meter = provider.get_meter("shop", "1.2")
        meter.create_counter("orders", "{order}", "Orders").add(3, {"shop.id": "a"})
        meter.create_up_down_counter("baskets").add(-1.5)
        meter.create_histogram("latency", "ms", explicit_bucket_boundaries_advisory=[10, 100]).record(42.5)
        meter.create_histogram("cart.size").record(4)
        meter.create_observable_gauge("temperature", [lambda _options: [Observation(21.5)]])


def _intervals(metrics: Any) -> Iterator[tuple[str, Interval]]:
    """The times that the SDK gave the data points, by the metric's name."""
    for resource in metrics.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                (point,) = metric.data.data_points
                yield metric.name, Interval(point.start_time_unix_nano or 0, point.time_unix_nano)
