"""What can still be read in a damaged segment.

Batches are looked up one by one by row, so that a damaged page costs only what lies on it. Where it cannot be told any
longer for whom a batch waits, it waits for everybody: replaying a batch twice is harmless, since its records' `_id`s
are the same.

What cannot be read for a reason that may pass is not lost: then the rescue is incomplete and to be made again.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from exporter.buffer import files, schema
from exporter.buffer.codec import Record
from exporter.buffer.errors import FILE_ERRORS, FileError, describe, is_proof_of_damage, is_short_read
from exporter.buffer.file_system import FileSystem

_SMALLEST_BATCH = 100
"""Bytes that no stored batch takes less than: bounds the rows to try when nothing says how many there are."""
_MOST_FAILURES = 16
"""Rows in a row that cannot be read: then it is not about rows."""


class Rescued(NamedTuple):
    """An intact batch of a damaged segment."""

    row: int
    record: Record
    destinations: Sequence[str]
    """For whom it waits."""


@dataclass(slots=True)
class Rescue:
    """The batches of one damaged file. May be made again: it goes on with what is not `stored`."""

    system: FileSystem
    file: Path
    destinations: set[str]
    """Who a batch may wait for. Those named in the file are added."""
    last_row: int | None = None
    """The newest batch's row, when known."""
    lost: int = field(default=0, init=False)
    """Batches that were there and are damaged themselves."""
    incomplete: str = field(default="", init=False)
    """Why not all could be read; empty when all was that can be."""
    rescued: int = field(default=0, init=False)
    """Batches that are stored elsewhere."""
    _done: set[int] = field(default_factory=set, init=False)
    """Rows of which it is known what becomes of them."""
    _failures: int = field(default=0, init=False)

    def batches(self) -> Generator[Rescued, None, None]:
        """Each batch that is intact and waits for somebody, and is not yet `stored`.

        Raises:
            OSError, sqlite3.Error, MemoryError: the file cannot be read now.
        """
        self.incomplete, self._failures = "", 0
        schema.repair(self.system, self.file)
        try:
            db = schema.connect(self.system, self.file)
        except FILE_ERRORS as error:
            if _passing(error):
                raise
            self.lost = self.last_row or self.lost
            return
        with contextlib.closing(db):
            yield from self._read_all(db)

    def stored(self, rows: Iterable[int]) -> None:
        """These are stored elsewhere, and need not be read again."""
        before = len(self._done)
        self._done.update(rows)
        self.rescued += len(self._done) - before

    def _read_all(self, db: sqlite3.Connection) -> Generator[Rescued, None, None]:
        trusted = self._pending_is_whole(db)
        if not trusted and not self.destinations:
            self.incomplete = "it does not tell any longer for whom its batches wait, and no destination is set"
            return
        known = self.last_row or self._find_last_row(db)
        bound = known or files.size(self.system, self.file) // _SMALLEST_BATCH
        for row in range(1, bound + 1):
            if row in self._done:
                continue
            try:
                waiting = self._waiting(db, row) if trusted else sorted(self.destinations)
                record = self._record(db, row) if waiting else None
            except FILE_ERRORS as error:
                self._note_failure(error)
                continue
            self._failures = 0
            if record is not None and record.intact():
                yield Rescued(row, record, waiting)
                continue
            if waiting and (record is not None or known):
                self.lost += 1
            self._done.add(row)

    def _note_failure(self, error: FileError) -> None:
        self.incomplete = describe(error)
        self._failures += 1
        if self._failures >= _MOST_FAILURES:
            raise error

    def _record(self, db: sqlite3.Connection, row: int) -> Record | None:
        try:
            found = db.execute(schema.READ, (row,)).fetchone()
        except FILE_ERRORS as error:
            if _passing(error):
                raise
            return None
        return Record(*found) if found else None

    def _waiting(self, db: sqlite3.Connection, row: int) -> Sequence[str]:
        statement, names = "SELECT 1 FROM pending WHERE destination = ? AND row = ?", sorted(self.destinations)
        try:
            return [name for name in names if db.execute(statement, (name, row)).fetchone()]
        except FILE_ERRORS as error:
            if _passing(error):
                raise
            return names

    def _pending_is_whole(self, db: sqlite3.Connection) -> bool:
        """Whether what waits can be read to its end and is as much as the counts say."""
        try:
            counts = dict(db.execute("SELECT destination, count(*) FROM pending GROUP BY destination").fetchall())
            said = dict(db.execute("SELECT destination, batches FROM waiting WHERE batches > 0").fetchall())
        except FILE_ERRORS as error:
            if _passing(error):
                raise
            return False
        if counts != said or not all(isinstance(name, str) for name in counts):
            return False
        self.destinations.update(counts)
        return True

    def _find_last_row(self, db: sqlite3.Connection) -> int:
        """The newest row that is still to be seen; 0 when none is."""
        last = 0
        for table in ("batches", "payloads", "pending"):
            try:
                found = db.execute(f"SELECT max(row) FROM {table}").fetchone()[0]  # noqa: S608 - names of our own
            except FILE_ERRORS as error:
                if _passing(error):
                    raise
                continue
            last = max(last, found if isinstance(found, int) else 0)
        return last


def _passing(error: FileError) -> bool:
    """Whether it may be read another time. A file that is too short was padded before."""
    return not is_proof_of_damage(error) and not is_short_read(error)
