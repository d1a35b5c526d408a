"""One test for each kind of damage. In all the buffer opens, reports it, and brings back what can still be read."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from exporter.batch import Batch
from tests.exporter.buffer.support import (
    MIB,
    Metrics,
    batch,
    drain,
    everything,
    flip,
    mixed,
    opened,
    segments,
    set_aside,
)

PAGE = 4096
FRAME = PAGE + 24


async def fill(folder: Path, count: int = 20, size: int = 2000, segment_bytes: int = 8 * MIB) -> list[Batch]:
    """A closed buffer's folder with batches that wait for `cloud`."""
    given = mixed(count, size)
    async with opened(folder, segment_bytes=segment_bytes) as buffer:
        for item in given:
            await buffer.append(item, "cloud")
    return given


async def killed(folder: Path, copy: Path, count: int = 20) -> list[Batch]:
    """A folder as a killed process leaves it: each batch a transaction of its own, all of them in the log."""
    given = mixed(count)
    async with opened(folder) as buffer:
        for item in given:
            await buffer.append(item, "cloud")
        shutil.copytree(folder, copy)
    return given


def unfinished(folder: Path) -> list[Path]:
    return list(folder.glob("*.new*"))


def offset_of(file: Path, item: Batch) -> int:
    """Where a batch's payload (or its first piece) lies in a file."""
    found = file.read_bytes().find(item.payload[200:300])
    assert found > 0
    return found


def page_of_table(file: Path, name: str) -> int:
    """Where the root page of a table or index lies in a file."""
    db = sqlite3.connect(file)
    number = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (name,)).fetchone()[0]
    db.close()
    return int(number - 1) * PAGE


async def test_flipped_bit_in_a_payload_costs_that_batch_only(tmp_path: Path) -> None:
    given = await fill(tmp_path)
    flip(segments(tmp_path)[0], offset_of(segments(tmp_path)[0], given[6]))
    metrics = Metrics()

    async with opened(tmp_path, metrics=metrics) as buffer:
        report = await buffer.verify()
        found = await drain(buffer, "cloud")
        status = buffer.status()["cloud"]

    assert "batch 7: its checksum does not match" in report.damage[0]
    assert found == given[:6] + given[7:]
    assert status.batches == 0
    assert metrics.value("damaged_batches_total") == 1
    assert any("batch-7" in name for name in set_aside(tmp_path))


async def test_flipped_bit_in_a_payload_and_a_retry_stores_the_batch_anew(tmp_path: Path) -> None:
    given = await fill(tmp_path, 3)
    flip(segments(tmp_path)[0], offset_of(segments(tmp_path)[0], given[1]))

    async with opened(tmp_path) as buffer:
        await buffer.append(given[1], "cloud")
        found = await drain(buffer, "cloud")

    assert sorted(item.base_id for item in found) == [item.base_id for item in given]


@pytest.mark.parametrize("table", ["batches", "batches_by_base_id", "payloads", "pending", "waiting"])
async def test_flipped_bit_in_a_page_header_loses_no_batch_of_other_pages(tmp_path: Path, table: str) -> None:
    given = await fill(tmp_path, 60)
    file = segments(tmp_path)[0]
    flip(file, page_of_table(file, table), bit=4)
    metrics = Metrics()

    async with opened(tmp_path, metrics=metrics) as buffer:
        await buffer.append(batch(1000), "cloud")
        found = await drain(buffer, "cloud")

    lost = [item for item in given if item not in found]
    assert batch(1000) in found
    assert metrics.value("set_aside_files_total") == 1
    assert metrics.value("damaged_batches_total") == len(lost)
    # The roots of both tables that hold batches are interior pages here: all rows hang on them.
    assert table in {"batches", "payloads"} or lost == []


async def test_flipped_bits_in_all_segments_at_once_lose_nothing_that_can_be_read(tmp_path: Path) -> None:
    given = await fill(tmp_path, 40, 20_000, MIB // 4)
    files = segments(tmp_path)
    for file, table in zip(files, ["pending", "batches_by_base_id", "waiting", "pending"], strict=False):
        flip(file, page_of_table(file, table), bit=4)

    async with opened(tmp_path) as buffer:
        for item in given:
            await buffer.append(item, "local")
        found = await drain(buffer, "cloud")
        local = await drain(buffer, "local")

    assert len(files) >= 4
    assert {item.base_id for item in found} == {item.base_id for item in given}
    assert {item.base_id for item in local} == {item.base_id for item in given}


async def test_flipped_bit_anywhere_never_stops_the_buffer_nor_returns_a_wrong_batch(tmp_path: Path) -> None:
    original = tmp_path / "original"
    given = await fill(original, 20, 1500)
    size = segments(original)[0].stat().st_size
    # A stride that meets every page, at another place in each.
    for round_, offset in enumerate(range(0, size, 1151)):
        folder = tmp_path / str(offset)
        shutil.copytree(original, folder)
        flip(segments(folder)[0], offset, bit=round_ % 8)
        metrics = Metrics()

        async with opened(folder, metrics=metrics) as buffer:
            await buffer.append(batch(1000), "cloud")
            found = await drain(buffer, "cloud")
            left = buffer.status()["cloud"].batches

        missing = [item for item in given if item not in found]
        reported = metrics.value("damaged_batches_total") + metrics.value("set_aside_files_total")
        assert batch(1000) in found, offset
        assert all(item in given for item in found if item != batch(1000)), offset
        assert not missing or reported or left, offset
        shutil.rmtree(folder)


async def test_torn_tail_of_the_log_costs_only_what_was_not_acknowledged(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    given = await killed(tmp_path / "original", copy)
    log = segments(copy)[0].with_name(segments(copy)[0].name + "-wal")
    os.truncate(log, log.stat().st_size - PAGE // 2)
    metrics = Metrics()

    async with opened(copy, metrics=metrics) as buffer:
        found = await drain(buffer, "cloud")

    assert found == given[:-1]
    assert metrics.value("damaged_batches_total") == 0


async def test_unfinished_last_transaction_of_the_log_is_dropped_and_kept_beside(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    given = await killed(tmp_path / "original", copy)
    log = segments(copy)[0].with_name(segments(copy)[0].name + "-wal")
    # A power cut writes pages in any order: the last one is there, the one before it is not.
    flip(log, log.stat().st_size - FRAME - 100)

    async with opened(copy) as buffer:
        found = await drain(buffer, "cloud")

    assert found == given[:-1]
    assert any("-wal" in name for name in set_aside(copy))


@pytest.mark.parametrize("where", [10, 18, 32 + 9, 32 + 24 + 50, 0.3, 0.5, 0.7])
async def test_flipped_bit_in_the_log_loses_at_most_the_batch_it_is_in(tmp_path: Path, where: float) -> None:
    copy = tmp_path / "copy"
    given = await killed(tmp_path / "original", copy)
    log = segments(copy)[0].with_name(segments(copy)[0].name + "-wal")
    flip(log, int(where if where > 1 else log.stat().st_size * where), bit=2)
    metrics = Metrics()

    async with opened(copy, metrics=metrics) as buffer:
        found = await drain(buffer, "cloud")

    assert len([item for item in given if item not in found]) <= 1
    assert all(item in given for item in found)
    assert metrics.value("set_aside_files_total") >= 1
    assert any("-wal" in name for name in set_aside(copy))


async def test_missing_segment_is_reported_and_the_others_go_on(tmp_path: Path) -> None:
    given = await fill(tmp_path, 40, 20_000, MIB // 4)
    segments(tmp_path)[1].unlink()
    metrics = Metrics()

    async with opened(tmp_path, metrics=metrics) as buffer:
        found = await drain(buffer, "cloud")
    async with opened(tmp_path, metrics=(again := Metrics())):
        pass

    assert 0 < len(found) < len(given)
    assert all(item in given for item in found)
    assert metrics.value("missing_files_total") == 1
    assert again.value("missing_files_total") == 0


@pytest.mark.parametrize("content", [b"", b"no database " * 1000, b"SQLite format 3\0" + bytes(84)])
async def test_empty_or_garbage_segment_is_set_aside_and_the_others_go_on(tmp_path: Path, content: bytes) -> None:
    given = await fill(tmp_path, 40, 20_000, MIB // 4)
    name = segments(tmp_path)[1].name
    segments(tmp_path)[1].write_bytes(content)
    metrics = Metrics()

    async with opened(tmp_path, metrics=metrics) as buffer:
        found = await drain(buffer, "cloud")

    assert 0 < len(found) < len(given)
    assert set_aside(tmp_path)[0].startswith(name)
    assert metrics.value("set_aside_files_total") == 1


async def test_segment_cut_short_keeps_what_is_left(tmp_path: Path) -> None:
    given = await fill(tmp_path, 60)
    file = segments(tmp_path)[0]
    os.truncate(file, file.stat().st_size // 2 // PAGE * PAGE)

    async with opened(tmp_path) as buffer:
        found = await drain(buffer, "cloud")

    assert len(found) > 10
    assert all(item in given for item in found)


@pytest.mark.parametrize("content", ["", "{", '{"segments": 7}', '{"segments": ["x"]}', "[]"])
async def test_damaged_list_of_segments_is_set_aside_and_nothing_lost(tmp_path: Path, content: str) -> None:
    given = await fill(tmp_path)
    (tmp_path / "manifest.json").write_text(content)

    async with opened(tmp_path) as buffer:
        found = await everything(buffer, "cloud")

    assert found == given
    assert set_aside(tmp_path)[0].startswith("manifest.json")


async def test_segment_of_a_newer_format_is_left_alone_and_worked_beside(tmp_path: Path) -> None:
    given = await fill(tmp_path)
    newer = segments(tmp_path)[0]
    flip(newer, 63, bit=1)
    before = newer.read_bytes()
    listed = json.loads((tmp_path / "manifest.json").read_text())["segments"]

    async with opened(tmp_path) as buffer:
        await buffer.append(given[0], "cloud")
        report = await buffer.verify()
        found = await drain(buffer, "cloud")

    assert found == given[:1]
    assert report.untouched == (newer.name,)
    assert newer.read_bytes() == before
    assert newer.exists()
    assert listed == [1]


async def test_lost_entries_of_what_waits_are_noticed_before_the_segment_goes(tmp_path: Path) -> None:
    given = await fill(tmp_path)
    db = sqlite3.connect(segments(tmp_path)[0], isolation_level=None)
    db.execute("DELETE FROM pending WHERE row % 2")
    db.close()

    async with opened(tmp_path) as buffer:
        found = await drain(buffer, "cloud")

    assert all(item in found for item in given)


async def test_half_made_segment_is_removed_at_the_start(tmp_path: Path) -> None:
    given = await fill(tmp_path)
    (tmp_path / "segment-0000000002.new").write_bytes(b"half")
    (tmp_path / "segment-0000000002.new-journal").write_bytes(b"half")

    async with opened(tmp_path) as buffer:
        found = await everything(buffer, "cloud")

    assert found == given
    assert unfinished(tmp_path) == []
