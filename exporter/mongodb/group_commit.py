"""Group commit: calls that come while inserts are under way go together in the next one.

Small requests cost MongoDB and the driver by the command far more than by the document, so what waits is sent together.
A call that finds no insert under way goes at once. Beside one, it waits for its end, or for as much company as is worth
an insert of its own: two small ones at a time share the work of one, and cost twice.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Protocol

from exporter.errors import DestinationUnavailable, Scope
from exporter.interfaces import Documents, InsertResult, Refusal
from exporter.mongodb.inserter import Written

_WORTH_ITS_OWN = 0.5
"""The part of what an insert takes, in documents or bytes, that is not to wait for another to end."""

Write = Callable[[Sequence[Documents]], Awaitable[Written]]


class Limits(Protocol):
    """The most that one insert takes."""

    @property
    def documents(self) -> int: ...

    @property
    def bytes(self) -> int: ...


@dataclass(slots=True, eq=False)
class _Call:
    documents: Documents
    result: asyncio.Future[InsertResult]
    insert: asyncio.Task[None] | None = None
    """Under way with its documents."""


class GroupCommit:
    """The inserts into one collection.

    What waits is bounded by whoever admits the calls; a single insert by the two limits, which only a call that is
    larger by itself exceeds.
    """

    def __init__(
        self,
        write: Write,
        limits: Limits,
        *,
        in_flight: int = 2,
    ) -> None:
        """`limits`: of a single insert; they change with what the destination is found to take."""
        self._write = write
        self._limits = limits
        self._in_flight = in_flight
        self._waiting: deque[_Call] = deque()
        self._waiting_documents = 0
        self._waiting_bytes = 0
        self._inserts: dict[asyncio.Task[None], int] = {}
        """Those under way, and how many callers wait for each."""
        self._stopped = False

    async def insert(self, documents: Documents) -> InsertResult:
        """Insert, together with what else waits. Indexes in the result are those of `documents`.

        A caller that is cancelled takes its documents back if they have not been sent, and disturbs no other caller.
        An insert that nobody waits for any more is given up: it may hang on a dead connection, and others wait for it.

        Raises:
            DestinationUnavailable: some may be stored and some not, or `stop` came first.
        """
        if self._stopped:
            raise DestinationUnavailable("the destination is stopped")
        call = _Call(documents, asyncio.get_running_loop().create_future())
        self._waiting.append(call)
        self._waiting_documents += len(documents)
        self._waiting_bytes += documents.size
        self._start_inserts()
        try:
            return await call.result
        except asyncio.CancelledError:
            self._leave(call.insert)
            raise

    async def stop(self, grace: float) -> None:
        """Fail what waits, and give what is under way `grace` seconds."""
        self._stopped = True
        _fail(self._waiting, DestinationUnavailable("the destination is stopping"))
        self._waiting.clear()
        self._waiting_documents = self._waiting_bytes = 0
        if not self._inserts:
            return
        _, late = await asyncio.wait(self._inserts, timeout=grace)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)

    def _start_inserts(self) -> None:
        while self._has_slot() and (calls := self._next_calls()):
            task = asyncio.create_task(self._insert(calls))
            self._inserts[task] = len(calls)
            for call in calls:
                call.insert = task
            task.add_done_callback(self._insert_done)

    def _leave(self, insert: asyncio.Task[None] | None) -> None:
        if insert in self._inserts:
            self._inserts[insert] -= 1
            if not self._inserts[insert]:
                insert.cancel()

    def _has_slot(self) -> bool:
        if not self._inserts:
            return True
        return len(self._inserts) < self._in_flight and (
            self._waiting_documents >= self._limits.documents * _WORTH_ITS_OWN
            or self._waiting_bytes >= self._limits.bytes * _WORTH_ITS_OWN
        )

    def _insert_done(self, task: asyncio.Task[None]) -> None:
        del self._inserts[task]
        self._start_inserts()

    def _next_calls(self) -> list[_Call]:
        calls: list[_Call] = []
        count = size = 0
        while self._waiting:
            call = self._waiting[0]
            if not call.result.done():
                count += len(call.documents)
                size += call.documents.size
                if calls and (count > self._limits.documents or size > self._limits.bytes):
                    break
                calls.append(call)
            self._waiting.popleft()
            self._waiting_documents -= len(call.documents)
            self._waiting_bytes -= call.documents.size
        return calls

    async def _insert(self, calls: Sequence[_Call]) -> None:
        try:
            await self._write_and_give(calls)
        except asyncio.CancelledError:
            _fail(calls, DestinationUnavailable("the destination stopped before MongoDB answered"))
            raise
        except Exception as error:
            _fail(calls, error)

    async def _write_and_give(self, calls: Sequence[_Call]) -> None:
        try:
            _give(calls, await self._write([call.documents for call in calls]))
        except DestinationUnavailable as error:
            if error.scope is not Scope.COLLECTION or len(calls) == 1:
                raise
            await self._write_halves(calls)

    async def _write_halves(self, calls: Sequence[_Call]) -> None:
        """What was refused as a whole may be refused for one call's documents: the others shall not pay for them.

        One of them is found by halving. Where both halves are refused it is for all.
        """
        half = len(calls) // 2
        try:
            _give(calls[:half], await self._write([call.documents for call in calls[:half]]))
        except DestinationUnavailable:
            _give(calls[half:], await self._write([call.documents for call in calls[half:]]))
            if half == 1:
                raise
            await self._write_halves(calls[:half])
        else:
            await self._write_and_give(calls[half:])


def _give(calls: Sequence[_Call], written: Written) -> None:
    """Each caller its share."""
    first = 0
    for call in calls:
        end = first + len(call.documents)
        if not call.result.done():
            call.result.set_result(_share(written, first, end))
        first = end


def _share(written: Written, first: int, end: int) -> InsertResult:
    """The part of a result that belongs to the documents from `first` to `end`."""
    if not (written.duplicates or written.refusals or written.postponed):
        return InsertResult(end - first, 0)
    duplicates = bisect_left(written.duplicates, end) - bisect_left(written.duplicates, first)
    refusals, postponed = (_slice(found, first, end) for found in (written.refusals, written.postponed))
    inserted = end - first - duplicates - len(refusals) - len(postponed)
    return InsertResult(inserted, duplicates, refusals, postponed)


def _slice(refusals: Sequence[Refusal], first: int, end: int) -> tuple[Refusal, ...]:
    by_index = attrgetter("index")
    begin, stop = (bisect_left(refusals, bound, key=by_index) for bound in (first, end))
    return tuple(replace(refusal, index=refusal.index - first) for refusal in refusals[begin:stop])


def _fail(calls: Sequence[_Call] | deque[_Call], error: Exception) -> None:
    for call in calls:
        if not call.result.done():
            call.result.set_exception(error)
