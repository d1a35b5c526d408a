from __future__ import annotations

from typing import Any

import grpc
import pytest
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter
from opentelemetry.exporter.otlp.proto.http import Compression as HttpCompression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpanExporter

from tests.end_to_end.python_sdk import Exports, send_shop
from tests.end_to_end.sidecar import Sidecar

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip], ids=["plain", "gzip"])
def test_grpc_each_request_sent_twice_stored_once(
    sidecar: Sidecar, service: str, compression: grpc.Compression
) -> None:
    exports = Exports(times=2)
    options: Any = {"endpoint": f"http://{sidecar.grpc}", "compression": compression}

    sent = send_shop(
        service, exports, GrpcSpanExporter(**options), GrpcMetricExporter(**options), GrpcLogExporter(**options)
    )

    assert exports.answers == ["SUCCESS"] * 6
    sidecar.assert_holds_shop(service, sent)


@pytest.mark.parametrize("compression", [HttpCompression.NoCompression, HttpCompression.Gzip], ids=["plain", "gzip"])
def test_http_each_request_sent_twice_stored_once(sidecar: Sidecar, service: str, compression: HttpCompression) -> None:
    exports = Exports(times=2)
    url = f"http://{sidecar.http}/v1"

    sent = send_shop(
        service,
        exports,
        HttpSpanExporter(f"{url}/traces", compression=compression),
        HttpMetricExporter(f"{url}/metrics", compression=compression),
        HttpLogExporter(f"{url}/logs", compression=compression),
    )

    assert exports.answers == ["SUCCESS"] * 6
    sidecar.assert_holds_shop(service, sent)
