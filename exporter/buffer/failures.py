"""What can go wrong with one segment: it is damaged, or it cannot be read or written now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.buffer.errors import Damaged, FileError, describe

if TYPE_CHECKING:
    from exporter.buffer.segment import Segment


class SegmentDamaged(Damaged):
    """A segment's file was read, and SQLite or its own counts say that it is wrong."""

    def __init__(self, segment: Segment, reason: str) -> None:
        super().__init__(reason)
        self.segment = segment


class RowDamaged(Damaged):
    """A single batch is not what was written."""


class SegmentFailed(Exception):
    """A segment's file could not be read or written now, for a reason that is not in it. Its text is the reason's."""

    def __init__(self, segment: Segment, cause: FileError) -> None:
        super().__init__(describe(cause))
        self.segment = segment
        self.cause = cause
