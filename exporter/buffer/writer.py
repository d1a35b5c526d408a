"""Writing batches into segments, and a damaged segment's batches into a sound one."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TypeVar

import structlog

from exporter.buffer.codec import Record
from exporter.buffer.errors import FILE_ERRORS, Damaged, describe, is_full
from exporter.buffer.failures import RowDamaged, SegmentDamaged, SegmentFailed
from exporter.buffer.rescue import Rescue
from exporter.buffer.segment import Segment
from exporter.buffer.segments import Segments
from exporter.buffer.telemetry import BufferMetrics
from exporter.buffer.trouble import Trouble

_log = structlog.get_logger(__name__)

_RESCUE_BATCHES = 64
_TRANSACTIONS = 3
"""Segments that are written to at once, at most: fewer than may be open."""
_TRIES = 3
"""Segments that fail under one group, at most: then it is not about segments."""
_MOST_DAMAGED = 1000
"""Segments that turn out damaged in one go, at most. There are not so many: a defect must not go round for ever."""

T = TypeVar("T")
Item = tuple[Record, str]
"""A batch and a destination that it is to wait for."""


class Writer:
    """Writes to the newest segment. A segment that turns out damaged on the way is rescued, and the work done again."""

    def __init__(self, segments: Segments, segment_limit: int, metrics: BufferMetrics) -> None:
        self._segments = segments
        self._segment_limit = segment_limit
        self._metrics = metrics

    def write(self, items: Sequence[Item]) -> None:
        """Store batches, each once.

        Raises:
            SegmentFailed, OSError, sqlite3.Error, MemoryError, Damaged: some may be stored and some not.
        """
        self.on_sound_segments(lambda: self._write(items))

    def stored(self, record: Record) -> bool:
        """Whether there is an intact copy of a batch, whoever it waits for."""
        return self.on_sound_segments(lambda: self._find(record)) is not None

    def waits(self, record: Record, destinations: Sequence[str]) -> bool:
        """Whether there is an intact copy of a batch that waits for all of these."""

        def look() -> bool:
            place = self._find(record)
            return place is not None and all(place[0].waits(place[1], name) for name in destinations)

        return self.on_sound_segments(look)

    def on_sound_segments(self, action: Callable[[], T]) -> T:
        """Do it, again each time that a segment turned out damaged, or could not be written and another might."""
        failed = 0
        for _ in range(_MOST_DAMAGED):
            try:
                return action()
            except SegmentDamaged as error:
                self.rescue(error)
            except SegmentFailed as error:
                failed += 1
                self._step_aside(error)
                if failed == _TRIES or is_full(error.cause):
                    raise
        raise Damaged("segments turn out damaged one after the other")

    def _write(self, items: Sequence[Item]) -> None:
        written = 0
        while written < len(items):
            written += self._write_some(items[written:])

    def _write_some(self, items: Sequence[Item]) -> int:
        """Store the first batches, as many as concern few segments. Returns how many."""
        with ExitStack() as transactions:
            begun: set[int] = set()
            for done, (record, destination) in enumerate(items):
                place = self._find(record)
                segment, row = place or (self._segments.active(self._segment_limit), 0)
                if row and segment.waits(row, destination):
                    continue
                if segment.number not in begun:
                    if len(begun) == _TRANSACTIONS:
                        return done
                    transactions.enter_context(segment.transaction(durable=True))
                    begun.add(segment.number)
                row = row or segment.add(record)
                if not segment.waits(row, destination):
                    segment.wait(row, destination, record)
        return len(items)

    def _find(self, record: Record) -> tuple[Segment, int] | None:
        """Where an intact copy of a batch is stored, whoever it waits for. One that cannot be read does not count."""
        for segment in self._segments:
            try:
                row = segment.find(record)
                if row and self._intact(segment, row):
                    return segment, row
            except SegmentFailed as error:
                if segment is self._segments.newest:
                    raise
                self._segments.suspend(error)
        return None

    @staticmethod
    def _intact(segment: Segment, row: int) -> bool:
        try:
            return segment.read(row).intact()
        except RowDamaged:
            return False

    def _step_aside(self, error: SegmentFailed) -> None:
        """Write to a segment no more after an error: what SQLite and the system hold of it cannot be known."""
        if error.segment is not self._segments.newest:
            self._segments.suspend(error)
            return
        self._segments.retire()
        if isinstance(error.cause, FileNotFoundError):
            self._leave(error.segment)

    def _leave(self, segment: Segment) -> None:
        """Bring the batches of a segment whose file was deleted into another, while it is still open."""
        self._segments.troubles.note(segment.number, segment.file, "it was deleted")
        with contextlib.suppress(SegmentFailed, Damaged, *FILE_ERRORS):
            pending = iter(segment.all_pending())
            while chunk := list(itertools.islice(pending, _RESCUE_BATCHES)):
                self._write([(segment.read(row), name) for row, name in chunk])
        self._segments.gone(segment.number, segment.file)

    def rescue(self, error: SegmentDamaged) -> None:
        """Bring what can be read of a damaged segment into another, and set its file aside."""
        self._segments.release(error)
        self.rescue_due()

    def rescue_due(self) -> bool:
        """Do so with all that are released and due. Whether any is done with."""
        done = False
        while due := [(number, trouble) for number, trouble in self._segments.troubles.due() if trouble.rescue]:
            number, trouble = due[0]
            done |= self._try_rescue(number, trouble)
        return done

    def _try_rescue(self, number: int, trouble: Trouble) -> bool:
        rescue = trouble.rescue
        if rescue is None:
            raise AssertionError("it is to be rescued")
        try:
            if not rescue.rescued and self._segments.acquit(number, rescue.file):
                _log.warning(
                    "a file of the retry buffer looked damaged, and is sound: it goes on being used",
                    file=str(rescue.file),
                    reason=trouble.reason,
                )
                return True
            self._rescue(rescue)
            if rescue.incomplete:
                raise OSError(rescue.incomplete)
            target = self._segments.set_file_aside(number, rescue.file, restored=True)
        except (SegmentFailed, Damaged, *FILE_ERRORS) as error:
            if isinstance(error, FileNotFoundError) and self._segments.is_gone(rescue.file):
                self._segments.gone(number, rescue.file)
                return True
            reason = f"damaged ({trouble.reason}), and cannot be rescued yet: {describe(error)}"
            self._segments.troubles.note(number, rescue.file, reason)
            return False
        self._metrics.damaged_batches.inc(rescue.lost)
        _log.error(
            "a file of the retry buffer is damaged: set aside",
            file=str(target),
            reason=trouble.reason,
            rescued_batches=rescue.rescued,
            lost_batches=rescue.lost,
        )
        return True

    def _rescue(self, rescue: Rescue) -> None:
        with contextlib.closing(rescue.batches()) as batches:
            while chunk := list(itertools.islice(batches, _RESCUE_BATCHES)):
                items = [(found.record, name) for found in chunk for name in found.destinations]
                self._write_around_damage(items)
                rescue.stored(found.row for found in chunk)

    def _write_around_damage(self, items: Sequence[Item]) -> None:
        while True:
            try:
                return self._write(items)
            except SegmentDamaged as error:
                self._segments.release(error)  # its turn comes after the one that is being rescued
            except SegmentFailed as error:
                self._step_aside(error)
                raise
