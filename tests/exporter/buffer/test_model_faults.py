"""The buffer against a model of it while its file system fails now and then, in any order of calls and faults."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from exporter.buffer import BufferConfig, BufferOpenError, RetryBuffer
from exporter.errors import ExporterError
from tests.exporter.buffer.faulty import ERRNOS, SQL_OPERATIONS, Fault, FaultyFileSystem
from tests.exporter.buffer.support import Metrics, batch, everything, set_aside

_MEMORY = "/dev/shm"
_OPERATIONS = ("open", "read", "write", "fsync", "stat", "list", "rename", "unlink", "volume", *SQL_OPERATIONS)
_PATIENCE = 20.0


class FaultyBufferMachine(RuleBasedStateMachine):
    """The model: the numbers of batches that were acknowledged and not removed. What failed may be there or not."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp(dir=_MEMORY if Path(_MEMORY).is_dir() else None))
        self.system = FaultyFileSystem()
        self.waiting: set[int] = set()
        self.number = 0
        self.buffer: RetryBuffer | None = None
        self.loop.run(self.open())

    async def open(self) -> None:
        config = BufferConfig(
            self.folder, 16 << 20, min_free_bytes=0, segment_bytes=45_000, commit_interval=0, retry_interval=0.001
        )
        async with asyncio.timeout(_PATIENCE):
            with suppress(BufferOpenError):
                self.buffer = await RetryBuffer.open(config, ["cloud"], Metrics().buffer, system=self.system)

    def teardown(self) -> None:
        self.check_all_is_there()
        if self.buffer is not None:
            self.loop.run(self.buffer.close())
        self.loop.close()
        shutil.rmtree(self.folder)

    @rule(
        operation=st.sampled_from(_OPERATIONS),
        error=st.sampled_from(ERRNOS),
        times=st.sampled_from([1, 2, 5, float("inf")]),
    )
    def fail(self, operation: str, error: int, times: float) -> None:
        self.system.faults.append(Fault(operation, error, times))

    @rule()
    def mend(self) -> None:
        self.system.faults.clear()

    @rule(count=st.integers(1, 5))
    def append(self, count: int) -> None:
        numbers = range(self.number, self.number + count)
        self.number += count

        async def together(buffer: RetryBuffer) -> list[BaseException | None]:
            async with asyncio.timeout(_PATIENCE):
                appends = (buffer.append(batch(number, 4000), "cloud") for number in numbers)
                return await asyncio.gather(*appends, return_exceptions=True)

        if self.buffer is not None:
            for number, outcome in zip(numbers, self.loop.run(together(self.buffer)), strict=True):
                assert outcome is None or isinstance(outcome, ExporterError), outcome
                if outcome is None:
                    self.waiting.add(number)

    @rule(count=st.integers(1, 8))
    def take(self, count: int) -> None:
        async def remove(buffer: RetryBuffer) -> None:
            async with asyncio.timeout(_PATIENCE):
                stored = await buffer.oldest("cloud", count)
                self.waiting.difference_update(item.batch.received_unix_nano % 1_000_000 for item in stored)
                await buffer.remove("cloud", [item.position for item in stored])

        if self.buffer is not None:
            with suppress(ExporterError):
                self.loop.run(remove(self.buffer))

    @rule()
    def reopen(self) -> None:
        async def close(buffer: RetryBuffer) -> None:
            async with asyncio.timeout(_PATIENCE):
                await buffer.close()

        if self.buffer is not None:
            self.loop.run(close(self.buffer))
            self.buffer = None
        self.loop.run(self.open())

    @rule()
    def check_all_is_there(self) -> None:
        """The faults are over: nothing that was acknowledged is missing, and nothing was taken for damage."""

        async def found(buffer: RetryBuffer) -> set[int]:
            async with asyncio.timeout(_PATIENCE):
                while buffer.state().unreadable:  # noqa: ASYNC110 - from memory: there is no event
                    await asyncio.sleep(0.001)
                return {item.received_unix_nano % 1_000_000 for item in await everything(buffer, "cloud", 100)}

        self.system.faults.clear()
        if self.buffer is None:
            self.loop.run(self.open())
        assert self.buffer is not None
        assert self.waiting <= self.loop.run(found(self.buffer))
        assert set_aside(self.folder) == []


TestFaultyBufferAgainstModel = FaultyBufferMachine.TestCase
TestFaultyBufferAgainstModel.settings = settings(
    max_examples=40, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
TestFaultyBufferAgainstModel.pytestmark = [pytest.mark.timeout(240)]  # type: ignore[attr-defined]
