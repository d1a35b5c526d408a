"""Reads one lane's backlog from the retry buffer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from exporter.interfaces import BatchBuffer, StoredBatch

_FEW = 16
_FEW_BYTES = 1 << 20


class Reader:
    """Gives each batch once, oldest first, until it is told to go back. All methods raise Unavailable."""

    def __init__(self, buffer: BatchBuffer, destination: str, signal: str, skipped: Callable[[int], bool]) -> None:
        """`skipped`: whether the batch at a position has its place elsewhere."""
        self._buffer = buffer
        self._destination = destination
        self._signals = (signal,)
        self._skipped = skipped
        self._queue: deque[StoredBatch] = deque()
        self._after = 0

    async def next(self, limit: int, max_bytes: int, room: int | None) -> Sequence[StoredBatch]:
        """The next batches, none when it has read to the end.

        `max_bytes`: of payload to read at once. `room`: bytes of payload of those that are returned; None: whatever
        the first one has.
        """
        while not self._queue and (found := await self._read(limit, self._after, max_bytes)):
            self._after = found[-1].position
            self._queue.extend(item for item in found if not self._skipped(item.position))
        taken, size = list[StoredBatch](), 0
        while self._queue and len(taken) < limit:
            size += len(self._queue[0].batch.payload)
            if size > (max_bytes if room is None else room) and (taken or room is not None):
                break
            taken.append(self._queue.popleft())
        return taken

    @property
    def at_end(self) -> bool:
        """Whether all that was read was given."""
        return not self._queue

    def put_back(self, items: Sequence[StoredBatch]) -> None:
        """What `next` gave and could not be started yet."""
        self._queue.extendleft(reversed(items))

    async def at(self, position: int) -> StoredBatch | None:
        """The batch at a position, if it is still there."""
        found = await self._read(1, position - 1, 1)
        return found[0] if found and found[0].position == position else None

    async def first(self, after: int) -> StoredBatch | None:
        """The first batch behind a position that has no place elsewhere, whatever was given before."""
        while found := await self._read(_FEW, after, _FEW_BYTES):
            for item in found:
                if not self._skipped(item.position):
                    return item
            after = found[-1].position
        return None

    def rewind(self, position: int = 0) -> None:
        """Go on behind this position, if it has given further ones."""
        self._queue.clear()
        self._after = min(self._after, position)

    async def _read(self, limit: int, after: int, max_bytes: int) -> Sequence[StoredBatch]:
        return await self._buffer.oldest(self._destination, limit, after, max_bytes=max_bytes, signals=self._signals)
