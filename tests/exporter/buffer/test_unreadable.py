"""Files that cannot be read now: they stay where they are, are told of, and come back by themselves."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exporter.batch import Batch
from exporter.buffer import BufferOpenError, BufferUnavailable, RetryBuffer
from exporter.buffer.connections import MOST_OPEN
from tests.exporter.buffer.faulty import Fault, FaultyFileSystem, sqlite_error
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

ROOT = Path(__file__).parents[3]
SOON: dict[str, Any] = {"retry_interval": 0.01}
PAGE = 4096


async def fill(folder: Path, count: int = 40, **settings: Any) -> list[Batch]:
    """A closed buffer with several segments."""
    given = mixed(count, 20_000)
    async with opened(folder, **{"segment_bytes": MIB // 4, **settings}) as buffer:
        for item in given:
            await buffer.append(item, "cloud")
    return given


async def readable(buffer: RetryBuffer) -> None:
    """Return once all files can be read."""
    async with asyncio.timeout(20):
        while buffer.state().unreadable:  # noqa: ASYNC110 - from memory: there is no event
            await asyncio.sleep(0.005)


async def run(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own."""
    command = [sys.executable, "-c", program, str(folder)]
    return await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, cwd=ROOT, timeout=55)


@pytest.mark.parametrize("lock", ["BEGIN EXCLUSIVE", "BEGIN; SELECT count(*) FROM batches"])
async def test_segment_that_another_process_has_locked_at_the_start_comes_back_when_it_is_free(
    tmp_path: Path, lock: str
) -> None:
    given = await fill(tmp_path)
    other = sqlite3.connect(segments(tmp_path)[1], isolation_level=None)
    for statement in lock.split("; "):
        other.execute(statement).fetchall()
    metrics, returned = Metrics(), asyncio.Event()

    async with opened(tmp_path, metrics=metrics, **SOON) as buffer:
        buffer.on_return(returned.set)
        unreadable, gauge = buffer.state().unreadable, metrics.value("unreadable_files")
        early = await everything(buffer, "cloud")
        await buffer.append(batch(1000), "cloud")
        other.close()
        async with asyncio.timeout(20):
            await returned.wait()
        await readable(buffer)
        found = await drain(buffer, "cloud")

    assert [(file.name, file.reason) for file in unreadable] == [(f"segment-{2:010}.sqlite", "database is locked")]
    assert gauge == 1
    assert 0 < len(early) < len(given)
    assert found == [*given, batch(1000)]
    assert set_aside(tmp_path) == []
    assert metrics.value("unreadable_files") == metrics.value("set_aside_files_total") == 0


_AS_NOBODY = """
import asyncio, os, pathlib, sys
from tests.exporter.buffer.support import batch, everything, opened

async def main(folder):
    async with opened(folder) as buffer:
        await buffer.append(batch(1000), "cloud")
        names = [file.name for file in buffer.state().unreadable]
        print(len(await everything(buffer, "cloud")), *names)

asyncio.run(asyncio.sleep(0))
os.setgroups([]); os.setegid(65534); os.seteuid(65534)
asyncio.run(main(pathlib.Path(sys.argv[1])))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of two users")
@pytest.mark.parametrize("mode", [0o600, 0o644])
async def test_segment_of_another_user_stays_and_comes_back(in_memory: Path, mode: int) -> None:
    folder = in_memory / "buffer"
    given = await fill(folder)
    files = segments(folder)
    for file in (folder, *folder.iterdir()):
        os.chown(file, 65534, 65534)
    os.chown(files[1], 0, 0)
    files[1].chmod(mode)

    done = await run(_AS_NOBODY, folder)

    assert done.returncode == 0, done.stderr
    count, *names = done.stdout.splitlines()[-1].split()
    assert names == [files[1].name]
    assert 1 < int(count) < len(given) + 1
    assert files[1].stat().st_uid == 0
    assert set_aside(folder) == []
    async with opened(folder) as buffer:
        assert await drain(buffer, "cloud") == [*given, batch(1000)]


_FEW_DESCRIPTORS = """
import asyncio, pathlib, resource, sys
from tests.exporter.buffer.support import batch, drain, opened

async def main(folder):
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    async with opened(folder, max_bytes=1 << 30, segment_bytes=40_000) as buffer:
        before = buffer.status()["cloud"].batches
        for number in range(1000, 1010):
            await buffer.append(batch(number), "cloud")
        print(before, len(buffer.state().unreadable), len(await drain(buffer, "cloud")))

asyncio.run(main(pathlib.Path(sys.argv[1])))
"""


@pytest.fixture
def in_memory() -> Iterator[Path]:
    """A folder where an fsync costs nothing."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.timeout(180)
async def test_backlog_of_more_segments_than_descriptors_is_opened_appended_to_and_replayed(in_memory: Path) -> None:
    async with opened(in_memory, max_bytes=1 << 30, segment_bytes=40_000) as buffer:
        for number in range(410):
            await buffer.append(batch(number, 6000), "cloud")
        count = len(segments(in_memory))
        connections = len(buffer._store._segments._connections)

    done = await run(_FEW_DESCRIPTORS, in_memory)

    assert count >= 200
    assert connections <= MOST_OPEN
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "410 0 420"
    assert set_aside(in_memory) == []


@pytest.mark.parametrize("kind", ["symlink", "folder", "pipe"])
async def test_what_is_no_file_under_a_segments_name_is_left_alone_and_hangs_nothing(tmp_path: Path, kind: str) -> None:
    given = await fill(tmp_path)
    intruder = tmp_path / f"segment-{99:010}.sqlite"
    if kind == "symlink":
        intruder.symlink_to(segments(tmp_path)[0])
    elif kind == "folder":
        intruder.mkdir()
    else:
        os.mkfifo(intruder)

    async with asyncio.timeout(20), opened(tmp_path, **SOON) as buffer:
        unreadable = buffer.state().unreadable
        for number in range(1000, 1020):
            await buffer.append(batch(number, 20_000), "cloud")
        found = await everything(buffer, "cloud")

    assert [file.name for file in unreadable] == [intruder.name]
    assert "no regular file" in unreadable[0].reason
    assert found[: len(given)] == given
    assert len(found) == len(given) + 20
    assert intruder.is_symlink() or not intruder.is_file()
    assert f"segment-{100:010}.sqlite" in {file.name for file in segments(tmp_path)}


async def test_number_of_a_segment_that_cannot_be_read_is_not_used_again(tmp_path: Path) -> None:
    given = await fill(tmp_path)
    newest = segments(tmp_path)[-1]
    system = FaultyFileSystem()
    system.faults.append(Fault("open", errno.EIO, where=newest.name))
    system.faults.append(Fault("list", errno.EIO, times=2))

    async with opened(tmp_path, system=system, **SOON) as buffer:
        await buffer.append(batch(1000), "cloud")
        system.faults.clear()
        await readable(buffer)
        found = await everything(buffer, "cloud")

    assert found == [*given, batch(1000)]


async def test_segment_that_is_written_to_and_gets_deleted_loses_nothing(tmp_path: Path) -> None:
    given = mixed(20)
    metrics = Metrics()

    async with opened(tmp_path, metrics=metrics) as buffer:
        for item in given[:10]:
            await buffer.append(item, "cloud")
        segments(tmp_path)[0].unlink()
        for item in given[10:]:
            await buffer.append(item, "cloud")
    async with opened(tmp_path) as buffer:
        found = await drain(buffer, "cloud")

    assert sorted(item.base_id for item in found) == [item.base_id for item in given]
    assert metrics.value("missing_files_total") == 1


async def test_segment_that_gets_deleted_while_it_is_closed_is_reported_and_the_others_go_on(tmp_path: Path) -> None:
    given = await fill(tmp_path, 120)
    metrics = Metrics()

    async with opened(tmp_path, metrics=metrics, **SOON) as buffer:
        segments(tmp_path)[0].unlink()
        found = await everything(buffer, "cloud")
        await readable(buffer)
        waiting = buffer.status()["cloud"].batches

    assert len(given) - 15 < len(found) < len(given)
    assert waiting == len(found)
    assert metrics.value("missing_files_total") == 1


async def test_list_of_segments_that_cannot_be_read_is_not_set_aside_and_read_later(tmp_path: Path) -> None:
    given = await fill(tmp_path)
    segments(tmp_path)[1].unlink()
    before = (tmp_path / "manifest.json").read_bytes()
    system, metrics = FaultyFileSystem(), Metrics()
    system.faults.append(Fault("read", errno.EIO, where="manifest.json"))

    async with opened(tmp_path, system=system, metrics=metrics, **SOON) as buffer:
        await buffer.append(batch(1000), "cloud")
        kept = (tmp_path / "manifest.json").read_bytes()
        early = metrics.value("missing_files_total")
        system.faults.clear()
        await readable(buffer)
        found = await everything(buffer, "cloud")

    assert kept == before
    assert (early, metrics.value("missing_files_total")) == (0, 1)
    assert 1 < len(found) < len(given) + 1
    assert set_aside(tmp_path) == []


@pytest.mark.parametrize(
    ("operation", "error", "text"),
    [
        ("lock", errno.ENOLCK, "No locks available"),
        ("open", errno.EMFILE, "Too many open files"),
        ("open", errno.EIO, "Input/output error"),
        ("open", errno.ENOSPC, "No space left on device"),
    ],
)
async def test_folder_that_cannot_be_locked_is_refused_with_the_reason_and_untouched(
    tmp_path: Path, operation: str, error: int, text: str
) -> None:
    given = await fill(tmp_path)
    system = FaultyFileSystem()
    system.faults.append(Fault(operation, error, where="/lock"))

    with pytest.raises(BufferOpenError, match=rf"{tmp_path}.*{text}"):
        async with opened(tmp_path, system=system):
            pass

    async with opened(tmp_path) as buffer:
        assert await everything(buffer, "cloud") == given


async def test_damaged_batch_that_cannot_be_kept_goes_on_waiting_and_holds_up_no_other(tmp_path: Path) -> None:
    given = await fill(tmp_path, 10, segment_bytes=8 * MIB)
    file = segments(tmp_path)[0]
    flip(file, file.read_bytes().find(given[2].payload[200:300]))
    system, metrics = FaultyFileSystem(), Metrics()
    system.faults.append(Fault("write", errno.ENOSPC, where="damaged"))

    async with opened(tmp_path, system=system, metrics=metrics) as buffer:
        early = await everything(buffer, "cloud")
        lost = metrics.value("damaged_batches_total")
        waiting = buffer.status()["cloud"].batches
        system.faults.clear()
        late = await everything(buffer, "cloud")

    assert early == late == given[:2] + given[3:]
    assert (lost, metrics.value("damaged_batches_total")) == (0, 1)
    assert waiting == len(given)
    assert len(set_aside(tmp_path)) == 1


class BadRows(FaultyFileSystem):
    """Cannot read some batches of the first segment."""

    def __init__(self, *rows: int) -> None:
        super().__init__()
        self.rows = set(rows)

    def check_row(self, row: int, path: str) -> None:
        if row in self.rows and path.endswith(f"{1:010}.sqlite"):
            raise sqlite_error(sqlite3.SQLITE_IOERR_READ)


async def test_batch_that_cannot_be_read_now_holds_up_no_other_and_comes_later(tmp_path: Path) -> None:
    given = await fill(tmp_path, 10, segment_bytes=8 * MIB)
    system = BadRows(3, 4)

    async with opened(tmp_path, system=system, **SOON) as buffer:
        early = await drain(buffer, "cloud")
        unreadable, waiting = buffer.state().unreadable, buffer.status()["cloud"].batches
        system.rows.clear()
        await readable(buffer)
        late = await drain(buffer, "cloud")

    assert early == given[:2] + given[4:]
    assert "made to fail with 266" in unreadable[0].reason
    assert waiting == 2
    assert late == given[2:4]


async def test_damaged_segment_that_cannot_be_moved_stays_and_loses_nothing(tmp_path: Path) -> None:
    given = await fill(tmp_path, 10, segment_bytes=8 * MIB)
    _damage_pending(segments(tmp_path)[0])
    system, metrics = FaultyFileSystem(), Metrics()
    system.faults.append(Fault("rename", errno.EROFS, where="segment-0000000001.sqlite"))

    async with opened(tmp_path, system=system, metrics=metrics, **SOON) as buffer:
        unreadable = buffer.state().unreadable
        found = await everything(buffer, "cloud")
        there = segments(tmp_path)[0].exists()
        system.faults.clear()
        await readable(buffer)
        again = await everything(buffer, "cloud")

    assert "cannot be rescued yet" in unreadable[0].reason
    assert there
    assert found == again == given
    assert metrics.value("set_aside_files_total") == 1
    assert metrics.value("damaged_batches_total") == 0


async def test_damaged_folder_on_another_volume_takes_the_file_all_the_same(tmp_path: Path) -> None:
    given = await fill(tmp_path, 10, segment_bytes=8 * MIB)
    _damage_pending(segments(tmp_path)[0])
    system = FaultyFileSystem()
    system.faults.append(Fault("rename", errno.EXDEV, where="segment-0000000001.sqlite"))

    async with opened(tmp_path, system=system) as buffer:
        found = await everything(buffer, "cloud")

    assert found == given
    assert len(set_aside(tmp_path)) == 1
    assert f"segment-{1:010}.sqlite" not in {file.name for file in segments(tmp_path)}


async def test_rescue_that_could_not_read_everything_leaves_the_file_and_goes_on_later_without_copies(
    tmp_path: Path,
) -> None:
    given = await fill(tmp_path, 10, segment_bytes=8 * MIB)
    _damage_pending(segments(tmp_path)[0])
    system, metrics = BadRows(3, 4), Metrics()

    async with opened(tmp_path, system=system, metrics=metrics, **SOON) as buffer:
        unreadable = buffer.state().unreadable
        early = await drain(buffer, "cloud")
        there = segments(tmp_path)[0].name
        system.rows.clear()
        await readable(buffer)
        late = await drain(buffer, "cloud")

    assert len(unreadable) == 1
    assert there == f"segment-{1:010}.sqlite"
    assert early == given[:2] + given[4:]
    assert late == given[2:4]
    assert metrics.value("damaged_batches_total") == 0


@pytest.mark.parametrize("operation", ["write", "fsync", "rename", "open"])
@pytest.mark.parametrize("where", ["damaged", "-wal.new", "-wal"])
async def test_mending_a_log_that_fails_at_any_step_loses_nothing_and_is_done_later(
    tmp_path: Path, operation: str, where: str
) -> None:
    given = mixed(20)
    async with opened(tmp_path / "original") as buffer:
        for item in given:
            await buffer.append(item, "cloud")
        shutil.copytree(tmp_path / "original", tmp_path / "killed")
    folder = tmp_path / "killed"
    log = segments(folder)[0].with_name(segments(folder)[0].name + "-wal")
    flip(log, log.stat().st_size // 2, bit=2)
    before = log.read_bytes()
    system = FaultyFileSystem()
    system.faults.append(Fault(operation, errno.ENOSPC, where=where))

    async with opened(folder, system=system, **SOON) as buffer:
        failed = bool(system.faults[0].hits)
        untouched = log.exists() and log.read_bytes() == before
        system.faults.clear()
        await readable(buffer)
        found = await drain(buffer, "cloud")

    assert untouched or not failed
    assert len([item for item in given if item not in found]) <= 1
    assert [name for name in set_aside(folder) if "-wal" in name and not name.endswith(".new")]


async def test_files_and_folders_are_private_also_those_of_earlier_versions(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "buffer"
    (folder / "damaged").mkdir(parents=True)
    (folder / "damaged" / "notes.1700000000000000000").write_bytes(b"x")
    await fill(folder, 5)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)

    async with opened(folder) as buffer:
        await buffer.append(batch(1000), "cloud")
        log = segments(folder)[0].with_name(segments(folder)[0].name + "-wal")
        modes = {str(path.relative_to(folder)): path.stat().st_mode & 0o777 for path in (folder, *folder.rglob("*"))}

    assert log.name in modes
    assert {modes.pop("."), modes.pop("damaged")} == {0o700}
    assert set(modes.values()) == {0o600}


async def test_new_folder_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        await fill(tmp_path / "a" / "buffer", 5)
    finally:
        os.umask(before)

    assert (tmp_path / "a" / "buffer").stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "a" / "buffer").iterdir()} == {0o600}


async def test_log_without_its_segment_is_set_aside_and_its_number_not_used_again(tmp_path: Path) -> None:
    given = mixed(20)
    async with opened(tmp_path / "original") as buffer:
        for item in given:
            await buffer.append(item, "cloud")
        shutil.copytree(tmp_path / "original", tmp_path / "killed")
    folder = tmp_path / "killed"
    segments(folder)[0].unlink()

    async with opened(folder) as buffer:
        await buffer.append(batch(1000), "cloud")
        await buffer.restore([])
        found = await everything(buffer, "cloud")

    assert {item.base_id for item in found} == {item.base_id for item in [*given, batch(1000)]}
    assert [file.name for file in segments(folder)] == [f"segment-{2:010}.sqlite"]


@pytest.mark.parametrize("offset", [0, 15, 17, 18, 22, 47, 55, 59, 68, 71])
async def test_flipped_bit_in_the_header_costs_no_batch(tmp_path: Path, offset: int) -> None:
    given = await fill(tmp_path, 10, segment_bytes=8 * MIB)
    flip(segments(tmp_path)[0], offset, bit=3)

    async with opened(tmp_path) as buffer:
        found = await everything(buffer, "cloud")

    assert found == given


async def test_buffer_closed_by_two_and_by_one_that_is_cancelled_is_closed(tmp_path: Path) -> None:
    async with opened(tmp_path) as buffer:
        await buffer.append(batch(1), "cloud")
        impatient = asyncio.create_task(buffer.close())
        await asyncio.sleep(0)
        impatient.cancel()
        await asyncio.gather(impatient, return_exceptions=True)
        await buffer.close()
        async with opened(tmp_path) as again:
            assert await everything(again, "cloud") == [batch(1)]


async def test_log_that_cannot_be_brought_in_leaves_the_buffer_answering(tmp_path: Path) -> None:
    system = FaultyFileSystem()
    given = [batch(number, MIB) for number in range(8)]

    async with opened(tmp_path, system=system) as buffer:
        for item in given[:4]:
            await buffer.append(item, "cloud")
        for operation in ("stat", "volume", "PRAGMA"):
            system.faults.append(Fault(operation, errno.EIO, times=4))
        for item in given[4:]:
            while True:
                try:
                    async with asyncio.timeout(10):
                        await buffer.append(item, "cloud")
                    break
                except BufferUnavailable:
                    continue
        found = await everything(buffer, "cloud")

    assert found == given


def _damage_pending(file: Path) -> None:
    """Take an entry out of what waits: the counts differ."""
    db = sqlite3.connect(file, isolation_level=None)
    root = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'pending'").fetchone()[0]
    db.close()
    flip(file, (root - 1) * PAGE, bit=4)
