"""The OTLP signals and all that differs between them: adding a signal is adding an entry to `SIGNALS`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

DEAD_LETTERS = "dead_letters"
"""The collection for records that a destination refused (exporter/delivery/dead_letters.py)."""

IndexKeys = Sequence[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Index:
    """An index of a signal's collection (MongoDB manual, `createIndexes`)."""

    keys: IndexKeys
    sparse: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Signal:
    """One OTLP signal. Signals compare by identity."""

    name: str
    """`traces`: in settings, logs, metrics, and the HTTP path `/v1/<name>`."""
    record: str
    """`span`: what one record of it is called in messages."""
    collection: str
    service: str
    """Full name of the gRPC service; its one method is `Export`."""
    request: type[Message]
    response: type[Message]
    record_path: Sequence[str]
    """The fields (or oneofs) that lead from the request to its records."""
    rejected_field: str
    """Name of the count in the response's `partial_success`."""
    time_field: str
    """The date that TTL and time ranges go by."""
    indexes: Sequence[Index]

    @property
    def http_path(self) -> str:
        return f"/v1/{self.name}"

    @property
    def grpc_method(self) -> str:
        return f"/{self.service}/Export"

    def __repr__(self) -> str:
        return f"Signal({self.name})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (SIGNALS.__getitem__, (self.name,))


TRACES = Signal(
    name="traces",
    record="span",
    collection="spans",
    service="opentelemetry.proto.collector.trace.v1.TraceService",
    request=trace_service_pb2.ExportTraceServiceRequest,
    response=trace_service_pb2.ExportTraceServiceResponse,
    record_path=("resource_spans", "scope_spans", "spans"),
    rejected_field="rejected_spans",
    time_field="startTime",
    indexes=(
        Index([("traceId", 1)]),
        Index([("resource.attributes.service.name", 1), ("startTime", 1)]),
    ),
)

METRICS = Signal(
    name="metrics",
    record="data point",
    collection="metrics",
    service="opentelemetry.proto.collector.metrics.v1.MetricsService",
    request=metrics_service_pb2.ExportMetricsServiceRequest,
    response=metrics_service_pb2.ExportMetricsServiceResponse,
    record_path=("resource_metrics", "scope_metrics", "metrics", "data", "data_points"),
    rejected_field="rejected_data_points",
    time_field="time",
    indexes=(Index([("metric.name", 1), ("time", 1)]),),
)

LOGS = Signal(
    name="logs",
    record="log record",
    collection="logs",
    service="opentelemetry.proto.collector.logs.v1.LogsService",
    request=logs_service_pb2.ExportLogsServiceRequest,
    response=logs_service_pb2.ExportLogsServiceResponse,
    record_path=("resource_logs", "scope_logs", "log_records"),
    rejected_field="rejected_log_records",
    time_field="time",
    indexes=(
        Index([("resource.attributes.service.name", 1), ("time", 1)]),
        Index([("traceId", 1)], sparse=True),
    ),
)

SIGNALS: Mapping[str, Signal] = {signal.name: signal for signal in (TRACES, METRICS, LOGS)}
