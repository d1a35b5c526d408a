from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from prometheus_client import CollectorRegistry
from pymongo.asynchronous.database import AsyncDatabase

from exporter.buffer import BufferConfig, BufferMetrics, RetryBuffer
from exporter.delivery import Delivery, DeliveryConfig, DeliveryMetrics, LetterBox
from exporter.errors import DestinationUnavailable
from exporter.transcode.reference import ReferenceTranscoder
from protos import admin_pb2 as pb
from protos.admin_pb2_grpc import AdminStub
from sidecar.admin.grpc_server import AdminGrpcServer
from sidecar.admin.service import AdminService
from tests.exporter.delivery.fakes import FakeDestination
from tests.exporter.delivery.test_dead_letters import spans_batch


class Setup:
    """An admin service over a real buffer and a destination that can be down."""

    def __init__(self, buffer: RetryBuffer, stub: AdminStub, delivery: Delivery, destination: FakeDestination) -> None:
        self.buffer = buffer
        self.admin = stub
        self.delivery = delivery
        self.destination = destination


@pytest.fixture
async def setup(tmp_path: Path) -> AsyncIterator[Setup]:
    registry = CollectorRegistry()
    destination = FakeDestination()
    destination.failure = DestinationUnavailable("no primary")
    config = BufferConfig(tmp_path / "buffer", 8 << 20)
    buffer = await RetryBuffer.open(config, ["local"], BufferMetrics(registry))
    delivery = Delivery(
        {destination: DeliveryConfig()}, buffer, ReferenceTranscoder(), DeliveryMetrics(registry, ["local"])
    )
    delivery.start(paused=True)
    server = AdminGrpcServer(f"unix:{tmp_path}/admin.sock", AdminService(delivery, buffer, {}))
    await server.start()
    async with grpc.aio.insecure_channel(server.endpoint) as channel:
        yield Setup(buffer, AdminStub(channel), delivery, destination)  # type: ignore[no-untyped-call]
    await server.stop(0)
    await delivery.stop(0)
    await buffer.close()


async def status_of(call: grpc.aio.Call) -> tuple[grpc.StatusCode, str]:
    return await call.code(), await call.details()


async def test_status_names_backlog_and_reason(setup: Setup) -> None:
    await setup.delivery.exporter.export(spans_batch("a", "b"))

    response = await setup.admin.GetStatus(pb.GetStatusRequest())

    (local,) = response.destinations
    assert (local.name, local.configured, local.healthy, local.reason) == ("local", True, False, "no primary")
    assert (local.backlog.batches, local.backlog.records, local.replay_paused) == (1, 2, True)
    assert local.backlog.HasField("oldest")


async def test_drain_brings_all_over_and_ends(setup: Setup) -> None:
    await setup.delivery.exporter.export(spans_batch("a", "b"))
    setup.destination.failure = None
    setup.destination.back.set()

    responses = [response async for response in setup.admin.Drain(pb.DrainRequest())]

    assert responses[-1].destinations[0].backlog.batches == 0
    assert len(setup.destination.ids()) == 2


async def test_drain_batches_wait_for_a_destination_without_a_setting_is_refused(setup: Setup) -> None:
    await setup.buffer.append(spans_batch("a"), "gone")

    code, details = await status_of(setup.admin.Drain(pb.DrainRequest()))

    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert "gone" in details


async def test_pause_and_resume_show_in_the_status(setup: Setup) -> None:
    resumed = await setup.admin.ResumeReplay(pb.ResumeReplayRequest())
    paused = await setup.admin.PauseReplay(pb.PauseReplayRequest(destination="local"))

    assert not resumed.destinations[0].replay_paused
    assert paused.destinations[0].replay_paused


async def test_pause_of_an_unknown_destination_is_not_found(setup: Setup) -> None:
    code, details = await status_of(setup.admin.PauseReplay(pb.PauseReplayRequest(destination="moon")))

    assert code is grpc.StatusCode.NOT_FOUND
    assert details == "no destination is called 'moon'; there are: local"


async def test_export_yields_batches_and_leaves_them(setup: Setup) -> None:
    batches = [spans_batch(name) for name in "abc"]
    for batch in batches:
        await setup.delivery.exporter.export(batch)

    exported = [item async for item in setup.admin.ExportBuffer(pb.ExportBufferRequest(destination="local"))]

    assert [(item.signal, item.records, item.payload) for item in exported] == [
        ("traces", 1, batch.payload) for batch in batches
    ]
    assert setup.buffer.status()["local"].batches == 3


async def test_verify_counts_sound_batches(setup: Setup) -> None:
    await setup.delivery.exporter.export(spans_batch("a", "b"))

    report = await setup.admin.VerifyBuffer(pb.VerifyBufferRequest())

    assert (report.batches, report.records, list(report.damage)) == (1, 2, [])


async def test_drop_of_a_configured_destination_is_refused(setup: Setup) -> None:
    await setup.delivery.exporter.export(spans_batch("a"))

    code, _ = await status_of(setup.admin.DropBuffer(pb.DropBufferRequest(destination="local")))

    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert setup.buffer.status()["local"].batches == 1


async def test_drop_of_an_unconfigured_destination_gives_up_its_batches(setup: Setup) -> None:
    await setup.buffer.append(spans_batch("a", "b"), "gone")

    dropped = await setup.admin.DropBuffer(pb.DropBufferRequest(destination="gone"))

    assert (dropped.batches, dropped.records) == (1, 2)


async def test_dead_letters_without_a_mongodb_are_not_found(setup: Setup) -> None:
    code, details = await status_of(setup.admin.ListDeadLetters(pb.ListDeadLettersRequest()))

    assert code is grpc.StatusCode.NOT_FOUND
    assert "there are: none" in details


@pytest.mark.integration
async def test_unknown_dead_letter_is_not_found(
    setup: Setup, database: AsyncDatabase[dict[str, Any]], tmp_path: Path
) -> None:
    box = LetterBox(database, setup.destination, ReferenceTranscoder())
    server = AdminGrpcServer(f"unix:{tmp_path}/other.sock", AdminService(setup.delivery, setup.buffer, {"local": box}))
    await server.start()

    async with grpc.aio.insecure_channel(server.endpoint) as channel:
        call = AdminStub(channel).GetDeadLetter(pb.GetDeadLetterRequest(id="nonsense"))  # type: ignore[no-untyped-call]
        code, details = await status_of(call)
    await server.stop(0)

    assert (code, details) == (grpc.StatusCode.NOT_FOUND, "no dead letter has the id nonsense")
