"""A check of the whole buffer, which changes nothing."""

from __future__ import annotations

import sqlite3

from exporter.buffer.errors import Damaged
from exporter.buffer.report import VerifyReport
from exporter.buffer.segment import Segment
from exporter.buffer.segments import Segments


def verify(segments: Segments) -> VerifyReport:
    """Read every batch that waits, compare its checksum, and let SQLite check its files."""
    damage = [f"{broken.file.name}: {broken.reason}" for broken in segments.broken]
    batches = records = 0
    for segment in segments:
        damage += _structure(segment)
        for row in range(1, segment.last_row + 1):
            try:
                if not any(segment.waits(row, destination) for destination in segment.waiting):
                    continue
                batches += 1
                record = segment.read(row)
                if not record.intact():
                    raise Damaged("its checksum does not match")  # noqa: TRY301 - one place words the line
                records += record.records
            except (sqlite3.Error, Damaged) as error:
                damage.append(f"{segment.file.name}, batch {row}: {error}")
    return VerifyReport(
        sum(1 for _ in segments), batches, records, tuple(damage), tuple(file.name for file in segments.untouched)
    )


def _structure(segment: Segment) -> list[str]:
    try:
        segment.check_pending()
        return [f"{segment.file.name}: {line}" for line in segment.integrity()]
    except (sqlite3.Error, Damaged) as error:
        return [f"{segment.file.name}: {error}"]
