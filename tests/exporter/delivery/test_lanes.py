"""What one lane or one batch needs stops no other: the state machine, with fakes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from exporter.batch import Batch
from exporter.delivery import Backoff, Delivery, DeliveryConfig, DeliveryMetrics
from exporter.delivery import loader as loader_module
from exporter.errors import DestinationUnavailable, Overloaded, Scope, Unavailable
from exporter.interfaces import Refusal, StoredBatch
from exporter.signals import LOGS, METRICS, TRACES
from tests.exporter.delivery.fakes import FakeBuffer, FakeDestination, FakeTranscoder, batch_of
from tests.exporter.delivery.rig import until

_QUICK = Backoff(first=0.001, longest=0.005)
REFUSED = DestinationUnavailable("not authorised", Scope.COLLECTION)
POISON = DestinationUnavailable("a document nobody takes", Scope.BATCH)


class Setup:
    """One destination with all of delivery."""

    def __init__(self, config: DeliveryConfig | None = None) -> None:
        self.destination = FakeDestination()
        self.buffer = FakeBuffer(["local"])
        self.transcoder = FakeTranscoder()
        self.delivery = Delivery(
            {self.destination: config or DeliveryConfig(insert_timeout=0.05, backoff=_QUICK)},
            self.buffer,
            self.transcoder,
            DeliveryMetrics(CollectorRegistry(), ["local"]),
        )
        self.pipeline = self.delivery.pipelines["local"]
        self.replayer = self.delivery.replayers["local"]
        self.changes: list[bool] = []
        on_change = self.pipeline.breaker._on_change

        def note(closed: bool, reason: str) -> None:
            self.changes.append(closed)
            on_change(closed, reason)

        self.pipeline.breaker._on_change = note

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self.delivery.start()
        try:
            yield
        finally:
            await self.delivery.stop(0)

    async def send(self, *batches: Batch) -> None:
        for batch in batches:
            await self.delivery.exporter.export(batch)

    async def drained(self) -> None:
        await asyncio.wait_for(self.replayer.drained(), timeout=5)

    @property
    def waiting(self) -> int:
        return self.pipeline.backlog.batches


async def test_collection_that_refuses_blocks_its_lane_only() -> None:
    setup = Setup()
    setup.destination.failures = {"spans": REFUSED}

    async with setup.running():
        await setup.send(*(batch_of(seed=seed, signal=s) for seed, s in enumerate([TRACES, LOGS, METRICS, TRACES])))
        blocked = [lane.signal for lane in setup.pipeline.lanes.values() if not lane.direct]
        waiting = setup.waiting
        setup.destination.failures = {}
        await setup.drained()

    assert blocked == [TRACES]
    assert waiting == 2
    assert len(setup.destination.ids("logs")) == len(setup.destination.ids("metrics")) == 1
    assert setup.changes == []


async def test_blocked_lane_is_not_tried_by_each_live_batch() -> None:
    setup = Setup(DeliveryConfig(backoff=Backoff(first=3600, longest=3600, uniform=max)))
    setup.destination.failures = {"spans": REFUSED}

    async with setup.running():
        await setup.send(*(batch_of(seed=seed) for seed in range(20)))

    assert setup.destination.inserts == 1


async def test_batch_that_fails_while_others_pass_steps_aside_and_comes_when_it_can() -> None:
    setup = Setup()
    poisonous = batch_of(seed=1)
    setup.destination.failures = {str(poisonous.base_id): POISON}
    good = [batch_of(seed=seed) for seed in range(2, 30)]

    async with setup.running():
        await setup.send(poisonous, *good)
        await until(lambda: setup.destination.inserts > 40)
        waiting, direct = setup.waiting, setup.pipeline.wants(TRACES)
        problems = list(setup.pipeline.problems())
        setup.destination.failures = {}
        await setup.drained()

    assert (waiting, direct) == (1, True)
    assert problems == ["1 batches of traces are set aside: a document nobody takes"]
    assert len(setup.destination.ids()) == 29


async def test_batch_that_the_collection_refuses_is_found_out_by_others_that_pass() -> None:
    setup = Setup()
    poisonous = batch_of(seed=1)
    setup.destination.failures = {str(poisonous.base_id): REFUSED}

    async with setup.running():
        await setup.send(poisonous)
        blocked = not setup.pipeline.wants(TRACES)
        await setup.send(*(batch_of(seed=seed) for seed in range(2, 10)))
        await until(lambda: setup.waiting == 1)
        await until(lambda: len(setup.pipeline.lanes[TRACES].aside) == 1)
        inserts = setup.destination.inserts
        await until(lambda: setup.destination.inserts > inserts + 5)
        direct = setup.pipeline.wants(TRACES)

    assert blocked
    assert direct
    assert len(setup.destination.ids()) == 8


async def test_backlog_with_poison_in_the_middle_is_brought_over_around_it() -> None:
    setup = Setup()
    batches = [batch_of(seed=seed) for seed in range(600)]
    setup.destination.failures = {str(batches[number].base_id): POISON for number in (0, 255, 300)}
    for batch in batches:
        await setup.buffer.append(batch, "local")

    async with setup.running():
        await until(lambda: setup.waiting == 3)

    assert len(setup.destination.ids()) == 597


async def test_dead_letters_that_are_refused_keep_the_batch_and_nothing_else() -> None:
    setup = Setup()
    setup.destination.failures = {"dead_letters": REFUSED}
    bad = batch_of(2, seed=1)
    setup.destination.refuse = {str(bad.base_id): Refusal(0, 121, "validation")}

    async with setup.running():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                "exporter.delivery.dead_letters.extract", lambda _signal, _payload, indexes: [b""] * len(indexes)
            )
            await setup.send(bad, batch_of(seed=2), batch_of(seed=3, signal=LOGS))
            await until(lambda: len(setup.pipeline.lanes[TRACES].aside) == 1)
            stored, waiting = len(setup.destination.ids()), setup.waiting
            setup.destination.failures = {}
            await setup.drained()

    assert (stored, waiting) == (2, 1)
    assert len(setup.destination.ids("dead_letters")) == 1
    assert setup.changes == []


async def test_slow_large_batch_goes_to_the_buffer_alone_with_its_progress() -> None:
    setup = Setup()
    setup.destination.piece = 10
    setup.destination.stalls_at = 50
    setup.destination.expected = 0.01  # more than one piece
    setup.destination.hang.clear()
    large = batch_of(100)

    async with setup.running():
        setup.replayer.pause()
        await setup.send(large)
        closed, wanted = setup.pipeline.breaker.closed, setup.pipeline.wants(TRACES)
        before = len(setup.destination.commands)
        setup.destination.hang.set()
        setup.replayer.resume()
        await setup.drained()

    assert closed
    assert wanted
    assert before == 5
    assert len(setup.destination.ids()) == 100
    assert sum(map(len, setup.destination.commands)) == 100


async def test_small_batch_too_slow_while_others_are_answered_sends_its_lane_to_the_buffer_until_caught_up() -> None:
    setup = Setup()
    setup.destination.hang.clear()

    async with setup.running():
        setup.replayer.pause()
        sending = asyncio.create_task(setup.send(batch_of(seed=1)))
        await setup.destination.insert_called.wait()
        setup.destination._command("logs", setup.transcoder.transcode(batch_of(seed=9, signal=LOGS)))
        await sending
        behind = not setup.pipeline.wants(TRACES), setup.pipeline.wants(LOGS), setup.pipeline.breaker.closed
        setup.destination.hang.set()
        setup.replayer.resume()
        await setup.drained()
        await until(lambda: setup.pipeline.wants(TRACES))

    assert behind == (True, True, True)


async def test_live_batch_that_cannot_be_in_time_goes_to_the_buffer_at_once() -> None:
    setup = Setup(DeliveryConfig(insert_timeout=60, backoff=_QUICK))
    setup.destination.expected = 100.0
    setup.destination.hang.clear()

    async with setup.running():
        await asyncio.wait_for(setup.send(batch_of(1000)), timeout=5)
        wanted = setup.pipeline.wants(TRACES)
        setup.destination.hang.set()
        await setup.drained()

    assert wanted


async def test_large_batches_go_one_at_a_time_and_do_not_hold_up_small_ones() -> None:
    setup = Setup(DeliveryConfig(replay_document_bytes=5_000, backoff=_QUICK))
    large = [batch_of(500, seed=seed, signal=signal) for seed, signal in enumerate([TRACES, TRACES, LOGS])]
    small = [batch_of(seed=seed) for seed in range(10, 310)]
    setup.destination.piece = 10
    setup.destination.stalls_at = 10
    setup.destination.hang.clear()
    for batch in [*large, *small]:
        await setup.buffer.append(batch, "local")
    # Small ones are answered, since they never get as far as the tenth document.

    async with setup.running():
        await until(lambda: setup.waiting == 3)
        begun = [commands for commands in setup.destination.commands if len(commands) == 10]
        setup.destination.hang.set()
        await setup.drained()

    assert len(begun) == 1
    assert len(setup.destination.ids()) == 1300


async def test_removal_that_fails_is_tried_again_and_nothing_comes_twice() -> None:
    setup = Setup()
    batches = [batch_of(seed=seed) for seed in range(5)]
    for batch in batches:
        await setup.buffer.append(batch, "local")
    remove = setup.buffer.remove
    failures = iter(range(3))

    async def fail_first(destination: str, positions: list[int]) -> None:
        if next(failures, None) is not None:
            raise Unavailable("disk", retry_after=0.01)
        await remove(destination, positions)

    setup.buffer.remove = fail_first  # type: ignore[method-assign, assignment]

    async with setup.running():
        await setup.drained()

    assert sum(map(len, setup.destination.commands)) == 5


async def test_buffer_that_cannot_be_read_is_read_again() -> None:
    setup = Setup()
    await setup.buffer.append(batch_of(), "local")
    setup.buffer.failure = Unavailable("disk", retry_after=0.01)

    async with setup.running():
        await asyncio.sleep(0.03)
        setup.buffer.failure = None
        await setup.drained()

    assert len(setup.destination.ids()) == 1


async def test_transcoder_without_memory_makes_no_dead_letter() -> None:
    setup = Setup()
    batch = batch_of()
    setup.transcoder.poison.add(batch.base_id)
    setup.transcoder.error = MemoryError()
    await setup.buffer.append(batch, "local")

    async with setup.running():
        await asyncio.sleep(0.03)
        waiting = setup.waiting
        setup.transcoder.poison.clear()
        setup.pipeline.lanes[TRACES].woken.set()
        await setup.drained()

    assert waiting == 1
    assert "dead_letters" not in setup.destination.stored


async def test_transcoder_that_fails_on_a_live_batch_leaves_it_to_replay_which_makes_a_dead_letter() -> None:
    setup = Setup()
    batch = batch_of(3)
    setup.transcoder.poison.add(batch.base_id)

    async with setup.running():
        await setup.send(batch)
        await setup.drained()

    (letter,) = setup.destination.stored["dead_letters"].values()
    assert letter["records"] == 3


async def test_probe_takes_another_batch_each_time() -> None:
    setup = Setup()
    batches = [batch_of(seed=1), batch_of(seed=2, signal=LOGS)]
    setup.destination.failures = {str(batches[0].base_id): POISON}
    for batch in batches:
        await setup.buffer.append(batch, "local")
    setup.pipeline.breaker.fail("gone")

    async with setup.running():
        await until(lambda: setup.pipeline.breaker.closed)
        await until(lambda: setup.waiting == 1)

    assert len(setup.destination.ids("logs")) == 1


async def test_probe_is_a_small_piece_of_a_large_batch() -> None:
    setup = Setup()
    await setup.buffer.append(batch_of(5000), "local")
    setup.pipeline.breaker.fail("gone")

    async with setup.running():
        await setup.drained()

    assert len(setup.destination.commands[0]) <= 100
    assert sum(map(len, setup.destination.commands)) == 5000


async def test_probe_with_a_batch_without_documents_closes_nothing() -> None:
    setup = Setup()
    await setup.buffer.append(batch_of(0), "local")
    setup.pipeline.breaker.fail("gone")

    async with setup.running():
        await until(lambda: setup.pipeline.wants(TRACES))
        closed = setup.pipeline.breaker.closed

    assert not closed


async def test_ping_alone_closes_nothing_while_inserts_hang() -> None:
    setup = Setup()
    setup.destination.hang.clear()

    async with setup.running():
        await setup.send(batch_of(seed=1))
        await until(lambda: setup.pipeline.breaker.failures > 3)
        changes = list(setup.changes)
        setup.destination.hang.set()
        await setup.drained()

    assert changes == [False]


async def test_hang_whose_reason_is_found_out_says_it() -> None:
    setup = Setup()
    setup.destination.hang.clear()
    setup.destination.diagnosis = "no majority acknowledges"

    async with setup.running():
        await setup.send(batch_of(seed=1))
        await until(lambda: "no majority acknowledges" in setup.pipeline.breaker.reason)
        setup.destination.hang.set()
        await setup.drained()


async def test_paused_with_a_backlog_the_breaker_is_closed_by_one_live_batch() -> None:
    setup = Setup()
    setup.destination.failure = DestinationUnavailable("gone")

    async with setup.running():
        await setup.send(batch_of(seed=1))
        setup.replayer.pause()
        setup.destination.failure = None
        await until(lambda: setup.pipeline.wants(TRACES))
        closed_before = setup.pipeline.breaker.closed
        await setup.send(batch_of(seed=2))
        waiting = setup.waiting

    assert not closed_before
    assert setup.pipeline.breaker.closed
    assert waiting == 1
    assert len(setup.destination.ids()) == 1


async def test_trial_lets_one_live_batch_through_and_the_others_go_to_the_buffer() -> None:
    setup = Setup(DeliveryConfig(insert_timeout=60, backoff=_QUICK))

    async with setup.running():
        setup.pipeline.breaker.fail("gone")
        setup.replayer.pause()
        await until(lambda: setup.pipeline.wants(TRACES))
        setup.destination.hang.clear()
        before = setup.destination.inserts
        trial = asyncio.create_task(setup.send(batch_of(seed=1)))
        await until(lambda: setup.destination.inserts == before + 1)
        await setup.send(batch_of(seed=2), batch_of(seed=3))
        inserts, waiting = setup.destination.inserts - before, setup.waiting
        setup.destination.hang.set()
        await trial

    assert (inserts, waiting) == (1, 2)
    assert setup.pipeline.breaker.closed


async def test_trial_whose_caller_goes_away_is_offered_again() -> None:
    setup = Setup(DeliveryConfig(insert_timeout=60, backoff=_QUICK))

    async with setup.running():
        setup.pipeline.breaker.fail("gone")
        setup.replayer.pause()
        await until(lambda: setup.pipeline.wants(TRACES))
        setup.destination.hang.clear()
        trial = asyncio.create_task(setup.send(batch_of(seed=1)))
        await until(lambda: not setup.pipeline.wants(TRACES))
        trial.cancel()
        await until(lambda: setup.pipeline.wants(TRACES))
        setup.destination.hang.set()
        await setup.send(batch_of(seed=2))

    assert setup.pipeline.breaker.closed


async def test_trial_that_fails_keeps_the_breaker_open() -> None:
    setup = Setup()

    async with setup.running():
        setup.pipeline.breaker.fail("gone")
        setup.replayer.pause()
        await until(lambda: setup.pipeline.wants(TRACES))
        setup.destination.hang.clear()
        await setup.send(batch_of(seed=1))
        changes = list(setup.changes)

    assert changes == [False]
    assert setup.waiting == 1


async def test_all_collections_refuse_leaves_the_server_alone_and_all_come_back() -> None:
    setup = Setup()
    setup.destination.failures = dict.fromkeys(("spans", "logs", "metrics"), REFUSED)
    setup.pipeline.breaker.fail("gone")
    for seed, signal in enumerate((TRACES, LOGS, METRICS)):
        await setup.buffer.append(batch_of(seed=seed, signal=signal), "local")

    async with setup.running():
        await until(lambda: setup.pipeline.breaker.closed)
        blocked = [not lane.direct for lane in setup.pipeline.lanes.values()]
        setup.destination.failures = {}
        await setup.drained()

    assert blocked == [True, True, True]


async def test_blocked_lane_without_a_backlog_is_freed_by_a_live_batch() -> None:
    setup = Setup()
    lane = setup.pipeline.lanes[TRACES]

    async with setup.running():
        lane.breaker.fail("refused")
        await until(lambda: setup.pipeline.wants(TRACES))
        await setup.send(batch_of())

    assert lane.direct
    assert len(setup.destination.ids()) == 1


async def test_batch_that_waits_before_what_was_read_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader_module, "_LOOK_AGAIN", 0.01)
    setup = Setup()
    early = batch_of(seed=1)
    setup.buffer._last = 10
    await setup.buffer.append(batch_of(seed=2), "local")

    async with setup.running():
        await setup.drained()
        # As when it was stored for another destination long ago, and now is to wait for this one, too.
        setup.buffer.waiting["local"][3] = early
        setup.pipeline.lanes[TRACES].appended = True
        setup.pipeline.lanes[TRACES].woken.set()
        await setup.drained()

    assert str(early.base_id) in setup.destination.ids()


async def test_batch_that_gets_its_place_before_what_is_being_read_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader_module, "_LOOK_AGAIN", 0.01)
    setup = Setup()
    lane, early, read = setup.pipeline.lanes[TRACES], batch_of(seed=1), setup.buffer.oldest
    setup.buffer._last = 10
    await setup.buffer.append(batch_of(seed=2), "local")

    async def read_beside_an_append(*args: Any, **options: Any) -> Sequence[StoredBatch]:
        found = await read(*args, **options)
        if early not in setup.buffer.waiting["local"].values() and found:
            setup.buffer.waiting["local"][3] = early
            lane.appended = True
            lane.woken.set()
        return found

    monkeypatch.setattr(setup.buffer, "oldest", read_beside_an_append)

    async with setup.running():
        await until(lambda: str(early.base_id) in setup.destination.ids())

    assert len(setup.destination.ids()) == 2


async def test_more_set_aside_than_are_held_are_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader_module, "_LOOK_AGAIN", 0.01)
    setup = Setup()
    setup.pipeline.lanes[TRACES].aside._bound = 4
    batches = [batch_of(seed=seed) for seed in range(20)]
    setup.destination.failures = {str(batch.base_id): POISON for batch in batches}
    for batch in [*batches, batch_of(seed=99)]:
        await setup.buffer.append(batch, "local")

    async with setup.running():
        await until(lambda: setup.waiting == 20)
        held = len(setup.pipeline.lanes[TRACES].aside)
        setup.destination.failures = {}
        await setup.drained()

    assert held == 4


async def test_unexpected_error_of_one_batch_does_not_hold_up_the_others() -> None:
    setup = Setup()
    odd = batch_of(seed=1)
    setup.destination.failures = {str(odd.base_id): ZeroDivisionError("bug")}
    for batch in (odd, *(batch_of(seed=seed) for seed in range(2, 10))):
        await setup.buffer.append(batch, "local")

    async with setup.running():
        await until(lambda: setup.waiting == 1)
        setup.destination.failures = {}
        await setup.drained()


async def test_stop_while_a_batch_is_set_aside_does_not_wait_for_it() -> None:
    setup = Setup(DeliveryConfig(backoff=Backoff(first=3600, longest=3600, uniform=max)))
    poisonous = batch_of(seed=1)
    setup.destination.failures = {str(poisonous.base_id): POISON}
    await setup.buffer.append(poisonous, "local")

    async with setup.running():
        await until(lambda: len(setup.pipeline.lanes[TRACES].aside) == 1)
        await asyncio.wait_for(setup.replayer.settled(), timeout=5)

    assert setup.waiting == 1


async def test_buffer_full_and_lane_blocked_is_told_to_the_sender() -> None:
    setup = Setup()
    setup.destination.failures = {"spans": REFUSED}
    setup.buffer.capacity = 0

    async with setup.running():
        with pytest.raises(Overloaded):
            await setup.send(batch_of(seed=1))
        takes = setup.pipeline.takes_records
        await setup.send(batch_of(seed=2, signal=LOGS))

    assert not takes
    assert len(setup.destination.ids("logs")) == 1
