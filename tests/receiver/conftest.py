"""Real receivers on free ports in front of a fake exporter."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import grpc.aio
import pytest
import structlog
from google.protobuf.message import DecodeError
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from exporter import BatchFactory, MalformedPayload, Signal
from exporter.interfaces import Inspection
from receiver.admission import MemoryBudget
from receiver.grpc_receiver import GrpcReceiver
from receiver.handler import ExportHandler
from receiver.http_receiver import HttpReceiver
from receiver.telemetry import ReceiverMetrics
from tests.receiver.fakes import LOGS, TRACES, FakeExporter

LIMIT = 20 * 1024 * 1024


class InspectingTranscoder:
    """Looks through payloads as the transcoders do; the receiver needs no more of one."""

    name = "inspecting"

    def inspect(self, signal: Signal, payload: bytes) -> Inspection:
        try:
            request = signal.request.FromString(payload)
        except DecodeError as error:
            raise MalformedPayload(f"no {signal.request.__name__}: {error}") from error
        if signal is TRACES:
            records = [r for a in request.resource_spans for b in a.scope_spans for r in b.spans]
        elif signal is LOGS:
            records = [r for a in request.resource_logs for b in a.scope_logs for r in b.log_records]
        else:
            metrics = [m for a in request.resource_metrics for b in a.scope_metrics for m in b.metrics]
            records = [point for metric in metrics for point in metric.gauge.data_points]
        return Inspection(len(records), 1 if records else 0)

    def transcode(self, batch):
        raise NotImplementedError


@dataclass
class Rig:
    """What a test of a transport holds."""

    exporter: FakeExporter
    budget: MemoryBudget
    registry: CollectorRegistry
    handler: ExportHandler

    def count(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"otlp_mongo_receiver_{name}", labels) or 0.0


def make_rig(budget_bytes: int = 256 * 1024 * 1024) -> Rig:
    exporter, budget, registry = FakeExporter(), MemoryBudget(budget_bytes), CollectorRegistry()
    batches = BatchFactory(InspectingTranscoder())
    return Rig(exporter, budget, registry, ExportHandler(batches, exporter, budget, ReceiverMetrics(registry)))


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[MutableMapping[str, Any]]]:
    """The log lines of the test, with what belongs to their request."""
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        yield lines


@pytest.fixture
def rig() -> Rig:
    return make_rig()


@pytest.fixture
async def grpc_receiver(rig: Rig) -> AsyncIterator[GrpcReceiver]:
    receiver = GrpcReceiver("127.0.0.1:0", rig.handler, max_request_bytes=LIMIT)
    await receiver.start()
    yield receiver
    rig.exporter.open.set()
    await receiver.stop(1.0)


@pytest.fixture
async def channel(grpc_receiver: GrpcReceiver) -> AsyncIterator[grpc.aio.Channel]:
    options = [("grpc.max_send_message_length", -1)]
    async with grpc.aio.insecure_channel(grpc_receiver.endpoint, options=options) as channel:
        yield channel


@pytest.fixture
async def http_receiver(rig: Rig) -> AsyncIterator[HttpReceiver]:
    receiver = HttpReceiver(
        "127.0.0.1:0", rig.handler, max_request_bytes=LIMIT, cors_allowed_origins=["https://*.example"]
    )
    await receiver.start()
    yield receiver
    rig.exporter.open.set()
    await receiver.stop(1.0)


@pytest.fixture
async def client(http_receiver: HttpReceiver) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(f"http://{http_receiver.endpoint}") as session:
        yield session
