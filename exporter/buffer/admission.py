"""Which batches there is room for, and what is thrown away for them where the setting asks for that."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import structlog

from exporter.buffer import volume
from exporter.buffer.config import BufferConfig
from exporter.buffer.errors import BatchTooLarge, BufferFull, Refused
from exporter.buffer.folder import Folder
from exporter.buffer.segment import Segment
from exporter.buffer.segments import Segments
from exporter.buffer.telemetry import BufferMetrics
from exporter.buffer.writer import Item, Writer

_log = structlog.get_logger(__name__)

_GROUP_BYTES = 64 << 10
_BATCH_BYTES = 1 << 10
"""What a transaction, and a batch in it, take on disk beside the payloads, at most."""


class Admission:
    """Keeps the buffer within its bound and the volume's."""

    def __init__(
        self, config: BufferConfig, folder: Folder, segments: Segments, writer: Writer, metrics: BufferMetrics
    ) -> None:
        self._config = config
        self._folder = folder
        self._segments = segments
        self._writer = writer
        self._metrics = metrics

    def admit(self, items: Sequence[Item], *, may_drop: bool = True) -> Sequence[Refused | None]:
        """For each batch why it cannot be stored, None if it can: it fits, or is stored already."""
        needed, room = _GROUP_BYTES, self._room()
        refusals: list[Refused | None] = []
        for record, _ in items:
            # Once in the log and once in the database.
            cost = 2 * len(record.data) + _BATCH_BYTES
            refusal: Refused | None
            if needed + cost <= room:
                refusal = None
            elif self._writer.stored(record):
                refusal, cost = None, 0
            elif _GROUP_BYTES + cost > (most := self._most()):
                refusal, cost = self._too_large(cost, most), 0
            else:
                if may_drop and self._config.overflow == "drop_oldest":
                    room = self._drop_oldest(needed + cost, room)
                refusal = None if needed + cost <= room else self._full()
            needed += 0 if refusal else cost
            refusals.append(refusal)
        return refusals

    def _room(self) -> int:
        own = self._config.max_bytes - self._segments.bytes
        with contextlib.suppress(OSError):  # whoever writes meets the error itself
            left = volume.look(self._folder.system, self._folder.path).room(self._config)
            return own if left is None else min(own, left)
        return own

    def _most(self) -> int:
        """What the buffer could hold if it were empty."""
        with contextlib.suppress(OSError):
            usable = volume.look(self._folder.system, self._folder.path).usable(self._config)
            return self._config.max_bytes if usable is None else min(self._config.max_bytes, usable)
        return self._config.max_bytes

    def _drop_oldest(self, needed: int, room: int) -> int:
        """Throw away the oldest segments until there is as much room as needed; none if it would not be enough.

        Returns the room that there is.
        """
        if room + sum(segment.bytes for segment in self._segments) < needed:
            return room
        for segment in self._segments:
            if room >= needed:
                break
            self._drop(segment)
            before, room = room, self._room()
            if room <= before:
                break  # what was deleted gave nothing back, and more would not either
        return room

    def _drop(self, segment: Segment) -> None:
        for destination, backlog in segment.waiting.items():
            self._metrics.dropped.labels(destination).inc(backlog.records)
            if backlog.records:
                event = "the retry buffer is full: oldest records dropped"
                _log.error(event, destination=destination, records=backlog.records)
        self._segments.delete(segment)

    def _too_large(self, cost: int, most: int) -> BatchTooLarge:
        return BatchTooLarge(
            f"the batch takes {cost:,} bytes in the retry buffer ({self._config.folder}), which holds {most:,} at "
            "most: send fewer records at a time"
        )

    def _full(self) -> BufferFull:
        used, bound = self._segments.bytes, self._config.max_bytes
        text = f"the retry buffer ({self._config.folder}) is full: {used:,} of {bound:,} bytes are used"
        if self._folder.aside.bytes:
            text += f", {self._folder.aside.bytes:,} of them by damaged files (otlp-mongo buffer damaged list)"
        with contextlib.suppress(OSError):
            state = volume.look(self._folder.system, self._folder.path)
            if state.total:
                text += f"; its volume has {state.free:,} free, of which {state.reserve(self._config):,} are left alone"
        return BufferFull(text, retry_after=5.0)
