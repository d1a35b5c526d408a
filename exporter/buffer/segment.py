"""One segment: a SQLite database in WAL mode that holds batches in order of arrival and what each still waits for.

Whoever uses it does so in one thread. Sources: SQLite, "Write-Ahead Logging" and "Pragma statements".
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from exporter.buffer import schema
from exporter.buffer.codec import Record
from exporter.buffer.errors import Damaged, is_damage
from exporter.buffer.folder import disk_bytes
from exporter.interfaces import Backlog
from exporter.signals import SIGNALS

_KNOWN = tuple(SIGNALS)
_MAX_WAL = 4 << 20
"""Bytes at which the log is written back: large enough to be rare, small beside a buffer."""
_TRANSACTION_BYTES = 32 << 10
"""What a transaction writes to the log beside the payloads, roughly."""
_NONE = Backlog()


class SegmentDamaged(Damaged):
    """SQLite cannot make sense of a segment's file, or cannot read it."""

    def __init__(self, segment: Segment, reason: str) -> None:
        super().__init__(reason)
        self.segment = segment


@dataclass(slots=True)
class _State:
    """What memory knows of a segment; a transaction works on a copy."""

    waiting: dict[str, Backlog] = field(default_factory=dict)
    last_row: int = 0
    first_id: bytes = b"\xff" * 16
    last_id: bytes = b""
    unwritten: set[tuple[str, int]] = field(default_factory=set)
    """What no longer waits, but could not be deleted yet: destination and row."""

    def copy(self) -> _State:
        return replace(self, waiting=dict(self.waiting), unwritten=set(self.unwritten))


class Segment:
    """An open segment.

    Its methods raise SegmentDamaged, and sqlite3.Error for what is not the file's fault (no room, a failed write).
    """

    def __init__(self, number: int, file: Path) -> None:
        self.number = number
        self.file = file
        self.bytes = 0
        """What its files took on disk after the last change."""
        self._logged = 0
        """Bytes that went to the log since it was written back, roughly."""
        self._wal = file.with_name(file.name + "-wal")
        self._db = schema.connect(file)
        self._state = self._staged = _State()
        try:
            self._load()
        except BaseException:
            self._db.close()
            raise
        self._measure()

    @property
    def waiting(self) -> Mapping[str, Backlog]:
        """The backlog of each destination that ever had one here."""
        return self._state.waiting

    @property
    def last_row(self) -> int:
        """The newest batch's row; the first one's is 1."""
        return self._state.last_row

    @property
    def drained(self) -> bool:
        """Whether nothing waits here for anybody, by the counts."""
        return not any(backlog.batches for backlog in self._state.waiting.values())

    @contextlib.contextmanager
    def transaction(self, *, durable: bool) -> Iterator[None]:
        """All or nothing. `durable`: on disk for good when it ends; else a power cut may undo it, a crash does not."""
        self._query(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        self._query("BEGIN IMMEDIATE")
        self._staged = self._state.copy()
        try:
            self._write_removals()
            yield
            self._write_waiting()
            self._query("COMMIT")
            self._logged += _TRANSACTION_BYTES
        except BaseException:
            if self._db.in_transaction:
                with contextlib.suppress(sqlite3.Error):  # the first error is the one to report
                    self._db.execute("ROLLBACK")
            self._staged = self._state
            raise
        self._state = self._staged
        self._measure()

    def find(self, record: Record) -> int:
        """The row of the newest batch with the same signal and base id; 0 when there is none."""
        if not self._staged.first_id <= record.base_id <= self._staged.last_id:
            return 0
        statement = "SELECT max(row) FROM batches WHERE base_id = ? AND signal = ?"
        return self._query(statement, record.base_id, record.signal)[0][0] or 0

    def waits(self, row: int, destination: str) -> bool:
        """Whether a batch waits for a destination."""
        if (destination, row) in self._staged.unwritten:
            return False
        return bool(self._query("SELECT 1 FROM pending WHERE destination = ? AND row = ?", destination, row))

    def add(self, record: Record) -> int:
        """Store a batch, which waits for nobody yet. Within a transaction. Returns its row."""
        state = self._staged
        state.last_row = row = state.last_row + 1
        self._query(
            "INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            row,
            record.signal,
            record.base_id,
            record.received_unix_nano,
            record.records,
            record.compression,
            record.size,
            record.checksum,
            len(record.data),
        )
        self._query("INSERT INTO payloads VALUES (?, ?)", row, record.data)
        self._logged += len(record.data)
        state.first_id = min(state.first_id, record.base_id)
        state.last_id = max(state.last_id, record.base_id)
        return row

    def wait(self, row: int, destination: str, record: Record) -> None:
        """Let a batch wait for a destination. Within a transaction."""
        self._query("INSERT INTO pending VALUES (?, ?)", destination, row)
        before = self._staged.waiting.get(destination, _NONE)
        newest = row == self._staged.last_row and before.batches
        self._staged.waiting[destination] = Backlog(
            before.batches + 1,
            before.records + record.records,
            before.bytes + len(record.data),
            before.oldest_unix_nano if newest else self._oldest(destination, ()),
        )

    def remove(self, destination: str, rows: Iterable[int]) -> None:
        """Let batches no longer wait for a destination. Those that did not are passed over.

        It holds at once even when there is no room to write it: it is written with the next change then.
        """
        gone = [row for row in dict.fromkeys(rows) if self.waits(row, destination)]
        self._state.unwritten.update((destination, row) for row in gone)
        self._state.waiting[destination] = self._without(destination, gone)
        with contextlib.suppress(sqlite3.Error), self.transaction(durable=False):
            pass

    def forget(self, row: int) -> None:
        """Let a batch wait for nobody."""
        for destination in tuple(self.waiting):
            self.remove(destination, [row])

    def drop(self, destination: str) -> None:
        """Let nothing wait for a destination."""
        with self.transaction(durable=True):
            self._query("DELETE FROM pending WHERE destination = ?", destination)
            self._staged.waiting[destination] = _NONE

    def rows(self, destination: str, after: int, limit: int) -> Sequence[tuple[int, int]]:
        """Row and payload size of the first batches behind row `after` that wait for a destination.

        Batches of signals that this version does not know are passed over.
        """
        marks = ", ".join("?" * len(_KNOWN))
        found = self._query(
            "SELECT pending.row, batches.size FROM pending LEFT JOIN batches ON batches.row = pending.row"  # noqa: S608
            f" WHERE destination = ? AND pending.row > ? AND (signal IS NULL OR signal IN ({marks}))"
            " ORDER BY pending.row LIMIT ?",
            destination,
            after,
            *_KNOWN,
            limit + len(self._state.unwritten),
        )
        return [(row, size or 0) for row, size in found if (destination, row) not in self._state.unwritten][:limit]

    def read(self, row: int) -> Record:
        """A batch as it is stored; not checked.

        Raises:
            Damaged: a part of it is missing.
        """
        found = self._query(schema.READ, row)
        if not found:
            raise Damaged("a part of it is missing")
        return Record(*found[0])

    def check_pending(self) -> None:
        """Compare what waits with the counts.

        Raises:
            SegmentDamaged: they differ.
        """
        counts = Counter(dict(self._query("SELECT destination, count(*) FROM pending GROUP BY destination")))
        counts.subtract(destination for destination, _ in self._state.unwritten)
        for name in counts.keys() | self.waiting.keys():
            expected = self.waiting.get(name, _NONE).batches
            if counts[name] != expected:
                raise SegmentDamaged(self, f"{counts[name]} batches wait for {name}, not {expected} as its counts say")

    def integrity(self) -> Sequence[str]:
        """What SQLite's own check of the whole file finds."""
        lines = [str(row[0]) for row in self._query("PRAGMA integrity_check(10)")]
        return [] if lines == ["ok"] else lines

    @property
    def log_is_large(self) -> bool:
        """Whether it is time to bring the log into the database. Any thread may ask."""
        return self._logged > _MAX_WAL

    def write_back(self, *, whole: bool = False) -> None:
        """Bring the log into the database when it is large; `whole`: always, and give the log's room back.

        Otherwise the log's file keeps its size and is overwritten from its start, which makes for a cheaper fsync.
        """
        if whole:
            self._query("PRAGMA wal_checkpoint(TRUNCATE)")
            self._measure()
        elif self.log_is_large:
            self._query("PRAGMA wal_checkpoint(PASSIVE)")
            self._logged = 0
            self._measure()

    def close(self) -> None:
        """Close it. What is in the log stays readable whether or not it can be brought into the database."""
        if self._state.unwritten:
            with contextlib.suppress(sqlite3.Error, SegmentDamaged), self.transaction(durable=False):
                pass
        self._db.close()

    def _query(self, statement: str, *parameters: object) -> list[Any]:
        try:
            return self._db.execute(statement, parameters).fetchall()
        except sqlite3.Error as error:
            if is_damage(error):
                raise SegmentDamaged(self, str(error)) from error
            raise

    def _load(self) -> None:
        last_row = self._query("SELECT max(row) FROM batches")[0][0] or 0
        first_id = self._query("SELECT min(base_id) FROM batches")[0][0]
        last_id = self._query("SELECT max(base_id) FROM batches")[0][0]
        counts = self._query("SELECT destination, batches, records, bytes FROM waiting")
        if not all(isinstance(edge, bytes | None) for edge in (first_id, last_id)):
            raise SegmentDamaged(self, "its ids are not bytes")
        if not all(isinstance(number, int) and number >= 0 for _, *numbers in counts for number in numbers):
            raise SegmentDamaged(self, "its counts are not numbers")
        self._state = self._staged = _State(
            {
                name: Backlog(batches, records, size, self._oldest(name, ()) if batches else 0)
                for name, batches, records, size in counts
            },
            last_row,
            first_id or b"\xff" * 16,
            last_id or b"",
        )

    def _oldest(self, destination: str, unwritten: Collection[int]) -> int:
        """When the first batch that waits for a destination was received."""
        found = self._query(
            "SELECT pending.row, received FROM pending JOIN batches ON batches.row = pending.row"
            " WHERE destination = ? ORDER BY pending.row LIMIT ?",
            destination,
            len(unwritten) + 1,
        )
        return next((int(received) for row, received in found if row not in unwritten), 0)

    def _without(self, destination: str, rows: Sequence[int]) -> Backlog:
        """What waits for a destination now that these rows do not."""
        before = self._state.waiting.get(destination, _NONE)
        if len(rows) >= before.batches:
            return _NONE
        records = size = 0
        for row in rows:
            for batch_records, stored in self._query("SELECT records, stored FROM batches WHERE row = ?", row):
                records, size = records + batch_records, size + stored
        unwritten = {row for name, row in self._state.unwritten if name == destination}
        return Backlog(
            before.batches - len(rows),
            max(before.records - records, 0),
            max(before.bytes - size, 0),
            self._oldest(destination, unwritten),
        )

    def _write_waiting(self) -> None:
        for name, left in self._staged.waiting.items():
            statement = "INSERT OR REPLACE INTO waiting VALUES (?, ?, ?, ?)"
            self._query(statement, name, left.batches, left.records, left.bytes)

    def _write_removals(self) -> None:
        for destination, row in self._staged.unwritten:
            self._query("DELETE FROM pending WHERE destination = ? AND row = ?", destination, row)
        self._staged.unwritten.clear()

    def _measure(self) -> None:
        self.bytes = disk_bytes(self.file) + disk_bytes(self._wal)
