"""Bodies on their way in: how long they may take, and which of them gives way when memory runs short.

gRPC's core collects a message before we learn anything of it, its size included. So no single one can be charged for
what it holds; but once the process uses more than it may, those that have been waited for the longest are given up.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Protocol

from exporter import Overloaded, Unavailable

BODY_SECONDS = 30.0
TICK_SECONDS = 0.02
"""Loopback brings about 20 MiB meanwhile."""
_RETRY_SECONDS = 1.0
_LOOKS = 3
_AFTERWARDS_SECONDS = 1.0
_USUAL_SECONDS = 1.0
"""For the time of a body that is there sooner nothing has to be reckoned."""
_LEAST_BYTES_A_SECOND = 16 * 1024
"""Of a body that takes longer than usual."""
_KEPT_FREE_BYTES = 64 * 1024 * 1024
"""More than this is given back to the system: what a flood took shall not stay."""


class Memory(Protocol):
    """See `receiver.memory.ProcessMemory`."""

    def in_use(self) -> int:
        """Bytes."""
        ...

    def free(self) -> int:
        """Bytes."""
        ...

    def give_back(self) -> None:
        """Blocks."""
        ...


class Arrivals:
    """All bodies that are being waited for. For one event loop; not for threads."""

    def __init__(
        self, memory: Memory, max_bytes: int, *, tick_seconds: float = TICK_SECONDS, body_seconds: float = BODY_SECONDS
    ) -> None:
        """`max_bytes`: that the process may use beyond what it uses now. `body_seconds`: for a body to arrive."""
        self._memory = memory
        self._ceiling = memory.in_use() + max_bytes
        self._tick_seconds = tick_seconds
        self._body_seconds = body_seconds
        self._waited_for: dict[Arrival, None] = {}  # the oldest first
        self._tick: asyncio.TimerHandle | None = None
        self._afterwards: asyncio.TimerHandle | None = None
        self._giving_back: asyncio.Future[None] | None = None

    def body(self) -> Arrival:
        """An `async with` block in which a body is received.

        Raises:
            Unavailable: it did not come in time.
            Overloaded: it had to give way to others.
        """
        return Arrival(self, self._body_seconds)

    def make_room(self, older_than: float = 1.0) -> bool:
        """Give up the body that has been waited for the longest, if that is longer than so many seconds."""
        now = asyncio.get_running_loop().time()
        oldest = next((arrival for arrival in self._waited_for if not arrival.gave_way), None)
        if oldest is None or oldest.since > now - older_than:
            return False
        oldest.give_way()
        return True

    def add(self, arrival: Arrival) -> None:
        """From now on it may have to give way."""
        self._waited_for[arrival] = None
        if self._tick is None:
            self._tick = asyncio.get_running_loop().call_later(self._tick_seconds, self._look)

    def remove(self, arrival: Arrival) -> None:
        """It is there, or never will be."""
        self._waited_for.pop(arrival, None)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        if not self._waited_for:
            self._tick = None
            # To look costs more than a small request, and what was taken in is on its way to the store now.
            if self._afterwards is None:
                self._afterwards = loop.call_later(_AFTERWARDS_SECONDS, self._look_afterwards)
            return
        self._tick = loop.call_later(self._tick_seconds, self._look)
        slow = [arrival for arrival in self._waited_for if arrival.is_slow()]
        if slow and self._memory.in_use() > self._ceiling:
            for arrival in slow[: (len(slow) + 1) // 2]:
                arrival.give_way()
        if slow:
            self._give_back()

    def _look_afterwards(self) -> None:
        self._afterwards = None
        self._give_back()

    def _give_back(self) -> None:
        if (self._giving_back is None or self._giving_back.done()) and self._memory.free() > _KEPT_FREE_BYTES:
            self._giving_back = asyncio.get_running_loop().run_in_executor(None, self._memory.give_back)


class Arrival:
    """One body."""

    __slots__ = ("_arrivals", "_looks", "_seconds", "_timeout", "gave_way", "since")

    def __init__(self, arrivals: Arrivals, seconds: float) -> None:
        self._arrivals = arrivals
        self._seconds = seconds
        self._timeout = asyncio.timeout(seconds)
        self._looks = 0
        self.gave_way = False
        self.since = 0.0
        """When the wait began, on the loop's clock."""

    def is_slow(self) -> bool:
        """Whether it is still waited for at the third look, or a later one.

        Not by the clock: where the loop is late, a body may be there and nobody has had the time to take it.
        """
        self._looks += 1
        return self._looks >= _LOOKS

    def give_way(self) -> None:
        """End the wait."""
        if not self.gave_way and not self._timeout.expired():
            self.gave_way = True
            self._timeout.reschedule(self.since)

    def progress(self, size: int) -> None:
        """So many bytes of it are there, where that can be told. It has longer, but not at any rate."""
        now = asyncio.get_running_loop().time()
        if not self.gave_way and now - self.since > _USUAL_SECONDS:
            due = self.since + self._seconds + size / _LEAST_BYTES_A_SECOND
            self._timeout.reschedule(min(due, now + self._seconds))

    async def __aenter__(self) -> Arrival:
        self.since = asyncio.get_running_loop().time()
        await self._timeout.__aenter__()
        self._arrivals.add(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._arrivals.remove(self)
        try:
            await self._timeout.__aexit__(kind, error, traceback)
        except TimeoutError:
            if self.gave_way:
                raise Overloaded(
                    "the request's body came slowly and had to give way, as memory ran short: send it again later",
                    retry_after=_RETRY_SECONDS,
                ) from None
            raise Unavailable(
                f"the request's body did not arrive within {self._seconds:g} seconds, or it came too slowly"
            ) from None
