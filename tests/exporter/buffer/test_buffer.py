"""Appending, reading, removing, and what survives a new start."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.buffer import BufferConfig, BufferUnavailable
from exporter.interfaces import Backlog
from exporter.signals import LOGS, SIGNALS, Signal
from tests.exporter.buffer.support import MIB, Metrics, batch, disk_bytes, drain, everything, mixed, opened, segments


@pytest.mark.parametrize("size", [0, 1, 300, 2000, 5000, 200_000])
@pytest.mark.parametrize("incompressible", [True, False])
async def test_batch_appended_comes_back_identical(tmp_path: Path, size: int, *, incompressible: bool) -> None:
    given = batch(1, size, signal=LOGS, incompressible=incompressible)

    async with opened(tmp_path) as buffer:
        await buffer.append(given, "local")
    async with opened(tmp_path) as buffer:
        stored = await everything(buffer, "local")

    assert stored == [given]


@pytest.mark.parametrize("signal", SIGNALS.values(), ids=str)
async def test_batch_with_extreme_numbers_comes_back_identical(tmp_path: Path, signal: Signal) -> None:
    given = replace(batch(1), signal=signal, base_id=(1 << 128) - 1, received_unix_nano=(1 << 63) - 1, records=0)

    async with opened(tmp_path) as buffer:
        await buffer.append(given, "local")
        stored = await everything(buffer, "local")

    assert stored == [given]


async def test_oldest_returns_batches_in_order_of_arrival_across_segments(tmp_path: Path) -> None:
    given = mixed(60, 20_000)

    async with opened(tmp_path, segment_bytes=MIB // 4) as buffer:
        for item in given:
            await buffer.append(item, "cloud")
        count = len(segments(tmp_path))
        stored = await everything(buffer, "cloud")

    assert count > 3
    assert stored == given


async def test_batch_for_two_destinations_is_stored_once_and_kept_until_both_have_it(tmp_path: Path) -> None:
    given = batch(1, MIB)

    async with opened(tmp_path) as buffer:
        await asyncio.gather(buffer.append(given, "local"), buffer.append(given, "cloud"))
        await drain(buffer, "local")
        left = await everything(buffer, "cloud")
    async with opened(tmp_path) as buffer:
        stored = disk_bytes(tmp_path)
        await drain(buffer, "cloud")

    assert left == [given]
    assert stored < 1.2 * MIB
    assert segments(tmp_path) == []


async def test_append_of_a_batch_that_waits_already_stores_nothing_more(tmp_path: Path) -> None:
    given = batch(1)

    async with opened(tmp_path) as buffer:
        for _ in range(3):
            await buffer.append(given, "cloud")
    async with opened(tmp_path) as buffer:
        await buffer.append(given, "cloud")
        status = buffer.status()["cloud"]
        stored = await everything(buffer, "cloud")

    assert (status.batches, status.records) == (1, given.records)
    assert stored == [given]


async def test_append_of_a_batch_that_was_replayed_before_lets_it_wait_again(tmp_path: Path) -> None:
    given, other = batch(1), batch(2)

    async with opened(tmp_path) as buffer:
        await buffer.append(given, "cloud")
        await buffer.append(other, "cloud")
        first = await buffer.oldest("cloud", 1)
        await buffer.remove("cloud", [first[0].position])
        await buffer.append(given, "cloud")
        stored = await everything(buffer, "cloud")

    assert sorted(item.base_id for item in stored) == [given.base_id, other.base_id]


async def test_same_id_of_another_signal_is_another_batch(tmp_path: Path) -> None:
    given = [replace(batch(1), signal=signal) for signal in SIGNALS.values()]

    async with opened(tmp_path) as buffer:
        for item in given:
            await buffer.append(item, "cloud")
        stored = await everything(buffer, "cloud")

    assert stored == given


async def test_status_after_reopen_is_what_it_was(tmp_path: Path) -> None:
    async with opened(tmp_path, segment_bytes=MIB // 4) as buffer:
        for item in mixed(40, 20_000):
            await buffer.append(item, "cloud")
        first = await buffer.oldest("cloud", 15)
        await buffer.remove("cloud", [item.position for item in first])
        before = dict(buffer.status())
    async with opened(tmp_path) as buffer:
        after = dict(buffer.status())

    assert before == after
    assert before["local"] == Backlog()
    assert (before["cloud"].batches, before["cloud"].oldest_unix_nano) == (25, batch(16).received_unix_nano)


async def test_oldest_of_so_many_bytes_returns_no_more_and_in_order_across_segments(tmp_path: Path) -> None:
    sizes = [40_000, 40_000, 150_000, 300_000, 1_000]
    given = [batch(number, size) for number, size in enumerate(sizes)]
    rounds, after = [], 0

    async with opened(tmp_path, segment_bytes=MIB // 4) as buffer:
        for item in given:
            await buffer.append(item, "cloud")
        while stored := await buffer.oldest("cloud", 10, after, max_bytes=100_000):
            rounds.append([item.batch for item in stored])
            after = stored[-1].position

    assert rounds == [given[:2], given[2:3], given[3:4], given[4:]]


async def test_removed_twice_or_unknown_positions_change_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as buffer:
        await buffer.append(batch(1), "cloud")
        await buffer.append(batch(2), "cloud")
        position = (await buffer.oldest("cloud", 1))[0].position
        for _ in range(2):
            await buffer.remove("cloud", [position, position, position + 77, 999 << 32])
        await buffer.remove("local", [position + 1])
        status = buffer.status()["cloud"]

    assert (status.batches, status.records) == (1, batch(2).records)


async def test_space_after_a_backlog_was_drained_is_given_back(tmp_path: Path) -> None:
    async with opened(tmp_path, segment_bytes=MIB) as buffer:
        await asyncio.gather(*(buffer.append(item, "cloud") for item in mixed(200, 40_000)))
        filled = disk_bytes(tmp_path)
        await drain(buffer, "cloud")
        left = disk_bytes(tmp_path)

    assert filled > 7 * MIB
    assert left < 100_000


async def test_destination_no_longer_configured_keeps_its_backlog_until_it_is_dropped(tmp_path: Path) -> None:
    given = batch(1)

    async with opened(tmp_path) as buffer:
        await buffer.append(given, "cloud")
    async with opened(tmp_path, destinations=["local"]) as buffer:
        reported = buffer.status()["cloud"]
        kept = await everything(buffer, "cloud")
        dropped = await buffer.drop("cloud")
        after = dict(buffer.status())

    assert kept == [given]
    assert reported == dropped
    assert dropped.records == given.records
    assert after == {"local": Backlog()}


async def test_batch_of_a_signal_unknown_to_this_version_is_kept_and_passed_over(tmp_path: Path) -> None:
    async with opened(tmp_path) as buffer:
        await buffer.append(batch(1), "cloud")
        await buffer.append(batch(2), "cloud")
    with sqlite3.connect(segments(tmp_path)[0]) as db:
        db.execute("UPDATE batches SET signal = 'profiles' WHERE row = 1")
    db.close()

    async with opened(tmp_path) as buffer:
        replayed = await drain(buffer, "cloud")
        status = buffer.status()["cloud"]
        again = await buffer.oldest("cloud", 10)
    async with opened(tmp_path) as buffer:
        kept = buffer.status()["cloud"]

    assert replayed == [batch(2)]
    assert again == []
    assert status.batches == kept.batches == 1


async def test_appends_at_once_share_transactions(tmp_path: Path) -> None:
    metrics = Metrics()

    async with opened(tmp_path, metrics=metrics) as buffer:
        await asyncio.gather(*(buffer.append(batch(i), "cloud") for i in range(200)))

    assert buffer.status()["cloud"].batches == 200
    assert metrics.value("commit_duration_seconds_count") < 20


async def test_appends_after_a_shared_transaction_wait_for_company_until_close(tmp_path: Path) -> None:
    metrics = Metrics()

    async with opened(tmp_path, metrics=metrics, commit_interval=3600) as buffer:
        await asyncio.gather(buffer.append(batch(1), "cloud"), buffer.append(batch(2), "cloud"))
        earlier = metrics.value("commit_duration_seconds_count")
        late = []
        for number in range(3, 6):
            late.append(asyncio.create_task(buffer.append(batch(number), "cloud")))
            await buffer.verify()  # whatever had been given to the files' thread by now is done
    await asyncio.gather(*late)

    assert metrics.value("commit_duration_seconds_count") == earlier + 1
    assert buffer.status()["cloud"].batches == 5


@pytest.mark.parametrize(("count", "size"), [(8, 2000), (2, 40_000)])
async def test_appends_worth_a_transaction_wait_for_no_more_company(tmp_path: Path, count: int, size: int) -> None:
    metrics = Metrics()

    async with opened(tmp_path, metrics=metrics, commit_interval=3600) as buffer:
        await asyncio.gather(buffer.append(batch(1), "cloud"), buffer.append(batch(2), "cloud"))
        earlier = metrics.value("commit_duration_seconds_count")
        await asyncio.gather(*(buffer.append(batch(number, size), "cloud") for number in range(3, count + 3)))

    assert metrics.value("commit_duration_seconds_count") == earlier + 1


async def test_appends_one_after_the_other_wait_for_no_company(tmp_path: Path) -> None:
    metrics = Metrics()

    async with opened(tmp_path, metrics=metrics, commit_interval=3600) as buffer:
        for number in range(3):
            await buffer.append(batch(number), "cloud")

    assert metrics.value("commit_duration_seconds_count") == 3


async def test_cancelled_append_leaves_others_and_the_buffer_whole(tmp_path: Path) -> None:
    given = mixed(50)

    async with opened(tmp_path) as buffer:
        tasks = [asyncio.create_task(buffer.append(item, "cloud")) for item in given]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        stored = await everything(buffer, "cloud")

    acknowledged = [item for item, outcome in zip(given, outcomes, strict=True) if outcome is None]
    assert len(acknowledged) >= 25
    assert all(item in stored for item in acknowledged)


async def test_close_writes_what_is_being_appended(tmp_path: Path) -> None:
    async with opened(tmp_path) as buffer:
        task = asyncio.create_task(buffer.append(batch(1), "cloud"))
        await asyncio.sleep(0)
    await task
    async with opened(tmp_path) as buffer:
        stored = await everything(buffer, "cloud")

    assert stored == [batch(1)]


async def test_use_after_close_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path) as buffer:
        pass

    with pytest.raises(BufferUnavailable, match="closed"):
        await buffer.append(batch(1), "cloud")
    with pytest.raises(BufferUnavailable, match="closed"):
        await buffer.oldest("cloud", 1)
    await buffer.close()


async def test_verify_of_a_sound_buffer_counts_all_and_finds_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as buffer:
        for item in mixed(10):
            await buffer.append(item, "cloud")
        report = await buffer.verify()

    assert report.ok
    assert (report.batches, report.records) == (10, sum(item.records for item in mixed(10)))


def test_config_with_too_small_a_bound_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="max_bytes is 1000"):
        BufferConfig(tmp_path, 1000)
