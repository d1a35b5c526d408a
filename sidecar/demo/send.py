"""Sending the telemetry with the SDK's own OTLP exporters."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from enum import Enum

import grpc
from opentelemetry.exporter.otlp.proto.grpc import _log_exporter as grpc_logs
from opentelemetry.exporter.otlp.proto.grpc import metric_exporter as grpc_metrics
from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as grpc_traces
from opentelemetry.exporter.otlp.proto.http import _log_exporter as http_logs
from opentelemetry.exporter.otlp.proto.http import metric_exporter as http_metrics
from opentelemetry.exporter.otlp.proto.http import trace_exporter as http_traces

from sidecar.demo.shop import Telemetry
from sidecar.errors import UserError

_Exports = Mapping[str, Callable[[], Enum]]

_TIMEOUT = 10
"""Seconds for each export, the SDK's retries included."""


class DemoFailed(UserError):
    """The sidecar did not take the demo's telemetry."""


def send(telemetry: Telemetry, *, grpc_endpoint: str | None, http_endpoint: str | None) -> str:
    """Export all three signals, over gRPC if it has an endpoint, else over HTTP. Returns where to, for people.

    Raises:
        DemoFailed: the sidecar did not take one of them.
    """
    # The exporters log each try; the outcome is told once, below.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    if grpc_endpoint:
        target, exports = grpc_endpoint, _over_grpc(telemetry, grpc_endpoint)
    else:
        target = f"http://{http_endpoint}"
        exports = _over_http(telemetry, target)
    for what, export in exports.items():
        if export().name != "SUCCESS":
            raise DemoFailed(f"the sidecar on {target} did not take the demo's {what}: see its log")
    return target


def _over_grpc(telemetry: Telemetry, endpoint: str) -> _Exports:
    gzip = grpc.Compression.Gzip
    spans = grpc_traces.OTLPSpanExporter(endpoint, insecure=True, timeout=_TIMEOUT, compression=gzip)
    logs = grpc_logs.OTLPLogExporter(endpoint, insecure=True, timeout=_TIMEOUT, compression=gzip)
    metrics = grpc_metrics.OTLPMetricExporter(endpoint, insecure=True, timeout=_TIMEOUT, compression=gzip)
    return {
        "spans": lambda: spans.export(telemetry.spans),
        "log records": lambda: logs.export(telemetry.logs),
        "metrics": lambda: metrics.export(telemetry.metrics),
    }


def _over_http(telemetry: Telemetry, url: str) -> _Exports:
    spans = http_traces.OTLPSpanExporter(f"{url}/v1/traces", timeout=_TIMEOUT)
    logs = http_logs.OTLPLogExporter(f"{url}/v1/logs", timeout=_TIMEOUT)
    metrics = http_metrics.OTLPMetricExporter(f"{url}/v1/metrics", timeout=_TIMEOUT)
    return {
        "spans": lambda: spans.export(telemetry.spans),
        "log records": lambda: logs.export(telemetry.logs),
        "metrics": lambda: metrics.export(telemetry.metrics),
    }
