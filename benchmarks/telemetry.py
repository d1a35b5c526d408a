"""Realistic telemetry: what an HTTP service that calls a database sends, by OpenTelemetry's semantic conventions."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

EPOCH = 1_700_000_000_000_000_000
"""Unix nanoseconds about which the times lie."""

Scalar = str | int | float | bool


def _attribute(key: str, value: Scalar) -> KeyValue:
    match value:
        case bool():
            return KeyValue(key=key, value=AnyValue(bool_value=value))
        case int():
            return KeyValue(key=key, value=AnyValue(int_value=value))
        case float():
            return KeyValue(key=key, value=AnyValue(double_value=value))
        case str():
            return KeyValue(key=key, value=AnyValue(string_value=value))


def _attributes(values: dict[str, Scalar]) -> list[KeyValue]:
    return [_attribute(key, value) for key, value in values.items()]


def _resource(rng: random.Random) -> Resource:
    service = rng.choice(("checkout", "payment", "catalogue", "shipping"))
    return Resource(
        attributes=_attributes(
            {
                "service.name": service,
                "service.version": f"1.{rng.randrange(40)}.{rng.randrange(10)}",
                "service.instance.id": f"{rng.getrandbits(64):016x}",
                "deployment.environment.name": "production",
                "telemetry.sdk.language": "python",
                "telemetry.sdk.name": "opentelemetry",
                "telemetry.sdk.version": "1.38.0",
                "cloud.region": "eu-central-1",
            }
        )
    )


def _scope(rng: random.Random) -> InstrumentationScope:
    name = rng.choice(("fastapi", "asyncpg", "httpx"))
    return InstrumentationScope(name=f"opentelemetry.instrumentation.{name}", version="0.59b0")


def _traces(rng: random.Random, records: int) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add(resource=_resource(rng))
    scope_spans = resource_spans.scope_spans.add(scope=_scope(rng))
    trace_id, parent = b"", b""
    for index in range(records):
        if index % 8 == 0:  # spans of a trace
            trace_id, parent = rng.randbytes(16), b""
        span = _span(rng, trace_id, parent)
        scope_spans.spans.append(span)
        parent = parent or span.span_id
    return request


def _span(rng: random.Random, trace_id: bytes, parent: bytes) -> Span:
    start = EPOCH + rng.randrange(1_000_000_000)
    method, status = rng.choice(("GET", "GET", "POST", "PUT")), rng.choice((200, 200, 200, 201, 404, 500))
    item = rng.randrange(1_000_000)
    failed = status >= 500
    return Span(
        trace_id=trace_id,
        span_id=rng.randbytes(8),
        parent_span_id=parent,
        flags=0x101,
        name=f"{method} /v1/orders/{{order_id}}",
        kind=rng.choice((Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT, Span.SPAN_KIND_INTERNAL)),
        start_time_unix_nano=start,
        end_time_unix_nano=start + rng.randrange(100_000, 400_000_000),
        status=Status(code=Status.STATUS_CODE_ERROR, message="internal error") if failed else Status(),
        attributes=_attributes(
            {
                "http.request.method": method,
                "http.response.status_code": status,
                "http.route": "/v1/orders/{order_id}",
                "url.path": f"/v1/orders/{item}",
                "server.address": f"10.0.{rng.randrange(256)}.{rng.randrange(256)}",
                "server.port": 8080,
                "user_agent.original": rng.choice(("python-httpx/0.28.1", "okhttp/4.12.0", "curl/8.5.0")),
                "app.cart.value": round(rng.uniform(1, 900), 2),
                "app.customer.new": rng.random() < 0.2,
                "app.cart.items": rng.randrange(100),
            }
        ),
    )


def _logs(rng: random.Random, records: int) -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    resource_logs = request.resource_logs.add(resource=_resource(rng))
    scope_logs = resource_logs.scope_logs.add(scope=_scope(rng))
    scope_logs.log_records.extend(_log_record(rng) for _ in range(records))
    return request


def _log_record(rng: random.Random) -> LogRecord:
    time = EPOCH + rng.randrange(1_000_000_000)
    severity, text = rng.choice(((5, "DEBUG"), (9, "INFO"), (9, "INFO"), (13, "WARN"), (17, "ERROR")))
    order = rng.randrange(1_000_000)
    body = f"order {order} of customer {rng.randrange(10_000)} priced in {rng.uniform(0.1, 90):.1f} ms, now shipping"
    return LogRecord(
        time_unix_nano=time,
        observed_time_unix_nano=time + rng.randrange(1_000_000),
        severity_number=severity,  # type: ignore[arg-type]  # an enum's number is a number
        severity_text=text,
        body=AnyValue(string_value=body),
        trace_id=rng.randbytes(16),
        span_id=rng.randbytes(8),
        flags=1,
        attributes=_attributes(
            {
                "code.file.path": "/app/orders/pricing.py",
                "code.function.name": "orders.pricing.price",
                "code.line.number": rng.randrange(1, 400),
                "thread.name": f"worker-{rng.randrange(8)}",
                "app.order.id": order,
            }
        ),
    )


def _metrics(rng: random.Random, records: int) -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    resource_metrics = request.resource_metrics.add(resource=_resource(rng))
    scope_metrics = resource_metrics.scope_metrics.add(scope=_scope(rng))
    kinds = (_sum, _gauge, _histogram, _sum, _gauge, _histogram, _exponential_histogram)
    for index, first in enumerate(range(0, records, 5)):  # five points, one per route, make a metric
        scope_metrics.metrics.append(kinds[index % len(kinds)](rng, min(5, records - first)))
    return request


def _point(rng: random.Random) -> dict[str, Any]:
    return {
        "start_time_unix_nano": EPOCH - 60_000_000_000,
        "time_unix_nano": EPOCH + rng.randrange(1_000_000_000),
        "attributes": _attributes(
            {
                "http.request.method": rng.choice(("GET", "POST")),
                "http.response.status_code": rng.choice((200, 201, 404, 500)),
                "http.route": rng.choice(("/v1/orders", "/v1/orders/{order_id}", "/v1/carts/{cart_id}")),
                "network.protocol.version": "1.1",
            }
        ),
    }


def _sum(rng: random.Random, points: int) -> metrics_pb2.Metric:
    data = metrics_pb2.Sum(aggregation_temporality=metrics_pb2.AGGREGATION_TEMPORALITY_CUMULATIVE, is_monotonic=True)
    for _ in range(points):
        data.data_points.add(as_int=rng.randrange(1_000_000), **_point(rng))
    return metrics_pb2.Metric(name="app.orders.placed", unit="{order}", description="Orders placed", sum=data)


def _gauge(rng: random.Random, points: int) -> metrics_pb2.Metric:
    data = metrics_pb2.Gauge()
    for _ in range(points):
        data.data_points.add(as_double=rng.uniform(0, 1), **_point(rng))
    return metrics_pb2.Metric(name="process.cpu.utilization", unit="1", gauge=data)


def _histogram(rng: random.Random, points: int) -> metrics_pb2.Metric:
    data = metrics_pb2.Histogram(aggregation_temporality=metrics_pb2.AGGREGATION_TEMPORALITY_CUMULATIVE)
    bounds = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]
    for _ in range(points):
        counts = [rng.randrange(1000) for _ in range(len(bounds) + 1)]
        data.data_points.add(
            count=sum(counts),
            sum=rng.uniform(1, 1000),
            min=0.001,
            max=rng.uniform(1, 9),
            explicit_bounds=bounds,
            bucket_counts=counts,
            **_point(rng),
        )
    return metrics_pb2.Metric(name="http.server.request.duration", unit="s", histogram=data)


def _exponential_histogram(rng: random.Random, points: int) -> metrics_pb2.Metric:
    data = metrics_pb2.ExponentialHistogram(aggregation_temporality=metrics_pb2.AGGREGATION_TEMPORALITY_DELTA)
    for _ in range(points):
        counts = [rng.randrange(100) for _ in range(20)]
        data.data_points.add(
            count=sum(counts),
            sum=rng.uniform(1, 1000),
            scale=3,
            positive={"offset": -5, "bucket_counts": counts},
            **_point(rng),
        )
    return metrics_pb2.Metric(name="db.client.operation.duration", unit="s", exponential_histogram=data)


REQUESTS: Mapping[str, Callable[[random.Random, int], Message]] = {
    "traces": _traces,
    "logs": _logs,
    "metrics": _metrics,
}
"""Makers of an export request of so many records, by the signal's name."""
