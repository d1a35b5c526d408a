"""Appends that come while a transaction is being written share the next one, and its fsync.

After one that was shared, the next waits for company a moment longer.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog

from exporter.buffer.codec import Record
from exporter.buffer.errors import BufferUnavailable
from exporter.buffer.store import Store

_log = structlog.get_logger(__name__)

_GROUP_BATCHES = 256
_GROUP_BYTES = 16 << 20
"""Bounds of one transaction, so that its fsync does not take long."""
_COMPANY_BATCHES = 8
_COMPANY_BYTES = 64 << 10
"""What makes a transaction's fixed cost (125 µs of CPU) small beside that of its batches."""

Call = Callable[..., Awaitable[Any]]
"""Calls a function in the files' thread."""
_Append = tuple[Record, str, asyncio.Future[None]]
"""A batch, the destination that it is to wait for, and who waits for it to be written."""


class GroupWriter:
    """Writes batches in groups. Each that is given to it is answered, whatever fails."""

    def __init__(self, store: Store, call: Call, commit_interval: float) -> None:
        self._store = store
        self._call = call
        self._commit_interval = commit_interval
        self._waiting: list[_Append] = []
        self._wake = asyncio.Event()
        self._finishing = False

    async def write(self, record: Record, destination: str) -> None:
        """Return once a batch is on disk for good. Raises what the store refuses it with."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((record, destination, done))
        self._wake.set()
        await done

    def finish(self) -> None:
        """No more will come."""
        self._finishing = True
        self._wake.set()

    def give_up(self) -> None:
        """Refuse what waits still."""
        self._refuse(self._waiting, BufferUnavailable("the retry buffer is closed"))

    async def run(self) -> None:
        """Write what comes, until `finish`: then what waits is written, and it returns."""
        loop = asyncio.get_running_loop()
        due = 0.0
        if self._waiting:
            self._wake.set()  # started again after a failure, before which they had come
        while self._waiting or not self._finishing:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                if loop.time() < due:
                    await self._gather(due)
                due = loop.time() + self._commit_interval
                group = self._next_group()
                await self._write_group(group)
                if len(group) == 1:
                    due = 0.0  # a sender that waits for each answer would wait for nobody

    async def _gather(self, due: float) -> None:
        """Let more batches come, until there are enough or the buffer closes."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(due):
                while not self._finishing and not self._is_company():
                    await self._wake.wait()
                    self._wake.clear()

    def _is_company(self) -> bool:
        """Whether what waits is worth a transaction of its own."""
        return len(self._waiting) >= _COMPANY_BATCHES or (
            sum(len(record.data) for record, _, _ in self._waiting) >= _COMPANY_BYTES
        )

    async def _write_group(self, group: Sequence[_Append]) -> None:
        items = [(record, destination) for record, destination, _ in group]
        try:
            outcomes = await self._call(self._store.append, items)
        except Exception:
            # A defect must not leave callers waiting for ever: they are told to come again.
            _log.exception("writing to the retry buffer failed unexpectedly")
            self._refuse(group, BufferUnavailable("writing to the retry buffer failed unexpectedly"))
            return
        except BaseException:
            self._refuse(group, BufferUnavailable("writing to the retry buffer was broken off"))
            raise
        for (_, _, done), outcome in zip(group, outcomes, strict=True):
            if done.done():
                continue  # its caller was cancelled
            if outcome is None:
                done.set_result(None)
            else:
                done.set_exception(outcome)
        if self._store.untidy:
            try:
                await self._call(self._store.tidy)
            except Exception:
                _log.exception("the retry buffer's log could not be brought into its database")

    @staticmethod
    def _refuse(group: Sequence[_Append], error: BufferUnavailable) -> None:
        for _, _, done in group:
            if not done.done():
                done.set_exception(error)

    def _next_group(self) -> Sequence[_Append]:
        size = count = 0
        for record, _, _ in self._waiting[:_GROUP_BATCHES]:
            size += len(record.data)
            if count and size > _GROUP_BYTES:
                break
            count += 1
        group, self._waiting = self._waiting[:count], self._waiting[count:]
        return group
