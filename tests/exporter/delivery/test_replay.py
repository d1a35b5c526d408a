from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry

from exporter.batch import Batch
from exporter.delivery.breaker import Backoff
from exporter.delivery.config import DeliveryConfig
from exporter.delivery.dead_letters import DeadLetters
from exporter.delivery.pipeline import Pipeline
from exporter.delivery.replay import Replayer
from exporter.delivery.telemetry import DeliveryMetrics
from exporter.errors import DestinationUnavailable
from exporter.signals import TRACES
from exporter.supervision import Supervisor
from tests.exporter.delivery.fakes import FakeBuffer, FakeDestination, FakeTranscoder, batch_of


class Setup:
    """One pipeline with its replayer."""

    def __init__(self, config: DeliveryConfig | None = None) -> None:
        self.config = config or DeliveryConfig(backoff=Backoff(first=0.001, longest=0.002))
        self.destination = FakeDestination()
        self.buffer = FakeBuffer()
        self.transcoder = FakeTranscoder()
        metrics = DeliveryMetrics(CollectorRegistry(), ("local",))
        self.pipeline = Pipeline(self.destination, self.buffer, DeadLetters(metrics), self.config, metrics)
        self.replayer = Replayer(self.pipeline, self.buffer, self.transcoder, metrics, Supervisor(first_pause=0.001))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self.replayer.start()
        try:
            yield
        finally:
            await self.replayer.stop()

    async def drained(self) -> None:
        await asyncio.wait_for(self.replayer.drained(), timeout=5)

    async def deliver(self, batch: Batch) -> str:
        return await self.pipeline.deliver(batch, self.transcoder.transcode(batch))

    async def buffered(self, *batches: Batch) -> None:
        for batch in batches:
            await self.buffer.append(batch, "local")


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what changes has no event
            await asyncio.sleep(0.001)


async def test_replay_backlog_from_before_the_start_is_brought_over_and_removed() -> None:
    setup = Setup()
    batches = [batch_of(seed=seed) for seed in range(600)]
    await setup.buffered(*batches)

    async with setup.running():
        await setup.drained()

    assert setup.destination.ids() == {str(batch.base_id) for batch in batches}
    assert setup.pipeline.backlog.batches == 0


async def test_replay_destination_down_keeps_the_backlog_until_it_is_back() -> None:
    setup = Setup()
    setup.destination.failure = DestinationUnavailable("gone")
    await setup.buffered(batch_of())

    async with setup.running():
        await until(lambda: setup.destination.inserts >= 3)
        waiting = setup.pipeline.backlog.batches
        setup.destination.failure = None
        await setup.drained()

    assert waiting == 1
    assert setup.pipeline.backlog.batches == 0
    assert setup.pipeline.breaker.closed


async def test_replay_open_breaker_and_empty_buffer_lets_the_next_live_batch_try() -> None:
    setup = Setup()
    live = batch_of()

    async with setup.running():
        setup.pipeline.breaker.fail("gone")
        await until(lambda: setup.pipeline.wants(TRACES))
        closed_by_a_ping = setup.pipeline.breaker.closed
        await setup.deliver(live)

    assert not closed_by_a_ping
    assert setup.pipeline.breaker.closed
    assert setup.destination.ids() == {str(live.base_id)}


async def test_replay_destination_returns_probes_at_once_in_spite_of_a_long_wait() -> None:
    setup = Setup(DeliveryConfig(backoff=Backoff(first=3600, longest=3600, uniform=max)))
    await setup.buffered(batch_of())
    setup.pipeline.breaker.fail("gone")

    async with setup.running():
        setup.destination.back.set()
        await setup.drained()

    assert setup.pipeline.breaker.closed


async def test_replay_open_breaker_probes_with_a_single_batch() -> None:
    setup = Setup()
    await setup.buffered(*(batch_of(seed=seed) for seed in range(10)))
    setup.destination.failure = DestinationUnavailable("gone")
    setup.pipeline.breaker.fail("gone")

    async with setup.running():
        await until(lambda: setup.destination.inserts >= 1)
        inserts = setup.destination.inserts
        setup.destination.failure = None
        await setup.drained()

    assert inserts == 1


async def test_replay_round_takes_no_more_bytes_than_it_may() -> None:
    setup = Setup(DeliveryConfig(replay_bytes=100))
    await setup.buffered(*(batch_of(seed=seed, size=40) for seed in range(6)))
    setup.destination.hang.clear()

    async with setup.running():
        await until(lambda: setup.destination.inserts == 2)
        await asyncio.sleep(0)
        under_way = setup.destination.inserts
        setup.destination.hang.set()
        await setup.drained()

    assert under_way == 2


@pytest.mark.parametrize(("live", "under_way"), [(True, 2), (False, 6)])
async def test_replay_beside_live_inserts_has_less_on_its_way(live: bool, under_way: int) -> None:
    setup = Setup(DeliveryConfig(replay_bytes=400, replay_bytes_beside_live=80))
    if live:
        await setup.deliver(batch_of(seed=99))
    before = setup.destination.inserts
    await setup.buffered(*(batch_of(seed=seed, size=40) for seed in range(6)))
    setup.destination.hang.clear()

    async with setup.running():
        await until(lambda: setup.destination.inserts - before >= under_way)
        await asyncio.sleep(0.01)
        inserts = setup.destination.inserts - before
        setup.destination.hang.set()
        await setup.drained()

    assert inserts == under_way


async def test_replay_batch_that_cannot_be_transcoded_becomes_a_dead_letter_and_holds_nobody_up() -> None:
    setup = Setup()
    poisonous, good = batch_of(seed=1), batch_of(seed=2)
    setup.transcoder.poison.add(poisonous.base_id)
    await setup.buffered(poisonous, good)

    async with setup.running():
        await setup.drained()

    (letter,) = setup.destination.stored["dead_letters"].values()
    assert letter["payload"] == poisonous.payload
    assert setup.destination.ids() == {str(good.base_id)}


async def test_replay_paused_brings_nothing_until_resumed() -> None:
    setup = Setup()
    setup.replayer.pause()
    await setup.buffered(batch_of())

    async with setup.running():
        await asyncio.sleep(0.01)
        while_paused = setup.destination.inserts
        setup.replayer.resume()
        await setup.drained()

    assert while_paused == 0
    assert setup.pipeline.backlog.batches == 0


async def test_replay_stopped_in_the_middle_keeps_what_was_not_brought_over() -> None:
    setup = Setup()
    setup.destination.hang.clear()
    await setup.buffered(batch_of())

    async with setup.running():
        await setup.destination.insert_called.wait()

    assert setup.pipeline.backlog.batches == 1


async def test_replay_probe_slower_than_a_live_insert_may_be_keeps_live_batches_away_until_drained() -> None:
    setup = Setup(DeliveryConfig(insert_timeout=0.02, replay_bytes=40, backoff=Backoff(first=0.001, longest=0.002)))
    await setup.buffered(*(batch_of(seed=seed, size=40) for seed in range(5)))
    setup.pipeline.breaker.fail("took too long")
    setup.pipeline.breaker.failures = 10
    setup.destination.hang.clear()

    async with setup.running():
        await setup.destination.insert_called.wait()
        await asyncio.sleep(0.03)
        setup.destination.hang.set()
        await until(lambda: setup.pipeline.breaker.closed)
        wanted_while_waiting = [setup.pipeline.wants(TRACES) for _ in range(1) if setup.pipeline.backlog.batches]
        await setup.drained()
        await until(lambda: setup.pipeline.wants(TRACES))

    assert wanted_while_waiting == [False]


async def test_settled_destination_down_returns_with_the_backlog_still_there() -> None:
    setup = Setup()
    setup.destination.failure = DestinationUnavailable("gone")
    await setup.buffered(batch_of())

    async with setup.running():
        await asyncio.wait_for(setup.replayer.settled(), timeout=5)

    assert setup.pipeline.backlog.batches == 1


async def test_drained_destination_down_but_nothing_waits_returns() -> None:
    setup = Setup()
    setup.destination.failure = DestinationUnavailable("gone")
    setup.pipeline.breaker.fail("gone")

    async with setup.running():
        await setup.drained()

    assert not setup.pipeline.breaker.closed
