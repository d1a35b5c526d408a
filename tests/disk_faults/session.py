"""The use of a buffer while calls fail, and what has to hold whatever they do."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from exporter.buffer import BufferConfig, BufferOpenError, RetryBuffer
from exporter.errors import Unavailable
from tests.disk.faults import FOR_GOOD, Faults, Operation
from tests.exporter.buffer.support import Metrics, everything
from tests.power_cut.workloads import made, number_of

_ANSWER_SECONDS = 15.0
"""Within which each call has to answer."""
_RECOVERY_SECONDS = 15.0
"""After which an append has to succeed again, once the fault has passed."""


@dataclass(frozen=True, slots=True)
class Fault:
    """The calls that fail."""

    operation: Operation
    skip: int
    error: int
    lasting: bool
    through_close: bool
    """Whether it lasts until the buffer has closed; else it passes before, and appends must work again."""

    def __str__(self) -> str:
        name = f"{self.operation.name.lower()} {self.skip + 1}"
        lasting = " and all that follow" if self.lasting else ""
        return f"{name}{lasting}: {errno.errorcode[self.error]}{', through close' if self.through_close else ''}"


class Session:
    """One buffer, used once."""

    def __init__(self, folder: Path, there: Sequence[int]) -> None:
        """`there`: the numbers of the batches in it, for "cloud"."""
        self._folder = folder
        self._required = set(there)
        self._begun = set(there)
        self.problems: list[str] = []
        self.failed = 0
        """Calls that failed."""
        self.calls: Mapping[Operation, int] = {}

    async def run(self, faults: Faults, fault: Fault | None) -> None:
        """Start, append, read, remove, go on to a next segment, close; all with the fault. Then look, without it."""
        if fault is None:
            faults.count()
        else:
            faults.arm(fault.operation, fault.error, skip=fault.skip, times=FOR_GOOD if fault.lasting else 1)
        with self._noted("closing"):
            async with self._opened() as buffer:
                if buffer is not None:
                    await self._use(buffer)
                if fault is None or not fault.through_close:
                    faults.lift()
                    if buffer is not None:
                        await self._append_again(buffer)
        faults.lift()
        self.failed, self.calls = faults.failed, {operation: faults.calls(operation) for operation in Operation}
        await self._look()

    @contextlib.asynccontextmanager
    async def _opened(self) -> AsyncIterator[RetryBuffer | None]:
        """None: it could not be opened, and said so."""
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                buffer = await open_buffer(self._folder)
        except (BufferOpenError, OSError):
            yield None
        except Exception as error:
            self.problems.append(f"opening raised {error!r}")
            yield None
        else:
            yield buffer
            async with asyncio.timeout(_ANSWER_SECONDS):
                await buffer.close()

    async def _use(self, buffer: RetryBuffer) -> None:
        for number in (50, 51, 52):
            await self._append(buffer, number)
        await asyncio.gather(*(self._append(buffer, number) for number in range(60, 66)))
        await self._remove(buffer, 4)
        for number in range(70, 82):
            await self._append(buffer, number)
        await self._remove(buffer, 9)

    async def _append(self, buffer: RetryBuffer, number: int) -> None:
        self._begun.add(number)
        with self._noted(f"append {number}"), contextlib.suppress(Unavailable):
            async with asyncio.timeout(_ANSWER_SECONDS):
                await buffer.append(made(number), "cloud")
            self._required.add(number)

    async def _remove(self, buffer: RetryBuffer, count: int) -> None:
        with self._noted("reading and removing"), contextlib.suppress(Unavailable):
            async with asyncio.timeout(_ANSWER_SECONDS):
                stored = await buffer.oldest("cloud", count)
                self._required -= {number_of(item.batch) for item in stored}
                await buffer.remove("cloud", [item.position for item in stored])

    async def _append_again(self, buffer: RetryBuffer) -> None:
        """The fault has passed: an append must succeed soon."""
        with self._noted("append after the fault has passed"):
            async with asyncio.timeout(_RECOVERY_SECONDS):
                while 90 not in self._required:
                    await self._append(buffer, 90)
                    await asyncio.sleep(0.01)

    async def _look(self) -> None:
        """At the folder as a kill would leave it, which no lock of a buffer that failed to close keeps anybody from."""
        copy = self._folder.with_name(self._folder.name + "-copy")
        shutil.copytree(self._folder, copy)
        try:
            for time in ("first", "second"):
                with self._noted(f"the {time} start without the fault"):
                    async with asyncio.timeout(_ANSWER_SECONDS):
                        await self._compare(copy)
        finally:
            shutil.rmtree(copy)

    async def _compare(self, folder: Path) -> None:
        buffer = await open_buffer(folder)
        try:
            found = await everything(buffer, "cloud", 500)
            report = await buffer.verify()
        finally:
            await buffer.close()
        numbers = [number_of(item) for item in found]
        if missing := sorted(self._required.difference(numbers)):
            self.problems.append(f"acknowledged, and not there: {missing}")
        if foreign := sorted(set(numbers) - self._begun):
            self.problems.append(f"never appended: {foreign}")
        if len(set(numbers)) < len(numbers):
            self.problems.append(f"doubled: {sorted(n for n in set(numbers) if numbers.count(n) > 1)}")
        self.problems += [f"altered: {number_of(item)}" for item in found if item != made(number_of(item))]
        self.problems += report.damage
        if aside := [file.name for file in (folder / "damaged").glob("*")]:
            self.problems.append(f"called damaged: {sorted(aside)}")

    @contextlib.contextmanager
    def _noted(self, doing: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.problems.append(f"{doing} raised {error!r}")


async def open_buffer(folder: Path) -> RetryBuffer:
    config = BufferConfig(folder, 64 << 20, min_free_bytes=0, segment_bytes=60_000)
    return await RetryBuffer.open(config, ("cloud",), Metrics().buffer)


async def prepare(folder: Path) -> Sequence[int]:
    """Make a folder as a kill leaves it: several segments, logs not brought back. Returns the numbers in it."""
    numbers = range(1, 25)
    buffer = await open_buffer(folder.with_name("live"))
    for number in numbers:
        await buffer.append(made(number), "cloud")
    shutil.copytree(folder.with_name("live"), folder)
    await buffer.close()
    return numbers
