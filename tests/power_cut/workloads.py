"""What a process does to a retry buffer before the power goes: `python -m tests.power_cut.workloads NAME FOLDER TRACE`.

Each answer of the buffer is marked in the trace as soon as it is there.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from exporter.batch import Batch
from exporter.buffer import RetryBuffer
from tests.disk.trace import Marker
from tests.exporter.buffer.support import MIB, batch, opened

DESTINATIONS = ("local", "cloud")
_SMALL_SEGMENT = 100_000


@cache
def made(number: int) -> Batch:
    """The batch of a number: of a few hundred bytes, some pages or, from 1,000 on, many pages."""
    size = 100_000 if 1000 <= number < 2000 else 200 + number * 331 % 9000
    return batch(number, size)


def number_of(item: Batch) -> int:
    return item.base_id >> 72 & 0xFFFF


class Session:
    """An open buffer whose answers are marked."""

    def __init__(self, buffer: RetryBuffer, mark: Marker) -> None:
        self.buffer = buffer
        self._mark = mark

    async def append(self, number: int, *destinations: str) -> None:
        for destination in destinations or ("cloud",):
            self._mark(f"begin {number} {destination}")
            await self.buffer.append(made(number), destination)
            self._mark(f"done {number} {destination}")

    async def together(self, first: int, count: int, *destinations: str) -> None:
        """In as few transactions as the buffer finds good."""
        await asyncio.gather(*(self.append(number, *destinations) for number in range(first, first + count)))

    async def remove(self, count: int, destination: str = "cloud", *, every: int = 1) -> None:
        """The first ones that wait; `every`: of them only each so-manieth."""
        stored = (await self.buffer.oldest(destination, count))[::every]
        for item in stored:
            self._mark(f"remove {number_of(item.batch)} {destination}")
        await self.buffer.remove(destination, [item.position for item in stored])
        self._mark("removed")

    def kept(self, last: int) -> None:
        """For appends one after the other up to `last`, of which the buffer may have dropped the oldest."""
        self._mark(f"kept {last + 1 - self.buffer.status()['cloud'].batches}")


async def appends(folder: Path, mark: Marker) -> None:
    """One after the other, in one segment, in a folder that somebody made and did not sync."""
    make(folder)
    async with opened(folder) as buffer:
        session = Session(buffer, mark)
        for number in range(1, 16):
            await session.append(number)


async def groups(folder: Path, mark: Marker) -> None:
    """Many at once, for two destinations; removed by one of them."""
    async with opened(folder) as buffer:
        session = Session(buffer, mark)
        for first in range(1, 61, 12):
            await session.together(first, 12, "cloud", "local")
            await session.remove(5, "local")


async def rotation(folder: Path, mark: Marker) -> None:
    """Through several segments; closed and opened in between."""
    for round_ in range(3):
        async with opened(folder, segment_bytes=_SMALL_SEGMENT) as buffer:
            session = Session(buffer, mark)
            for first in range(1, 31, 6):
                await session.together(100 * round_ + first, 6)


async def removals(folder: Path, mark: Marker) -> None:
    """Until segments are empty and deleted, with appends in between, and many removals without any."""
    async with opened(folder, segment_bytes=_SMALL_SEGMENT) as buffer:
        session = Session(buffer, mark)
        for first in range(1, 61, 15):
            await session.together(first, 15)
            for _ in range(6):
                await session.remove(2, every=2)
        while buffer.status()["cloud"].batches > 8:
            await session.remove(3)
        await session.together(70, 5)
        for _ in range(9):
            await session.remove(1)


async def checkpoints(folder: Path, mark: Marker) -> None:
    """Large batches, so that the log is brought into the database again and again, and small ones after that."""
    async with opened(folder, segment_bytes=16 * MIB) as buffer:
        session = Session(buffer, mark)
        for first in range(1000, 1096, 8):
            await session.together(first, 8)
            await session.append(first - 900)
            await session.remove(5)


async def dropping(folder: Path, mark: Marker) -> None:
    """More than there is room for, with `drop_oldest`."""
    async with opened(folder, max_bytes=MIB, segment_bytes=256 << 10, overflow="drop_oldest") as buffer:
        session = Session(buffer, mark)
        for number in range(1, 110):
            await session.append(number)
            session.kept(number)


async def recovery(root: Path, mark: Marker) -> None:
    """A start on each folder that a cut left behind, and appends to it."""
    for folder in _leftovers(root):
        mark(f"enter {folder.name}")
        async with opened(folder, segment_bytes=_SMALL_SEGMENT) as buffer:
            session = Session(buffer, mark)
            for number in range(900, 904):
                await session.append(number)


def make(folder: Path) -> None:
    folder.mkdir(parents=True)


def _leftovers(root: Path) -> Sequence[Path]:
    return sorted(root.iterdir(), key=lambda folder: int(folder.name))


WORKLOADS: Mapping[str, Callable[[Path, Marker], Awaitable[None]]] = {
    workload.__name__: workload for workload in (appends, groups, rotation, removals, checkpoints, dropping, recovery)
}


def weaken(synchronous: str, which: str) -> None:
    """Let SQLite sync less than the buffer asks for, which the test has to notice. To be called before anything opens.

    `which`: "new" for the connections that make a file, "all" for all.
    """
    asked, real = re.compile(r"(synchronous\s*=\s*)(FULL|EXTRA|2|3)\b", re.IGNORECASE), sqlite3.connect

    class Weakened(sqlite3.Connection):
        def execute(self, statement: str, *parameters: Any) -> sqlite3.Cursor:
            return super().execute(asked.sub(rf"\g<1>{synchronous}", statement), *parameters)

    def connect(database: Any, *arguments: Any, **settings: Any) -> Any:
        if which == "all" or not Path(database).exists():
            settings["factory"] = Weakened
        return real(database, *arguments, **settings)

    sqlite3.connect = connect


if __name__ == "__main__":
    name, place, trace, *weakened = sys.argv[1:]
    if weakened:
        weaken(*weakened)
    with Marker(Path(trace)) as marker:
        asyncio.run(WORKLOADS[name](Path(place), marker))  # type: ignore[arg-type]
