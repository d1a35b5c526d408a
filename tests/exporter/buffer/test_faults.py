"""Operations that fail: every one, with every errno, at every moment. Nothing is lost, and every call answers."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from exporter.batch import Batch
from exporter.buffer import BufferConfig, BufferOpenError, RetryBuffer
from exporter.errors import ExporterError
from tests.exporter.buffer.faulty import ERRNOS, Fault, FaultyFileSystem
from tests.exporter.buffer.support import Metrics, batch, everything, set_aside

_MEMORY = Path("/dev/shm")
"""Where an fsync costs nothing: this is about what fails."""
_SEGMENT = 45_000
_SIZE = 4_000
_FIRST = [batch(number, _SIZE) for number in range(8)]
_LATER = [batch(number, _SIZE) for number in range(100, 106)]
_SQLITE_ONLY = (
    *("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_CANTOPEN", "SQLITE_IOERR", "SQLITE_IOERR_SHORT_READ", "SQLITE_PERM"),
    *("SQLITE_IOERR_FSYNC", "SQLITE_IOERR_WRITE", "SQLITE_AUTH", "SQLITE_INTERRUPT", "SQLITE_PROTOCOL", "SQLITE_NOLFS"),
)


class Trial:
    """A buffer with a backlog, and what must come back from it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.system = FaultyFileSystem()
        self.expected = {item.base_id for item in _FIRST}
        self.buffer: RetryBuffer | None = None

    async def open(self) -> RetryBuffer:
        config = BufferConfig(
            self.folder, 64 << 20, min_free_bytes=0, segment_bytes=_SEGMENT, commit_interval=0, retry_interval=0.001
        )
        self.buffer = await RetryBuffer.open(config, ["cloud"], Metrics().buffer, system=self.system)
        return self.buffer

    async def start(self) -> None:
        with contextlib.suppress(BufferOpenError):  # with the reason, and nothing touched
            await self.open()

    async def append(self, items: Sequence[Batch] = _LATER[:3]) -> None:
        assert self.buffer is not None
        appends = (self.buffer.append(item, "cloud") for item in items)
        for item, outcome in zip(items, await asyncio.gather(*appends, return_exceptions=True), strict=True):
            assert outcome is None or isinstance(outcome, ExporterError), outcome
            if outcome is None:
                self.expected.add(item.base_id)

    async def rotate(self) -> None:
        for item in _LATER:
            await self.append([item])

    async def read(self) -> None:
        assert self.buffer is not None
        with contextlib.suppress(ExporterError):
            await everything(self.buffer, "cloud")

    async def remove(self) -> None:
        """What was to be removed may come back, and need not."""
        assert self.buffer is not None
        with contextlib.suppress(ExporterError):
            stored = await self.buffer.oldest("cloud", 5)
            self.expected -= {item.batch.base_id for item in stored}
            await self.buffer.remove("cloud", [item.position for item in stored])

    async def close(self) -> None:
        assert self.buffer is not None
        await self.buffer.close()
        self.buffer = None

    async def settle(self) -> None:
        """The fault is gone: everything is there, at once and after another start."""
        self.system.faults.clear()
        if self.buffer is None:
            await self.open()
        assert self.buffer is not None
        while self.buffer.state().unreadable:  # noqa: ASYNC110 - from memory: there is no event
            await asyncio.sleep(0.002)
        await self.append(_LATER[5:])
        assert _LATER[5].base_id in self.expected
        assert self.expected <= await self.found()
        await self.close()
        await self.open()
        assert self.expected <= await self.found()
        assert set_aside(self.folder) == []

    async def found(self) -> set[int]:
        assert self.buffer is not None
        return {item.base_id for item in await everything(self.buffer, "cloud", 100)}


PHASES = ("start", "append", "read", "remove", "rotate", "close")


@pytest.fixture(scope="module")
def backlog() -> Iterator[Path]:
    """A folder as a killed process leaves it: several segments, with a log."""

    async def fill(folder: Path) -> None:
        trial = Trial(folder)
        buffer = await trial.open()
        for item in _FIRST:
            await buffer.append(item, "cloud")
        shutil.copytree(folder, root / "killed")
        await trial.close()

    root = Path(tempfile.mkdtemp(dir=_MEMORY if _MEMORY.is_dir() else None))
    asyncio.run(fill(root / "living"))
    assert len(list((root / "killed").glob("segment-*.sqlite"))) > 3
    yield root / "killed"
    shutil.rmtree(root)


@asynccontextmanager
async def trial_on(backlog: Path) -> AsyncIterator[Trial]:
    folder = backlog.with_name("trial")
    shutil.copytree(backlog, folder)
    trial = Trial(folder)
    try:
        async with asyncio.timeout(20):
            yield trial
    finally:
        trial.system.faults.clear()
        if trial.buffer is not None:
            await trial.buffer.close()
        shutil.rmtree(folder)


async def run_trial(backlog: Path, phase: str, fault: Fault) -> None:
    async with trial_on(backlog) as trial:
        if phase != "start":
            await trial.open()
        trial.system.faults.append(fault)
        await getattr(trial, phase)()
        await trial.settle()


async def operations_of(backlog: Path, phase: str) -> set[str]:
    """The operations that a phase is made of."""
    async with trial_on(backlog) as trial:
        if phase != "start":
            await trial.open()
        trial.system.calls.clear()
        await getattr(trial, phase)()
        return {operation for operation, _ in trial.system.calls}


@pytest.mark.timeout(180)
@pytest.mark.parametrize("times", [1, float("inf")], ids=["once", "for_good"])
@pytest.mark.parametrize("phase", PHASES)
async def test_operation_that_fails_loses_nothing_and_damages_nothing(backlog: Path, phase: str, times: float) -> None:
    used = await operations_of(backlog, phase)
    assert used
    for operation, error in itertools.product(sorted(used), ERRNOS if times > 1 else ERRNOS[:2]):
        try:
            await run_trial(backlog, phase, Fault(operation, error, times))
        except BaseException as failure:
            failure.add_note(f"{operation} failing with errno {error}")
            raise


@pytest.mark.timeout(180)
@pytest.mark.parametrize("phase", PHASES)
async def test_statement_that_fails_with_any_passing_code_loses_nothing(backlog: Path, phase: str) -> None:
    used = await operations_of(backlog, phase)
    for operation, name in itertools.product(sorted(used & {"BEGIN", "COMMIT", "SELECT"}), _SQLITE_ONLY):
        try:
            await run_trial(backlog, phase, Fault(operation, getattr(sqlite3, name), 2, code=True))
        except BaseException as failure:
            failure.add_note(f"{operation} failing with {name}")
            raise


@pytest.mark.timeout(180)
@pytest.mark.parametrize("phase", PHASES)
async def test_statement_that_calls_a_sound_file_damaged_once_sets_nothing_aside(backlog: Path, phase: str) -> None:
    """As SQLite does when the disk answers one read with an error."""
    used = await operations_of(backlog, phase)
    for operation in sorted(used & {"BEGIN", "COMMIT", "SELECT", "PRAGMA"}):
        try:
            await run_trial(backlog, phase, Fault(operation, sqlite3.SQLITE_CORRUPT, 1, code=True))
        except BaseException as failure:
            failure.add_note(operation)
            raise


async def test_file_that_is_called_damaged_but_cannot_be_read_through_stays_where_it_is(backlog: Path) -> None:
    async with trial_on(backlog) as trial:
        buffer = await trial.open()
        trial.system.faults += [
            Fault("SELECT", sqlite3.SQLITE_CORRUPT, code=True),
            Fault("read", errno.EIO),
        ]

        await trial.read()

        assert buffer.state().unreadable
        assert set_aside(trial.folder) == []
        await trial.settle()
