from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest
from prometheus_client import CollectorRegistry

from exporter.batch import Batch
from exporter.delivery.config import DeliveryConfig
from exporter.delivery.dead_letters import DeadLetters
from exporter.delivery.fan_out import FanOut
from exporter.delivery.pipeline import Pipeline
from exporter.delivery.telemetry import DeliveryMetrics
from exporter.errors import DestinationUnavailable, Overloaded
from tests.exporter.delivery.fakes import FakeBuffer, FakeDestination, FakeTranscoder, batch_of


class Setup:
    """A fan-out over two destinations, with all its parts."""

    def __init__(self, insert_timeout: float = 0.05) -> None:
        self.local, self.cloud = FakeDestination("local"), FakeDestination("cloud")
        self.buffer = FakeBuffer()
        metrics = DeliveryMetrics(CollectorRegistry(), ("local", "cloud"))
        config = DeliveryConfig(insert_timeout=insert_timeout)
        self.pipelines = [
            Pipeline(destination, self.buffer, DeadLetters(metrics), config, metrics)
            for destination in (self.local, self.cloud)
        ]
        self.fan_out = FanOut(FakeTranscoder(), self.pipelines)

    def buffered(self, destination: str) -> list[Batch]:
        return list(self.buffer.waiting[destination].values())


def by_id(batches: Iterable[Batch]) -> list[Batch]:
    return sorted(batches, key=lambda batch: batch.base_id)


def ids_of(batch: Batch) -> set[str]:
    return {str(batch.base_id + index) for index in range(batch.records)}


async def test_export_healthy_destinations_stored_in_each_and_not_buffered() -> None:
    setup = Setup()
    batch = batch_of(3)

    result = await setup.fan_out.export(batch)

    assert (result.rejected, result.message) == (0, "")
    assert setup.local.ids() == setup.cloud.ids() == ids_of(batch)
    assert not setup.buffered("local")
    assert not setup.buffered("cloud")


async def test_export_one_destination_fails_its_share_is_buffered_and_the_other_stored() -> None:
    setup = Setup()
    setup.cloud.failure = DestinationUnavailable("gone")
    batch = batch_of(3)

    await setup.fan_out.export(batch)

    assert setup.local.ids() == ids_of(batch)
    assert setup.buffered("cloud") == [batch]
    assert setup.pipelines[0].breaker.closed
    assert not setup.pipelines[1].breaker.closed


async def test_export_open_breaker_goes_to_the_buffer_without_an_insert() -> None:
    setup = Setup()
    setup.cloud.failure = DestinationUnavailable("gone")
    await setup.fan_out.export(batch_of(seed=1))
    inserts = setup.cloud.inserts

    await setup.fan_out.export(batch_of(seed=2))

    assert setup.cloud.inserts == inserts
    assert len(setup.buffered("cloud")) == 2


async def test_export_destination_hangs_its_share_is_buffered_after_the_wait() -> None:
    setup = Setup()
    setup.cloud.hang.clear()
    batch = batch_of()

    await asyncio.wait_for(setup.fan_out.export(batch), timeout=5)

    assert setup.buffered("cloud") == [batch]
    assert "longer than 0.05 s" in setup.pipelines[1].breaker.reason


async def test_export_destination_fails_others_that_wait_for_it_wait_no_longer() -> None:
    setup = Setup(insert_timeout=60)
    setup.cloud.hang.clear()
    batches = [batch_of(seed=seed) for seed in range(5)]

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        for batch in batches:
            group.create_task(setup.fan_out.export(batch))
        await setup.cloud.insert_called.wait()
        setup.pipelines[1].breaker.fail("gone")

    assert by_id(setup.buffered("cloud")) == by_id(batches)
    assert setup.local.ids() == {str(batch.base_id) for batch in batches}
    assert setup.pipelines[1].breaker.reason == "gone"


async def test_export_destination_fails_at_the_end_of_the_wait_buffers_each_once() -> None:
    setup = Setup(insert_timeout=0.05)
    setup.cloud.hang.clear()
    batches = [batch_of(seed=seed) for seed in range(5)]

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        for batch in batches:
            group.create_task(setup.fan_out.export(batch))

    assert by_id(setup.buffered("cloud")) == by_id(batches)
    assert setup.local.ids() == {str(batch.base_id) for batch in batches}


async def test_export_neither_destination_nor_buffer_takes_it_raises_overloaded() -> None:
    setup = Setup()
    setup.cloud.failure = DestinationUnavailable("gone")
    setup.buffer.capacity = 0

    with pytest.raises(Overloaded):
        await setup.fan_out.export(batch_of())


async def test_export_unexpected_error_of_a_destination_is_raised_after_the_others_finished() -> None:
    setup = Setup()
    setup.local.failure = ZeroDivisionError("bug")
    batch = batch_of()

    with pytest.raises(ZeroDivisionError):
        await setup.fan_out.export(batch)

    assert setup.cloud.ids() == ids_of(batch)


async def test_export_same_batch_again_stores_nothing_twice() -> None:
    setup = Setup()
    batch = batch_of(5)

    await setup.fan_out.export(batch)
    await setup.fan_out.export(batch)

    assert setup.local.ids() == ids_of(batch)


async def test_export_all_breakers_open_transcodes_nothing() -> None:
    setup = Setup()
    for pipeline in setup.pipelines:
        pipeline.breaker.fail("gone")
    poisonous = batch_of()
    transcoder = FakeTranscoder()
    transcoder.poison.add(poisonous.base_id)

    await FanOut(transcoder, setup.pipelines).export(poisonous)

    assert setup.buffered("local") == setup.buffered("cloud") == [poisonous]
