"""What can still be read in a damaged segment.

Batches are looked up one by one by row, so that a damaged page costs only what lies on it. Where it cannot be told any
longer for whom a batch waits, it waits for everybody: replaying a batch twice is harmless, since its records' `_id`s
are the same.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from exporter.buffer import schema
from exporter.buffer.codec import Record

_SMALLEST_BATCH = 100
"""Bytes that no stored batch takes less than: bounds the rows to try when nothing says how many there are."""


@dataclass(slots=True)
class Rescue:
    """The batches of one damaged file."""

    file: Path
    destinations: set[str]
    """Who a batch may wait for. Those named in the file are added."""
    last_row: int | None = None
    """The newest batch's row, when known."""
    lost: int = field(default=0, init=False)
    """Batches that were there and could not be read."""

    def batches(self) -> Iterator[tuple[Record, Sequence[str]]]:
        """Each batch that is intact and waits for somebody, and for whom."""
        self.lost = 0
        with contextlib.suppress(OSError):  # what cannot be read at all shows below
            schema.pad(self.file)
        with contextlib.suppress(sqlite3.Error), contextlib.closing(schema.connect(self.file)) as db:
            trusted = self._pending_is_whole(db)
            known = self.last_row or self._find_last_row(db)
            for row in range(1, (known or self.file.stat().st_size // _SMALLEST_BATCH) + 1):
                waiting = self._waiting(db, row) if trusted else sorted(self.destinations)
                record = self._record(db, row) if waiting else None
                if record is not None and record.intact():
                    yield record, waiting
                elif waiting and (record is not None or known):
                    self.lost += 1

    def _record(self, db: sqlite3.Connection, row: int) -> Record | None:
        with contextlib.suppress(sqlite3.Error):
            found = db.execute(schema.READ, (row,)).fetchone()
            return Record(*found) if found else None
        return None

    def _waiting(self, db: sqlite3.Connection, row: int) -> Sequence[str]:
        statement = "SELECT 1 FROM pending WHERE destination = ? AND row = ?"
        return [name for name in sorted(self.destinations) if db.execute(statement, (name, row)).fetchone()]

    def _pending_is_whole(self, db: sqlite3.Connection) -> bool:
        """Whether what waits can be read to its end and is as much as the counts say."""
        try:
            counts = dict(db.execute("SELECT destination, count(*) FROM pending GROUP BY destination").fetchall())
            said = dict(db.execute("SELECT destination, batches FROM waiting WHERE batches > 0").fetchall())
        except sqlite3.Error:
            return False
        if counts != said:
            return False
        self.destinations.update(counts)
        return True

    def _find_last_row(self, db: sqlite3.Connection) -> int:
        """The newest row that is still to be seen; 0 when none is."""
        last = 0
        for table in ("batches", "payloads", "pending"):
            with contextlib.suppress(sqlite3.Error):
                found = db.execute(f"SELECT max(row) FROM {table}").fetchone()[0]  # noqa: S608 - names of our own
                last = max(last, found if isinstance(found, int) else 0)
        return last
