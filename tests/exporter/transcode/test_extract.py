from __future__ import annotations

import pytest
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Gauge,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from exporter.signals import LOGS, METRICS, TRACES, Signal
from exporter.transcode.extract import extract

RESOURCE = Resource(attributes=[KeyValue(key="service.name", value=AnyValue(string_value="shop"))])
SCOPE = InstrumentationScope(name="scope", version="1")


def traces(*names: str) -> Message:
    spans = [Span(name=name) for name in names]
    scope_spans = ScopeSpans(scope=SCOPE, schema_url="s", spans=spans)
    return ExportTraceServiceRequest(resource_spans=[ResourceSpans(resource=RESOURCE, scope_spans=[scope_spans])])


def logs(*names: str) -> Message:
    records = [LogRecord(event_name=name) for name in names]
    scope_logs = ScopeLogs(scope=SCOPE, log_records=records)
    return ExportLogsServiceRequest(resource_logs=[ResourceLogs(schema_url="r", scope_logs=[scope_logs])])


def metrics(*counts: int) -> Message:
    """A gauge with the first point, a metric without data, and a sum with the other points."""
    points = [NumberDataPoint(as_int=count) for count in counts]
    summed = [point for point in points if point.as_int]
    found = [Metric(name="gauge", gauge=Gauge(data_points=points[:1]))] if 0 in counts else []
    if len(counts) > 1:
        found.append(Metric(name="empty"))
    if summed:
        found.append(Metric(name="sum", sum=Sum(is_monotonic=True, data_points=summed)))
    return ExportMetricsServiceRequest(resource_metrics=[ResourceMetrics(scope_metrics=[ScopeMetrics(metrics=found)])])


@pytest.mark.parametrize(
    ("signal", "request_", "singles"),
    [
        (TRACES, traces("a", "b", "c"), [traces("a"), traces("c")]),
        (LOGS, logs("a", "b", "c"), [logs("a"), logs("c")]),
        (METRICS, metrics(0, 1, 2), [metrics(0), metrics(2)]),
    ],
    ids=["traces", "logs", "metrics"],
)
def test_extract_first_and_last_keeps_them_with_all_that_leads_to_them(
    signal: Signal, request_: Message, singles: list[Message]
) -> None:
    payloads = extract(signal, request_.SerializeToString(), {2, 0})

    assert [signal.request.FromString(payload) for payload in payloads] == singles


def test_extract_invalid_utf8_is_kept_as_it_was() -> None:
    payload = traces("a").SerializeToString().replace(b"shop", b"sh\xffp")

    (single,) = extract(TRACES, payload, {0})

    assert b"sh\xffp" in single
