"""The retry buffer without asyncio. Everything here blocks: `RetryBuffer` calls it in one thread of its own."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Mapping, Sequence

import structlog

from exporter.buffer.codec import Record
from exporter.buffer.config import BufferConfig
from exporter.buffer.errors import BufferFull, BufferUnavailable, Damaged, refusal
from exporter.buffer.folder import Folder
from exporter.buffer.report import VerifyReport
from exporter.buffer.segment import Segment, SegmentDamaged
from exporter.buffer.segments import Segments
from exporter.buffer.telemetry import BufferMetrics
from exporter.buffer.verify import verify
from exporter.buffer.writer import Item, Writer
from exporter.interfaces import Backlog

_log = structlog.get_logger(__name__)

_GROUP_BYTES = 64 << 10
_BATCH_BYTES = 1 << 10
"""What a transaction, and a batch in it, take on disk beside the payloads, at most."""
_IDLE_BYTES = 1 << 20
"""Size up to which the newest segment is kept for the next batches although nothing waits in it."""
_ROW_BITS = 32
_ROW_MASK = (1 << _ROW_BITS) - 1
"""A position is a segment's number above 32 bits of row."""


class Store:
    """Batches on disk."""

    def __init__(self, config: BufferConfig, destinations: Sequence[str], metrics: BufferMetrics) -> None:
        self._config = config
        self._metrics = metrics
        self._destinations = tuple(destinations)
        self._folder = Folder(config.folder)
        self._segments = Segments(self._folder, metrics)
        self._writer = Writer(self._segments, config.segment_limit, destinations, metrics)
        self.status: Mapping[str, Backlog] = {}
        """The backlog of each destination; replaced as a whole, so that any thread may read it."""

    def open(self) -> None:
        """Take the folder and open what is in it.

        Raises:
            BufferInUse, BufferReadOnly: the text says what to do.
        """
        self._folder.open()
        try:
            self._segments.open()
            self._writer.rescue_broken()
            for segment in self._segments:
                self._delete_if_drained(segment)
            self._publish()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close all files and let go of the folder."""
        self._segments.close()
        self._folder.close()

    def append(self, items: Sequence[Item]) -> Sequence[BufferFull | BufferUnavailable | None]:
        """Store batches in one transaction. For each, why it was not stored; None when it is on disk for good."""
        outcomes: list[BufferFull | BufferUnavailable | None] = [None] * len(items)
        try:
            fits = self._admit(items)
            wanted = [item for item, fitting in zip(items, fits, strict=True) if fitting]
            if wanted:
                with self._metrics.commit_seconds.time():
                    self._writer.write(wanted)
        except (sqlite3.Error, OSError, Damaged) as error:
            # What SQLite holds of a file after a failed fsync cannot be known: go on in another.
            self._segments.retire()
            outcomes = [refusal(error, self._config.folder)] * len(items)
        else:
            full = BufferFull(f"the retry buffer ({self._config.folder}) is full", retry_after=5.0)
            outcomes = [None if fitting else full for fitting in fits]
        for outcome in filter(None, outcomes):
            self._metrics.refused.labels("full" if isinstance(outcome, BufferFull) else "failed").inc()
        self._publish()
        return outcomes

    @property
    def untidy(self) -> bool:
        """Whether there is something for `tidy` to do. Any thread may ask."""
        newest = self._segments.newest
        return newest is not None and newest.log_is_large

    def tidy(self) -> None:
        """What need not happen before a batch's caller has its answer."""
        if self._segments.newest is not None:
            # When it fails the log stays valid, and what reads or writes next meets the same error.
            with contextlib.suppress(sqlite3.Error, Damaged):
                self._segments.newest.write_back()

    def read(self, destination: str, limit: int, after: int, max_bytes: int) -> Sequence[tuple[int, Record]]:
        """Position and content of the first batches behind position `after`; the caller checks their checksums.

        `max_bytes`: of payload before compression, unless the first batch is larger.
        """
        self._writer.rescue_broken()
        found: list[tuple[int, Record]] = []
        for segment in self._segments:
            start = max(after - _position(segment, 0), 0)
            if start > segment.last_row or not segment.waiting.get(destination, Backlog()).batches:
                continue
            try:
                room = self._read_segment(segment, destination, start, limit, max_bytes, found)
            except SegmentDamaged as error:
                self._writer.rescue(error)
                if not found:  # what was rescued stands in another segment now
                    return self.read(destination, limit, after, max_bytes)
                break
            if not room:
                break
        self._publish()
        return found

    def remove(self, destination: str, positions: Iterable[int]) -> None:
        """Let batches no longer wait for a destination; a segment in which nothing waits any longer is deleted."""
        rows: dict[int, list[int]] = {}
        for position in positions:
            rows.setdefault(position >> _ROW_BITS, []).append(position & _ROW_MASK)
        for number, these in rows.items():
            segment = self._segments.get(number)
            if segment is not None:
                try:
                    segment.remove(destination, these)
                except SegmentDamaged as error:
                    self._writer.rescue(error)
                else:
                    self._delete_if_drained(segment)
        self._publish()

    def set_aside(self, position: int, reason: str) -> None:
        """Let a damaged batch wait for nobody, and keep what there is of it beside the buffer."""
        number, row = position >> _ROW_BITS, position & _ROW_MASK
        segment = self._segments.get(number)
        if segment is None:
            return
        try:
            self._set_aside(segment, row, reason)
        except SegmentDamaged as error:
            self._writer.rescue(error)
        else:
            self._delete_if_drained(segment)
        self._publish()

    def drop(self, destination: str) -> Backlog:
        """Throw away what waits for a destination. Returns what that was."""
        dropped = self.status.get(destination, Backlog())
        for segment in self._segments:
            segment.drop(destination)
            self._delete_if_drained(segment)
        self._publish()
        return dropped

    def verify(self) -> VerifyReport:
        """Read and check everything; change nothing."""
        return verify(self._segments)

    def _admit(self, items: Sequence[Item]) -> Sequence[bool]:
        """Which batches there is room for; those that are stored already need none."""
        needed, room = _GROUP_BYTES, self._room()
        fits = []
        for record, _ in items:
            # Once in the log and once in the database.
            cost = 2 * len(record.data) + _BATCH_BYTES
            while needed + cost > room and self._config.overflow == "drop_oldest" and self._drop_oldest():
                room = self._room()
            fitting = needed + cost <= room or self._writer.stored(record)
            needed += cost if fitting else 0
            fits.append(fitting)
        return fits

    def _room(self) -> int:
        return min(
            self._config.max_bytes - self._segments.bytes,
            self._folder.free_bytes() - self._config.min_free_bytes,
        )

    def _drop_oldest(self) -> bool:
        segment = next(iter(self._segments), None)
        if segment is None:
            return False
        for destination, backlog in segment.waiting.items():
            self._metrics.dropped.labels(destination).inc(backlog.records)
            if backlog.records:
                event = "the retry buffer is full: oldest records dropped"
                _log.error(event, destination=destination, records=backlog.records)
        self._segments.delete(segment)
        return True

    def _read_segment(
        self,
        segment: Segment,
        destination: str,
        start: int,
        limit: int,
        max_bytes: int,
        found: list[tuple[int, Record]],
    ) -> bool:
        """Add a segment's batches to what was found. Whether there is room for those of the next one."""
        rows = segment.rows(destination, start, limit - len(found))
        if not rows and not start:
            segment.check_pending()
        size = sum(record.size for _, record in found)
        for row, payload_size in rows:
            size += payload_size
            if found and size > max_bytes:
                return False
            try:
                found.append((_position(segment, row), segment.read(row)))
            except SegmentDamaged:
                raise
            except Damaged as error:
                self._set_aside(segment, row, str(error))
        return len(found) < limit

    def _set_aside(self, segment: Segment, row: int, reason: str) -> None:
        with contextlib.suppress(Damaged, OSError):
            self._folder.keep(f"{segment.file.stem}-batch-{row}", segment.read(row).data)
        segment.forget(row)
        self._metrics.damaged_batches.inc()
        _log.error("a batch in the retry buffer is damaged: set aside", file=segment.file.name, row=row, reason=reason)

    def _delete_if_drained(self, segment: Segment) -> None:
        if not segment.drained or (segment is self._segments.newest and segment.bytes <= _IDLE_BYTES):
            return
        try:
            segment.check_pending()
        except SegmentDamaged as error:
            self._writer.rescue(error)
        else:
            self._segments.delete(segment)

    def _publish(self) -> None:
        status = {name: Backlog() for name in self._destinations}
        for segment in self._segments:
            for name, backlog in segment.waiting.items():
                status[name] = _sum(status.get(name, Backlog()), backlog)
        self.status = {
            name: backlog for name, backlog in status.items() if backlog.batches or name in self._destinations
        }
        self._metrics.disk_bytes.set(self._segments.bytes)


def _position(segment: Segment, row: int) -> int:
    return segment.number << _ROW_BITS | row


def _sum(first: Backlog, second: Backlog) -> Backlog:
    return Backlog(
        first.batches + second.batches,
        first.records + second.records,
        first.bytes + second.bytes,
        first.oldest_unix_nano or second.oldest_unix_nano,
    )
