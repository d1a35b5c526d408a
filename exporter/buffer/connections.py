"""The few segments that are open at a time, however many there are.

A connection takes two descriptors. The one that is written to stays open; of the others the one that was not used for
the longest time makes room for the next.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

from exporter.buffer import schema
from exporter.buffer.errors import FILE_ERRORS
from exporter.buffer.file_system import FileSystem

MOST_OPEN = 6
"""The active segment, one that is read for each of two destinations, and some for looking batches up."""


class Connections:
    """The open connections, by file. Whoever uses it does so in one thread."""

    def __init__(self, system: FileSystem, prepare: Callable[[Path], None], most: int = MOST_OPEN) -> None:
        """`prepare`: what to do to a file before SQLite opens it."""
        self._system = system
        self._prepare = prepare
        self._most = most
        self._open: dict[Path, sqlite3.Connection] = {}
        """The least recently used first."""
        self.active: Path | None = None
        """The file that stays open."""

    def __len__(self) -> int:
        return len(self._open)

    def get(self, file: Path) -> sqlite3.Connection:
        """The connection to a file, opened if need be. Raises OSError, sqlite3.Error, MemoryError, Damaged."""
        db = self._open.pop(file, None)
        if db is None:
            self._make_room(self._most)
            try:
                db = self._connect(file)
            except FILE_ERRORS:
                # Other parts of the process may have taken the descriptors that there were.
                if not self._make_room(2):
                    raise
                db = self._connect(file)
        self._open[file] = db
        return db

    def is_open(self, file: Path) -> bool:
        return file in self._open

    def close(self, file: Path) -> None:
        """Close the connection to a file, if there is one. A transaction in it is rolled back."""
        db = self._open.pop(file, None)
        if db is not None:
            _close(db)

    def close_all(self) -> None:
        while self._open:
            self.close(next(iter(self._open)))

    def _connect(self, file: Path) -> sqlite3.Connection:
        self._prepare(file)
        return schema.connect(self._system, file)

    def _make_room(self, most: int) -> bool:
        """Close others until fewer than `most` are open. Whether any was closed."""
        idle = [file for file, db in self._open.items() if file != self.active and not db.in_transaction]
        surplus = idle[: max(len(self._open) - most + 1, 0)]
        for file in surplus:
            self.close(file)
        return bool(surplus)


def _close(db: sqlite3.Connection) -> None:
    # SQLite brings the log into the database and deletes it. Where that fails the log stays, and is read again.
    with contextlib.suppress(*FILE_ERRORS):
        db.close()
