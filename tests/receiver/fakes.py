"""An exporter of the tests' own, and helpers to make and send payloads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from structlog.testing import capture_logs

from exporter import SIGNALS, Batch, ExportResult, Overloaded, Signal
from receiver.otlp_json import select_converter

TRACES, METRICS, LOGS = SIGNALS["traces"], SIGNALS["metrics"], SIGNALS["logs"]
with capture_logs():
    CONVERTER = select_converter()
"""The JSON converter that an installation has."""


class FakeExporter:
    """Keeps what it takes; fills up, follows a script, waits while it is held, complains about use after close."""

    def __init__(self, capacity: int = 1_000_000) -> None:
        self.batches: list[Batch] = []
        self.script: list[BaseException | ExportResult] = []
        self.entered = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()
        self.waiting = 0
        self.cancelled = 0
        self.closed = False
        self._capacity = capacity

    async def export(self, batch: Batch) -> ExportResult:
        if self.closed:
            raise AssertionError("export after close")
        self.entered.set()
        self.waiting += 1
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.waiting -= 1
        step = self.script.pop(0) if self.script else ExportResult()
        if isinstance(step, BaseException):
            raise step
        if len(self.batches) >= self._capacity:
            raise Overloaded("the exporter is full", retry_after=3.0)
        self.batches.append(batch)
        return step

    def hold(self) -> None:
        self.open.clear()

    def run(self, *steps: BaseException | ExportResult) -> None:
        self.script.extend(steps)

    @property
    def payloads(self) -> list[bytes]:
        return [batch.payload for batch in self.batches]


def spans(names: Iterable[str] = ("GET /",)) -> bytes:
    """A request of one span for each name."""
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for name in names:
        scope.spans.add(name=name, trace_id=b"t" * 16, span_id=b"s" * 8, start_time_unix_nano=1)
    return request.SerializeToString()


def spans_of_size(size: int) -> bytes:
    """A request of one span that is exactly so many bytes long."""
    name = "x" * size
    while (excess := len(spans([name])) - size) > 0:
        name = name[:-excess]
    padding = size - len(spans([name]))
    # Unknown field 1000, a varint of as many bytes as are missing.
    assert padding == 0 or 3 <= padding <= 12, padding
    return spans([name]) + (b"\xc0\x3e" + b"\x80" * (padding - 3) + b"\x00" if padding else b"")


def payload(signal: Signal, text: str = "x") -> bytes:
    """A request of one record of the signal."""
    if signal is TRACES:
        return spans([text])
    if signal is LOGS:
        logs = ExportLogsServiceRequest()
        logs.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=1).body.string_value = text
        return logs.SerializeToString()
    metrics = ExportMetricsServiceRequest()
    metric = metrics.resource_metrics.add().scope_metrics.add().metrics.add(name=text)
    metric.gauge.data_points.add(time_unix_nano=1, as_int=1)
    return metrics.SerializeToString()


async def eventually(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait for what has no event to wait for."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
