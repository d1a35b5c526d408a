from __future__ import annotations

import contextlib
import random
import shutil
from pathlib import Path

import pytest

from exporter.buffer import schema, wal
from exporter.buffer.file_system import RealFileSystem
from tests.exporter.buffer.support import batch, flip, opened, segments


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


def _read_by_sqlite(segment: Path) -> int:
    with contextlib.closing(schema.connect(RealFileSystem(), segment)) as db:
        return int(db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1])
