"""Sending the telemetry with the SDK's own OTLP exporters."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

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

# The sidecar is on this machine, whatever http_proxy says.
_DIRECT = (("grpc.enable_http_proxy", 0),)

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
    options: dict[str, Any] = {
        "insecure": True,
        "timeout": _TIMEOUT,
        "compression": grpc.Compression.Gzip,
        "channel_options": _DIRECT,
    }
    spans = grpc_traces.OTLPSpanExporter(endpoint, **options)
    logs = grpc_logs.OTLPLogExporter(endpoint, **options)
    metrics = grpc_metrics.OTLPMetricExporter(endpoint, **options)
    return {
        "spans": lambda: spans.export(telemetry.spans),
        "log records": lambda: logs.export(telemetry.logs),
        "metrics": lambda: metrics.export(telemetry.metrics),
    }


def _over_http(telemetry: Telemetry, url: str) -> _Exports:
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = "*"  # this process does nothing else
    spans = http_traces.OTLPSpanExporter(f"{url}/v1/traces", timeout=_TIMEOUT)
    logs = http_logs.OTLPLogExporter(f"{url}/v1/logs", timeout=_TIMEOUT)
    metrics = http_metrics.OTLPMetricExporter(f"{url}/v1/metrics", timeout=_TIMEOUT)
    return {
        "spans": lambda: spans.export(telemetry.spans),
        "log records": lambda: logs.export(telemetry.logs),
        "metrics": lambda: metrics.export(telemetry.metrics),
    }
