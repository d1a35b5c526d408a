"""A delivery with all its real parts: retry buffer, MongoDB, transcoder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.metrics.v1.metrics_pb2 import Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span
from prometheus_client import CollectorRegistry
from pymongo.asynchronous.database import AsyncDatabase

from exporter.batch import Batch, BatchFactory
from exporter.buffer import BufferConfig, BufferMetrics, RetryBuffer
from exporter.delivery import Backoff, Delivery, DeliveryConfig, DeliveryMetrics
from exporter.mongodb import MongoConfig, MongoDestination
from exporter.signals import LOGS, METRICS, TRACES
from exporter.telemetry import ExporterMetrics
from exporter.transcode.select import select_transcoder

_TIME = 10**18
_PATIENCE = 30.0
QUICK = Backoff(first=0.02, longest=0.1)


class Rig:
    """One destination with its lanes, and batches to send."""

    def __init__(self, delivery: Delivery, buffer: RetryBuffer, destination: MongoDestination, database: str) -> None:
        self.delivery = delivery
        self.buffer = buffer
        self.destination = destination
        self.database = database
        self.pipeline = delivery.pipelines["local"]
        self.replayer = delivery.replayers["local"]
        self._batches = BatchFactory(select_transcoder("auto"))
        self._numbers = iter(range(1, 1_000_000))

    def spans(self, *names: str) -> Batch:
        spans = [Span(name=name, start_time_unix_nano=_TIME + next(self._numbers)) for name in names]
        request = ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=spans)])])
        return self._batches.make(TRACES, request.SerializeToString())

    def empty_spans(self, count: int) -> Batch:
        """Two bytes each."""
        spans = [Span() for _ in range(count)]
        request = ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=spans)])])
        return self._batches.make(TRACES, request.SerializeToString())

    def logs(self, *bodies: str) -> Batch:
        records = [
            LogRecord(time_unix_nano=_TIME + next(self._numbers), body=AnyValue(string_value=body)) for body in bodies
        ]
        request = ExportLogsServiceRequest(resource_logs=[ResourceLogs(scope_logs=[ScopeLogs(log_records=records)])])
        return self._batches.make(LOGS, request.SerializeToString())

    def metrics(self) -> Batch:
        point = NumberDataPoint(time_unix_nano=_TIME + next(self._numbers), as_int=1)
        metric = Metric(name="m", gauge=Gauge(data_points=[point]))
        request = ExportMetricsServiceRequest(
            resource_metrics=[ResourceMetrics(scope_metrics=[ScopeMetrics(metrics=[metric])])]
        )
        return self._batches.make(METRICS, request.SerializeToString())

    async def send(self, *batches: Batch) -> None:
        """As the receiver does, one after the other."""
        for batch in batches:
            await self.delivery.exporter.export(batch)

    @property
    def waiting(self) -> int:
        """Batches in the buffer."""
        return self.pipeline.backlog.batches

    async def drained(self, seconds: float = _PATIENCE) -> None:
        async with asyncio.timeout(seconds):
            await self.replayer.drained()


async def until(condition: Callable[[], bool], seconds: float = _PATIENCE) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what changes has no event
            await asyncio.sleep(0.005)


@asynccontextmanager
async def rig(
    folder: Path,
    uri: str,
    database: AsyncDatabase[dict[str, Any]],
    config: DeliveryConfig | None = None,
    *,
    timeout: timedelta = timedelta(seconds=15),  # noqa: ASYNC109 - of the MongoDB commands
    registry: CollectorRegistry | None = None,
) -> AsyncIterator[Rig]:
    registry = registry or CollectorRegistry()
    mongo = MongoConfig("local", uri, database.name, app_name=database.name, timeout=timeout)
    destination = MongoDestination(mongo, ExporterMetrics(registry))
    await destination.connect()
    buffer = await RetryBuffer.open(BufferConfig(folder / "buffer", 1 << 30), ["local"], BufferMetrics(registry))
    delivery = Delivery(
        {destination: config or DeliveryConfig(backoff=QUICK)},
        buffer,
        select_transcoder("auto"),
        DeliveryMetrics(registry, ["local"]),
    )
    delivery.start()
    try:
        yield Rig(delivery, buffer, destination, database.name)
    finally:
        await delivery.stop(0)
        await destination.stop(timedelta(seconds=1))
        await buffer.close()
