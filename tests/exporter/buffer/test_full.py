"""No room: at the buffer's own bound, on a full disk, and afterwards."""

from __future__ import annotations

import errno
import resource
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from exporter.buffer import BufferFull, RetryBuffer, VolumeTooSmall
from exporter.errors import TooLarge
from tests.exporter.buffer.faulty import Fault, SmallVolume
from tests.exporter.buffer.support import MIB, Metrics, batch, disk_bytes, drain, everything, opened, set_aside


async def fill(buffer: RetryBuffer, size: int = 50_000) -> int:
    """Append until there is no room. Returns how many were taken."""
    number = 0
    with suppress(BufferFull):
        while True:
            await buffer.append(batch(number, size), "cloud")
            number += 1
    return number


async def test_full_buffer_refuses_and_takes_again_once_drained(tmp_path: Path) -> None:
    metrics = Metrics()

    async with opened(tmp_path, max_bytes=4 * MIB, metrics=metrics) as buffer:
        taken = await fill(buffer)
        filled = disk_bytes(tmp_path)
        stored = await drain(buffer, "cloud")
        await buffer.append(batch(taken, 50_000), "cloud")
        after = await everything(buffer, "cloud")

    assert 2 * MIB < filled <= 4 * MIB
    assert stored == [batch(i, 50_000) for i in range(taken)]
    assert after == [batch(taken, 50_000)]
    assert metrics.value("refused_batches_total", reason="full") == 1


async def test_full_buffer_still_acknowledges_what_waits_in_it(tmp_path: Path) -> None:
    async with opened(tmp_path, max_bytes=2 * MIB) as buffer:
        await fill(buffer)
        before = buffer.status()

        await buffer.append(batch(0, 50_000), "cloud")

        assert buffer.status() == before


async def test_full_buffer_told_to_drop_oldest_takes_the_new_and_counts_the_dropped(tmp_path: Path) -> None:
    metrics = Metrics()
    given = [batch(i, 50_000) for i in range(150)]

    async with opened(tmp_path, max_bytes=4 * MIB, overflow="drop_oldest", metrics=metrics) as buffer:
        for item in given:
            await buffer.append(item, "cloud")
        filled = disk_bytes(tmp_path)
        stored = await everything(buffer, "cloud")

    dropped = given[: len(given) - len(stored)]
    assert filled <= 4 * MIB
    assert stored == given[len(dropped) :]
    assert metrics.value("dropped_records_total", destination="cloud") == sum(item.records for item in dropped) > 0


@pytest.mark.parametrize("overflow", ["refuse", "drop_oldest"])
async def test_batch_larger_than_the_bound_is_refused_for_good_and_costs_nothing(tmp_path: Path, overflow: str) -> None:
    metrics = Metrics()
    given = [batch(number, 20_000) for number in range(20)]

    async with opened(tmp_path, max_bytes=MIB, overflow=overflow, metrics=metrics) as buffer:
        for item in given:
            await buffer.append(item, "cloud")
        with pytest.raises(TooLarge, match=r"takes 2,098,176 bytes .* holds 1,048,576 at most"):
            await buffer.append(batch(1000, MIB), "cloud")
        found = await everything(buffer, "cloud")

    assert found == given
    assert metrics.value("refused_batches_total", reason="too_large") == 1
    assert metrics.value("dropped_records_total", destination="cloud") == 0


async def test_batch_for_which_dropping_all_would_not_make_room_drops_nothing(tmp_path: Path) -> None:
    given = [batch(number, 20_000) for number in range(10)]
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "segment-0000000001.sqlite.1700000000000000000").write_bytes(bytes(3 * MIB))

    async with opened(tmp_path, max_bytes=4 * MIB, overflow="drop_oldest") as buffer:
        for item in given:
            await buffer.append(item, "cloud")
        with pytest.raises(BufferFull, match=r"3,145,728 of them by damaged files \(otlp-mongo buffer damaged list\)"):
            await buffer.append(batch(1000, MIB), "cloud")
        found = await everything(buffer, "cloud")

    assert found == given


async def test_room_that_does_not_grow_by_dropping_is_not_dropped_for(tmp_path: Path) -> None:
    given = [batch(number, 50_000) for number in range(20)]
    system = SmallVolume(64 * MIB, 60 * MIB)

    async with opened(tmp_path, overflow="drop_oldest", segment_bytes=MIB // 4, system=system) as buffer:
        for item in given:
            await buffer.append(item, "cloud")
        system.free = 50_000  # and stays, as where a snapshot holds what is deleted
        with pytest.raises(BufferFull):
            await buffer.append(batch(1000), "cloud")
        found = await everything(buffer, "cloud")

    assert len(given) - 5 <= len(found) < len(given)


async def test_volume_with_too_little_left_is_not_filled_and_says_so_in_figures(tmp_path: Path) -> None:
    system = SmallVolume(1 << 36, 64 * MIB)

    async with opened(tmp_path, min_free_bytes=64 * MIB, system=system) as buffer:
        with pytest.raises(BufferFull, match=r"volume has 67,108,864 free, of which 67,108,864 are left alone"):
            await buffer.append(batch(1), "cloud")


async def test_volume_smaller_than_the_reserve_can_be_used(tmp_path: Path) -> None:
    system = SmallVolume(32 * MIB, 32 * MIB)

    async with opened(tmp_path, min_free_bytes=64 * MIB, system=system) as buffer:
        await buffer.append(batch(1), "cloud")
        system.free = 2 * MIB
        with pytest.raises(BufferFull):
            await buffer.append(batch(2), "cloud")


async def test_volume_too_small_for_any_buffer_is_refused_at_the_start_with_the_figures(tmp_path: Path) -> None:
    with pytest.raises(VolumeTooSmall, match=r"has 1\.0 MiB, of which 0\.1 MiB are left alone"):
        async with opened(tmp_path, min_free_bytes=64 * MIB, system=SmallVolume(MIB, MIB)):
            pass


async def test_volume_that_does_not_tell_its_size_bounds_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path, min_free_bytes=64 * MIB, system=SmallVolume(0, 0)) as buffer:
        await buffer.append(batch(1), "cloud")


async def test_volume_without_a_free_inode_is_full(tmp_path: Path) -> None:
    system = SmallVolume(1 << 36, 1 << 35, free_files=0)
    system.faults.append(Fault("open", errno.ENOSPC, where="segment-"))

    async with opened(tmp_path, system=system) as buffer:
        with pytest.raises(BufferFull, match="inodes"):
            await buffer.append(batch(1), "cloud")
        system.faults.clear()
        await buffer.append(batch(1), "cloud")


_ON_SMALL_DISK = """
import asyncio, pathlib, sys
from exporter.errors import Unavailable
from tests.exporter.buffer.support import *

async def main(folder):
    async with opened(folder) as buffer:
        taken = 0
        try:
            while taken < 150:
                await buffer.append(batch(taken, 50_000), "cloud")
                taken += 1
        except Unavailable as error:
            print(type(error).__name__, flush=True)
        first = await everything(buffer, "cloud")
        assert first == [batch(i, 50_000) for i in range(taken)], len(first)
        sys.stdin.readline()
        await drain(buffer, "cloud")
        await buffer.append(batch(taken, 50_000), "cloud")
        assert await everything(buffer, "cloud") == [batch(taken, 50_000)]
        print("recovered after", taken, flush=True)

asyncio.run(main(pathlib.Path(sys.argv[1])))
"""


def on_small_disk(folder: Path, file_limit: int | None = None) -> list[str]:
    """Fill a disk with the buffer in a process of its own, and see that it comes back."""

    def limit() -> None:
        if file_limit is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))

    command = [sys.executable, "-c", _ON_SMALL_DISK, str(folder)]
    root = str(Path(__file__).parents[3])
    done = subprocess.run(command, input="\n", capture_output=True, text=True, cwd=root, preexec_fn=limit, timeout=50)
    assert done.returncode == 0, done.stderr
    return [line for line in done.stdout.splitlines() if not line.startswith("20")]


def test_file_that_can_grow_no_further_is_followed_by_the_next(tmp_path: Path) -> None:
    lines = on_small_disk(tmp_path, file_limit=MIB)

    assert lines == ["recovered after 150"]


def test_full_disk_refuses_and_recovers_once_drained(small_disk: Path) -> None:
    lines = on_small_disk(small_disk / "buffer")

    assert lines[0] == "BufferFull"
    assert lines[1].startswith("recovered")


async def test_start_after_a_crash_on_a_full_disk_finds_everything_and_no_damage(
    small_disk: Path, tmp_path: Path
) -> None:
    folder, batches = small_disk / "buffer", [batch(i, 20_000) for i in range(20)]
    async with opened(tmp_path / "buffer") as buffer:
        for item in batches:
            await buffer.append(item, "cloud")
        shutil.copytree(tmp_path / "buffer", folder)  # what a crash leaves: all of it in the log
    with suppress(OSError), (small_disk / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(4096))
    metrics = Metrics()

    async with opened(folder, metrics=metrics) as buffer:
        waiting = buffer.status()["cloud"].batches
        found = await everything(buffer, "cloud")

    assert waiting == len(batches)
    assert found == batches
    assert set_aside(folder) == []
    assert metrics.value("set_aside_files_total") == 0
