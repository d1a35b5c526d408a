"""The buffer against a model of it, with a crash between any two steps and inside any transaction."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from exporter.batch import Batch
from exporter.buffer import BufferConfig, RetryBuffer
from exporter.errors import Unavailable
from exporter.interfaces import StoredBatch
from tests.exporter.buffer.support import Metrics, batch

DESTINATIONS = ("local", "cloud")
_MEMORY = "/dev/shm"
"""Where an fsync costs nothing: the model is about what is in the files."""


class BufferMachine(RuleBasedStateMachine):
    """The model: for each destination, the numbers of the batches that wait for it, in order of arrival."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.root = Path(tempfile.mkdtemp(prefix="otlp-mongo-buffer-", dir=_MEMORY if Path(_MEMORY).is_dir() else None))
        self.folder = self.root / "0"
        self.model: dict[str, list[int]] = {name: [] for name in DESTINATIONS}
        self.open()

    def open(self) -> None:
        config = BufferConfig(self.folder, 16 << 20, min_free_bytes=0, segment_bytes=100_000)
        self.buffer = self.loop.run(RetryBuffer.open(config, DESTINATIONS, Metrics().buffer))

    def teardown(self) -> None:
        self.loop.run(self.buffer.close())
        self.loop.close()
        shutil.rmtree(self.root)

    @rule(
        numbers=st.lists(st.integers(0, 40), min_size=1, max_size=6, unique=True),
        destination=st.sampled_from(DESTINATIONS),
    )
    def append(self, numbers: list[int], destination: str) -> None:
        async def together() -> None:
            await asyncio.gather(*(self.buffer.append(made(n), destination) for n in numbers))

        self.loop.run(together())

        self.model[destination] += [n for n in numbers if n not in self.model[destination]]

    @rule(destination=st.sampled_from(DESTINATIONS), count=st.integers(1, 8), keep=st.integers(0, 3))
    def take(self, destination: str, count: int, keep: int) -> None:
        stored = self.loop.run(self.oldest(destination, count))
        taken = [item for index, item in enumerate(stored) if index != keep]

        self.loop.run(self.remove(destination, taken))

        for item in taken:
            self.model[destination].remove(number_of(item))

    @rule()
    def reopen(self) -> None:
        self.loop.run(self.buffer.close())
        self.open()

    @rule()
    def crash(self) -> None:
        """Go on with the files as they are now, which is what a killed process leaves behind."""
        self.folder = self.copy()
        self.loop.run(self.buffer.close())
        self.open()

    @rule(numbers=st.sets(st.integers(100, 140), min_size=1, max_size=4), after=st.integers(0, 40))
    def crash_while_appending(self, numbers: set[int], after: int) -> None:
        """Go on with the files as they are `after` SQL statements into a transaction."""
        copies: list[Path] = []
        left = after

        def trace(_: str) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                copies.append(self.copy())

        async def together() -> None:
            await asyncio.gather(*(self.buffer.append(made(n), "cloud") for n in numbers))

        connections = self.buffer._store._segments._connections._open
        for db in connections.values():
            db.set_trace_callback(trace)
        self.loop.run(together())
        for db in connections.values():
            db.set_trace_callback(None)
        if copies:
            self.folder = copies[0]
        self.loop.run(self.buffer.close())
        self.open()

        there = [number_of(item) for item in self.loop.run(self.oldest("cloud", 1000))]
        new = numbers.difference(self.model["cloud"])
        assert copies or new <= set(there)
        # What was on its way when the copy was made is there or not.
        self.model["cloud"] += [n for n in there if n in new]

    @precondition(lambda self: any(self.model.values()))
    @rule(destination=st.sampled_from(DESTINATIONS), numbers=st.sets(st.integers(200, 240), min_size=1, max_size=3))
    def full(self, destination: str, numbers: set[int]) -> None:
        """SQLite finds no room: the callers are refused, removing still works, and later there is room again."""
        active = self.buffer._store._segments.newest
        if active is None:
            return
        db = self.buffer._store._segments._connections.get(active.file)
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count={pages}")
        outcomes = self.loop.run(self.outcomes(numbers, destination))
        with suppress(sqlite3.Error):
            db.execute("PRAGMA max_page_count=1000000")
        for number, outcome in zip(numbers, outcomes, strict=True):
            assert outcome is None or isinstance(outcome, Unavailable)
            if outcome is None and number not in self.model[destination]:
                self.model[destination].append(number)

    @invariant()
    def everything_waits_in_order_and_is_counted(self) -> None:
        for destination, numbers in self.model.items():
            stored = self.loop.run(self.oldest(destination, 1000))
            status = self.buffer.status()[destination]
            assert sorted(number_of(item) for item in stored) == sorted(numbers)
            assert all(item.batch == made(number_of(item)) for item in stored)
            assert [item.position for item in stored] == sorted(item.position for item in stored)
            assert status.batches == len(numbers)
            assert status.records == sum(made(n).records for n in numbers)
            assert status.oldest_unix_nano == (stored[0].batch.received_unix_nano if stored else 0)

    async def outcomes(self, numbers: set[int], destination: str) -> list[BaseException | None]:
        appends = (self.buffer.append(made(n), destination) for n in numbers)
        return await asyncio.gather(*appends, return_exceptions=True)

    async def oldest(self, destination: str, limit: int) -> list[StoredBatch]:
        return list(await self.buffer.oldest(destination, limit))

    async def remove(self, destination: str, items: list[StoredBatch]) -> None:
        await self.buffer.remove(destination, [item.position for item in items])

    def copy(self) -> Path:
        """The files as they are at this moment, without the lock that the living process has."""
        target = Path(tempfile.mkdtemp(dir=self.root))
        shutil.copytree(self.folder, target, dirs_exist_ok=True)
        return target


def made(number: int) -> Batch:
    return batch(number, 200 + number * 331 % 9000)


def number_of(item: StoredBatch) -> int:
    return (item.batch.base_id >> 72) & 0xFFFF & 0xFF


TestBufferAgainstModel = BufferMachine.TestCase
TestBufferAgainstModel.settings = settings(
    max_examples=50, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
TestBufferAgainstModel.pytestmark = [pytest.mark.timeout(240)]  # type: ignore[attr-defined]
