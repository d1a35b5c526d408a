from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
from pathlib import Path

import pytest

from exporter.buffer import schema, wal
from exporter.buffer.file_system import RealFileSystem
from tests.exporter.buffer.support import Metrics, batch, everything, flip, opened, segments

_FRAME = 24 + schema.PAGE_BYTES
"""Bytes of a page in the log, with its header."""


@pytest.fixture
async def crashed(tmp_path: Path) -> Path:
    """A segment whose batches are all in its log, as after a crash."""
    async with opened(tmp_path / "buffer") as buffer:
        for number in range(8):
            await buffer.append(batch(number, 9_000), "cloud")
        (segment,) = segments(tmp_path / "buffer")
        for file in (segment, segment.with_name(segment.name + "-wal")):
            shutil.copy(file, tmp_path)
    return tmp_path / segment.name


def test_readable_of_a_sound_log_is_all_that_was_committed(crashed: Path) -> None:
    log_file = crashed.with_name(crashed.name + "-wal")

    log = wal.inspect(RealFileSystem(), log_file)

    assert log
    assert len(log.commits) == 8
    assert log.lost == 0
    assert log.readable == log.commits[-1] == _read_by_sqlite(crashed)


@pytest.mark.parametrize("seed", range(12))
def test_readable_of_a_damaged_log_is_what_sqlite_reads(crashed: Path, seed: int) -> None:
    log_file = crashed.with_name(crashed.name + "-wal")
    # The first ones in the header, whose every byte counts.
    offset = random.Random(seed).randrange(32 if seed < 4 else log_file.stat().st_size)
    flip(log_file, offset)

    log = wal.inspect(RealFileSystem(), log_file)

    assert log
    read = _read_by_sqlite(crashed)
    assert log.lost == sum(commit > read for commit in log.commits)


@pytest.mark.parametrize("torn", range(1, 5))
async def test_log_torn_among_removals_by_a_power_cut_is_read_up_to_there(tmp_path: Path, torn: int) -> None:
    """Removals are not synced: any of the last ones may be torn while those behind it are whole."""
    async with opened(tmp_path / "live") as buffer:
        for number in range(8):
            await buffer.append(batch(number, 9_000), "cloud")
        (segment,) = segments(tmp_path / "live")
        log_file = segment.with_name(segment.name + "-wal")
        stored = log_file.stat().st_size
        for item in await buffer.oldest("cloud", 4):
            await buffer.remove("cloud", [item.position])
        shutil.copytree(tmp_path / "live", tmp_path / "cut")
    log_file = tmp_path / "cut" / log_file.name
    log = await asyncio.to_thread(wal.inspect, RealFileSystem(), log_file)
    assert log
    frame = log.commits[8 + torn - 1]  # the transaction behind those of the appends
    assert 32 + (frame - 1) * _FRAME >= stored
    with log_file.open("r+b") as stream:
        stream.seek(32 + (frame - 1) * _FRAME + 600)
        stream.write(b"x" * 512)
    metrics = Metrics()

    async with opened(tmp_path / "cut", metrics=metrics) as buffer:
        found = await everything(buffer, "cloud")
        report = await buffer.verify()

    assert found == [batch(number, 9_000) for number in range(torn - 1, 8)]
    assert report.ok
    assert metrics.value("set_aside_files_total") == 0


def _read_by_sqlite(segment: Path) -> int:
    with contextlib.closing(schema.connect(RealFileSystem(), segment)) as db:
        return int(db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1])
