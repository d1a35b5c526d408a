"""What replay has on its way at once in one lane."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass

from exporter.delivery.lane import Remembered
from exporter.interfaces import StoredBatch

_CANCEL_AGAIN = 0.1


@dataclass(slots=True)
class UnderWay:
    """A batch that is being inserted."""

    item: StoredBatch
    remembered: Remembered
    document_bytes: int
    started: float
    """By `time.monotonic`."""
    is_large: bool = False
    """Has the turn."""


class Window:
    """The tasks that bring batches over."""

    def __init__(self, on_end: Callable[[], None]) -> None:
        """`on_end`: called whenever one of them ended."""
        self._on_end = on_end
        self._tasks: dict[asyncio.Task[None], UnderWay] = {}
        self.payload_bytes = 0
        self.document_bytes = 0
        """Of all but the large one."""

    def __len__(self) -> int:
        return len(self._tasks)

    def __contains__(self, position: int) -> bool:
        return any(under_way.item.position == position for under_way in self._tasks.values())

    def start(self, under_way: UnderWay, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks[task] = under_way
        self._count(under_way, 1)
        task.add_done_callback(lambda _task: self._on_end())

    def ended(self) -> Iterable[tuple[UnderWay, BaseException | None]]:
        """Take out those that ended, each with what it raised."""
        for task in [task for task in self._tasks if task.done()]:
            under_way = self._tasks.pop(task)
            self._count(under_way, -1)
            yield under_way, asyncio.CancelledError() if task.cancelled() else task.exception()

    async def cancel(self) -> None:
        """Return once all have ended; they are still to be taken out.

        They are cancelled until they end: `asyncio.wait_for`, which PyMongo waits with, may swallow a cancellation
        that comes together with what it waits for (Python issue 86296, fixed in 3.12).
        """
        while pending := [task for task in self._tasks if not task.done()]:
            for task in pending:
                task.cancel()
            await asyncio.wait(pending, timeout=_CANCEL_AGAIN)

    def _count(self, under_way: UnderWay, sign: int) -> None:
        if not under_way.is_large:
            self.payload_bytes += sign * len(under_way.item.batch.payload)
            self.document_bytes += sign * under_way.document_bytes
