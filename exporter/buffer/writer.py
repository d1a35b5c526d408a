"""Writing batches into segments, and a damaged segment's batches into a sound one."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import TypeVar

import structlog

from exporter.buffer.codec import Record
from exporter.buffer.errors import Damaged
from exporter.buffer.rescue import Rescue
from exporter.buffer.segment import Segment, SegmentDamaged
from exporter.buffer.segments import Segments
from exporter.buffer.telemetry import BufferMetrics

_log = structlog.get_logger(__name__)

_RESCUE_BATCHES = 64

T = TypeVar("T")
Item = tuple[Record, str]
"""A batch and a destination that it is to wait for."""


class Writer:
    """Writes to the newest segment. A segment that turns out damaged on the way is rescued, and the work done again."""

    def __init__(
        self, segments: Segments, segment_limit: int, destinations: Sequence[str], metrics: BufferMetrics
    ) -> None:
        self._segments = segments
        self._segment_limit = segment_limit
        self._destinations = tuple(destinations)
        self._metrics = metrics

    def write(self, items: Sequence[Item]) -> None:
        """Store batches in one transaction, each once. Raises sqlite3.Error, OSError: none of them is stored."""
        self._on_sound_segments(lambda: self._write(items))

    def stored(self, record: Record) -> bool:
        """Whether there is an intact copy of a batch, whoever it waits for."""
        return self._on_sound_segments(lambda: self._find(record)) is not None

    def _write(self, items: Iterable[Item]) -> None:
        with ExitStack() as transactions:
            begun: set[int] = set()

            def begin(segment: Segment) -> None:
                if segment.number not in begun:
                    transactions.enter_context(segment.transaction(durable=True))
                    begun.add(segment.number)

            for record, destination in items:
                place = self._find(record)
                if place is None:
                    segment = self._segments.active(self._segment_limit)
                    begin(segment)
                    place = segment, segment.add(record)
                segment, row = place
                if not segment.waits(row, destination):
                    begin(segment)
                    segment.wait(row, destination, record)

    def _find(self, record: Record) -> tuple[Segment, int] | None:
        """Where an intact copy of a batch is stored, whoever it waits for."""
        for segment in self._segments:
            row = segment.find(record)
            if row and self._intact(segment, row):
                return segment, row
        return None

    @staticmethod
    def _intact(segment: Segment, row: int) -> bool:
        try:
            return segment.read(row).intact()
        except SegmentDamaged:
            raise
        except Damaged:
            return False

    def _on_sound_segments(self, action: Callable[[], T]) -> T:
        """Do it, again each time that a segment turned out damaged and was set aside."""
        while True:
            try:
                return action()
            except SegmentDamaged as error:
                self.rescue(error)

    def rescue(self, error: SegmentDamaged) -> None:
        """Bring what can be read of a damaged segment into another, and set its file aside."""
        self._release(error)
        self.rescue_broken()

    def rescue_broken(self) -> None:
        """Do so with all that is released: what the disk had no room for the last time is tried again."""
        while self._segments.broken:
            broken = self._segments.broken[0]
            rescue = broken.rescue or Rescue(broken.file, set(self._destinations))
            batches = rescue.batches()
            rescued = 0
            try:
                while chunk := list(itertools.islice(batches, _RESCUE_BATCHES)):
                    items = [(record, name) for record, names in chunk for name in names]
                    self._write_around_damage(items)
                    rescued += len(chunk)
                target = self._segments.set_file_aside(broken.file)
            except (sqlite3.Error, OSError) as error:
                _log.warning("a damaged file of the retry buffer cannot be rescued yet", reason=str(error))
                return
            self._segments.broken.remove(broken)
            self._metrics.damaged_batches.inc(rescue.lost)
            _log.error(
                "a file of the retry buffer is damaged: set aside",
                file=str(target),
                reason=broken.reason,
                rescued_batches=rescued,
                lost_batches=rescue.lost,
            )

    def _write_around_damage(self, items: Sequence[Item]) -> None:
        while True:
            try:
                return self._write(items)
            except SegmentDamaged as error:
                self._release(error)  # its turn comes after the one that is being rescued

    def _release(self, error: SegmentDamaged) -> None:
        segment = error.segment
        names = {*self._destinations, *segment.waiting}
        self._segments.release(segment, str(error), Rescue(segment.file, names, segment.last_row))
