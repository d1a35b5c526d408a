"""What lies in `damaged/`: seen, brought back, cleared."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from exporter.buffer import BufferUnavailable, RetryBuffer, UnknownFile
from tests.exporter.buffer.faulty import Fault, FaultyFileSystem
from tests.exporter.buffer.support import (
    MIB,
    batch,
    drain,
    everything,
    flip,
    mixed,
    opened,
    segments,
    set_aside,
)

STAMP = "1700000000000000000"


async def thrown_away(folder: Path, count: int = 20, *, log: bool = False) -> Path:
    """A folder as an earlier version leaves it after a passing fault: sound segments in `damaged/`.

    `log`: with a log that was not brought in, as after a kill.
    """
    original = folder.with_name("original")
    async with opened(original, segment_bytes=64 * MIB) as buffer:
        for item in mixed(count):
            await buffer.append(item, "cloud")
        if log:
            shutil.copytree(original, folder.with_name("killed"))
    source = folder.with_name("killed") if log else original
    (folder / "damaged").mkdir(parents=True)
    for file in source.glob("segment-*.sqlite*"):
        side = "-wal" if file.name.endswith("-wal") else ""
        shutil.copy(file, folder / "damaged" / f"{file.name.removesuffix('-wal')}.{STAMP}{side}")
    return folder


async def restored(buffer: RetryBuffer) -> tuple[int, int, int]:
    (contents,) = (await buffer.restore([])).values()
    assert contents.problem == ""
    return contents.readable, contents.restored, contents.lost


@pytest.mark.parametrize("log", [False, True])
async def test_restore_of_a_sound_segment_brings_every_batch_back(tmp_path: Path, *, log: bool) -> None:
    folder = await thrown_away(tmp_path / "buffer", log=log)

    async with opened(folder) as buffer:
        counts = await restored(buffer)
        found = await everything(buffer, "cloud")

    assert counts == (20, 20, 0)
    assert found == mixed(20)
    assert set_aside(folder)[0] == f"segment-0000000001.sqlite.{STAMP}.restored"


async def test_restore_twice_stores_nothing_twice(tmp_path: Path) -> None:
    folder = await thrown_away(tmp_path / "buffer")

    async with opened(folder) as buffer:
        await buffer.restore([])
        nothing = await buffer.restore([])
        (again,) = (await buffer.restore([f"segment-0000000001.sqlite.{STAMP}.restored"])).values()
        waiting = buffer.status()["cloud"].batches

    assert nothing == {}
    assert (again.readable, again.restored) == (20, 0)
    assert waiting == 20


async def test_restore_of_a_damaged_segment_brings_back_the_intact_batches_and_counts_the_others(
    tmp_path: Path,
) -> None:
    folder = await thrown_away(tmp_path / "buffer")
    file = folder / "damaged" / f"segment-0000000001.sqlite.{STAMP}"
    flip(file, file.read_bytes().find(mixed(20)[6].payload[200:300]))

    async with opened(folder) as buffer:
        counts = await restored(buffer)
        found = await everything(buffer, "cloud")

    assert counts == (19, 19, 1)
    assert found == [item for item in mixed(20) if item != mixed(20)[6]]


async def test_restore_of_a_log_alone_brings_its_batches_back(tmp_path: Path) -> None:
    folder = await thrown_away(tmp_path / "buffer", log=True)
    (folder / "damaged" / f"segment-0000000001.sqlite.{STAMP}").unlink()
    log = folder / "damaged" / f"segment-0000000001.sqlite.{STAMP}-wal"
    log.rename(log.with_name(f"segment-0000000001.sqlite-wal.{STAMP}"))

    async with opened(folder) as buffer:
        counts = await restored(buffer)
        found = await everything(buffer, "cloud")

    assert counts == (20, 20, 0)
    assert found == mixed(20)


async def test_restore_of_a_log_whose_segment_is_in_use_brings_nothing_twice(tmp_path: Path) -> None:
    folder = await thrown_away(tmp_path / "buffer", log=True)
    shutil.copytree(tmp_path / "killed", folder, dirs_exist_ok=True)
    aside = folder / "damaged"
    (aside / f"segment-0000000001.sqlite.{STAMP}").unlink()
    (aside / f"segment-0000000001.sqlite.{STAMP}-wal").rename(aside / f"segment-0000000001.sqlite-wal.{STAMP}")

    async with opened(folder) as buffer:
        await buffer.append(batch(1000), "cloud")
        counts = await restored(buffer)
        await buffer.append(batch(1001), "cloud")
        found = await everything(buffer, "cloud")

    assert counts == (20, 0, 0)
    assert found == [*mixed(20), batch(1000), batch(1001)]


@pytest.mark.parametrize("name", ["manifest.json", "segment-0000000001-batch-7", "notes"])
async def test_restore_of_what_holds_no_provable_batch_says_so(tmp_path: Path, name: str) -> None:
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / f"{name}.{STAMP}").write_bytes(b"x" * 100)

    async with opened(tmp_path) as buffer:
        (contents,) = (await buffer.restore([])).values()

    assert "holds no batches" in contents.problem or "nothing proves what it was" in contents.problem
    assert set_aside(tmp_path) == [f"{name}.{STAMP}"]


async def test_restore_of_an_unknown_file_says_so(tmp_path: Path) -> None:
    async with opened(tmp_path) as buffer:
        for name in ("nothing", "../lock"):
            with pytest.raises(UnknownFile, match=name):
                await buffer.restore([name])
            with pytest.raises(UnknownFile, match=name):
                await buffer.purge([name])


async def test_restore_without_room_keeps_the_file_and_can_be_repeated(tmp_path: Path) -> None:
    folder = await thrown_away(tmp_path / "buffer", 600)

    async with opened(folder, max_bytes=2 * MIB) as buffer:
        (first,) = (await buffer.restore([])).values()
        early = await drain(buffer, "cloud")
    async with opened(folder) as buffer:
        (second,) = (await buffer.restore([])).values()
        late = await drain(buffer, "cloud")

    assert 0 < first.restored < 600
    assert "full" in first.problem
    assert second.problem == ""
    assert {item.base_id for item in early + late} == {item.base_id for item in mixed(600)}


async def test_restore_that_cannot_read_the_file_now_is_incomplete_and_can_be_repeated(tmp_path: Path) -> None:
    folder = await thrown_away(tmp_path / "buffer")
    system = FaultyFileSystem()
    system.faults.append(Fault("SELECT", 5, where="restored.new", times=40))

    async with opened(folder, system=system) as buffer:
        (first,) = (await buffer.restore([])).values()
        name = set_aside(folder)[0]
        system.faults.clear()
        counts = await restored(buffer)

    assert first.problem
    assert not name.endswith(".restored")
    assert counts[0] == 20


async def test_damaged_files_are_listed_with_what_can_be_read_in_them(tmp_path: Path) -> None:
    folder = await thrown_away(tmp_path / "buffer", log=True)
    before = {file.name: file.read_bytes() for file in (folder / "damaged").iterdir()}

    async with opened(folder) as buffer:
        ((file, contents),) = await buffer.damaged()
        state = buffer.state()
        waiting = buffer.status()["cloud"].batches

    assert (file.name, file.restored) == (f"segment-0000000001.sqlite.{STAMP}", False)
    assert file.set_aside_unix_nano == int(STAMP)
    assert (contents.readable, contents.restored, contents.lost, contents.problem) == (20, 0, 0, "")
    assert (state.damaged_files, state.damaged_bytes) == (1, file.bytes)
    assert waiting == 0
    assert {file.name: file.read_bytes() for file in (folder / "damaged").iterdir()} == before


async def test_purge_deletes_the_files_named_with_their_logs_and_gives_the_room_back(tmp_path: Path) -> None:
    folder = await thrown_away(tmp_path / "buffer", log=True)
    (folder / "damaged" / f"notes.{STAMP}").write_bytes(b"x")

    async with opened(folder) as buffer:
        purged = await buffer.purge([f"segment-0000000001.sqlite.{STAMP}"])
        left = set_aside(folder)
        await buffer.purge([])
        state = buffer.state()

    assert next(iter(purged.values())) > 0
    assert left == [f"notes.{STAMP}"]
    assert set_aside(folder) == []
    assert (state.damaged_files, state.damaged_bytes) == (0, 0)


async def test_purge_that_fails_says_so(tmp_path: Path) -> None:
    folder = await thrown_away(tmp_path / "buffer")
    system = FaultyFileSystem()

    async with opened(folder, system=system) as buffer:
        system.faults.append(Fault("unlink", 30))
        with pytest.raises(BufferUnavailable, match="Read-only"):
            await buffer.purge([])

    assert len(set_aside(folder)) == 1
    assert segments(folder) == []
