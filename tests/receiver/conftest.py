"""Real receivers on free ports in front of a fake exporter."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import grpc.aio
import pytest
import structlog
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from exporter import BatchFactory
from exporter.transcode.reference import ReferenceTranscoder
from receiver.admission import MemoryBudget
from receiver.grpc_receiver import GrpcReceiver
from receiver.handler import ExportHandler
from receiver.http_receiver import HttpReceiver
from receiver.telemetry import ReceiverMetrics
from tests.receiver.fakes import CONVERTER, FakeExporter

LIMIT = 4 * 1024 * 1024
"""Of a request; below the usual 20 MiB to keep the tests quick."""


LogLines = list[MutableMapping[str, Any]]
"""What structlog was given, by key."""


@dataclass
class Rig:
    """What a test of a transport holds."""

    exporter: FakeExporter
    budget: MemoryBudget
    registry: CollectorRegistry
    handler: ExportHandler

    def count(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"otlp_mongo_receiver_{name}", labels) or 0.0


def make_rig(budget_bytes: int = 256 * 1024 * 1024, **bounds: Any) -> Rig:
    exporter, budget, registry = FakeExporter(), MemoryBudget(budget_bytes), CollectorRegistry()
    batches = BatchFactory(ReferenceTranscoder())
    return Rig(
        exporter, budget, registry, ExportHandler(batches, exporter, budget, ReceiverMetrics(registry), **bounds)
    )


@pytest.fixture(autouse=True)
def logs() -> Iterator[LogLines]:
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
        "127.0.0.1:0",
        rig.handler,
        converter=CONVERTER,
        max_request_bytes=LIMIT,
        cors_allowed_origins=["https://*.example"],
    )
    await receiver.start()
    yield receiver
    rig.exporter.open.set()
    await receiver.stop(1.0)


@pytest.fixture
async def client(http_receiver: HttpReceiver) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(f"http://{http_receiver.endpoint}") as session:
        yield session
