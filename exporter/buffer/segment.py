"""One segment: a SQLite database in WAL mode that holds batches in order of arrival and what each still waits for.

Memory knows its counts; its file is open only while it is used (`Connections`).

Whoever uses it does so in one thread. Sources: SQLite, "Write-Ahead Logging" and "Pragma statements".
"""

from __future__ import annotations

import contextlib
import errno
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from exporter.buffer import files, schema
from exporter.buffer.codec import Record
from exporter.buffer.connections import Connections
from exporter.buffer.errors import FILE_ERRORS, FileError, is_proof_of_damage, is_short_read
from exporter.buffer.failures import RowDamaged, SegmentDamaged, SegmentFailed
from exporter.buffer.file_system import FileSystem
from exporter.buffer.segment_state import State, as_number
from exporter.interfaces import Backlog
from exporter.signals import SIGNALS

_KNOWN = tuple(SIGNALS)
_MAX_WAL = 4 << 20
"""Bytes at which the log is written back: large enough to be rare, small beside a buffer."""
_TRANSACTION_BYTES = 32 << 10
"""What a transaction writes to the log beside the payloads, roughly."""
_NONE = Backlog()


class Segment:
    """A segment that was looked at.

    Its methods raise SegmentDamaged, and SegmentFailed for what is not the file's fault: no room, a failed read.
    """

    def __init__(self, number: int, file: Path, connections: Connections, system: FileSystem) -> None:
        """Reads its counts."""
        self.number = number
        self.file = file
        self.bytes = 0
        """What its files took on disk after the last change."""
        self._connections = connections
        self._system = system
        self._wal = files.beside(file, "-wal")
        self._state = self._staged = State()
        self.passes_over: set[int] = set()
        """Rows that cannot be read now, and are left alone."""
        self._logged = 0
        """Bytes that went to the log since it was written back, roughly."""
        self._owed: set[tuple[str, int]] = set()
        """What is to wait no longer, once the file can be read: destination and row."""
        try:
            self._state = self._staged = self._load()
        except BaseException:
            connections.close(file)
            raise
        self._measure()
        with contextlib.suppress(OSError):
            self._logged = files.size(system, self._wal)

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
            self._staged = self._state
            self._roll_back()
            raise
        self._state = self._staged
        if not self._measure() and durable:
            # Somebody has deleted the file that is open: what was written to it ends with this process.
            raise SegmentFailed(self, FileNotFoundError(errno.ENOENT, "it was deleted", str(self.file)))

    def find(self, record: Record) -> int:
        """The row of the newest batch with the same signal and base id; 0 when there is none."""
        if not self._staged.first_id <= record.base_id <= self._staged.last_id:
            return 0
        statement = "SELECT max(row) FROM batches WHERE base_id = ? AND signal = ?"
        return self._query(statement, record.base_id, record.signal)[0][0] or 0

    def waits(self, row: int, destination: str) -> bool:
        """Whether a batch waits for a destination."""
        if (destination, row) in self._staged.unwritten or (destination, row) in self._owed:
            return False
        return self._is_pending(row, destination)

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

        It holds at once, also when it cannot be written or even looked up now: then `settle` does that.
        """
        self._owed.update((destination, row) for row in rows)
        self.settle()

    def settle(self) -> None:
        """Write what `remove` could not."""
        for destination in {name for name, _ in self._owed}:
            rows = {row for name, row in self._owed if name == destination}
            gone = [row for row in sorted(rows) if self._is_pending(row, destination)]
            left = self._without(destination, gone)
            self._state.unwritten.update((destination, row) for row in gone)
            self._state.waiting[destination] = left
            self._owed.difference_update((destination, row) for row in rows)
        if self._state.unwritten:
            with contextlib.suppress(SegmentFailed), self.transaction(durable=False):
                pass  # opening one writes them

    def forget(self, row: int) -> None:
        """Let a batch wait for nobody."""
        for destination in tuple(self.waiting):
            self.remove(destination, [row])

    def drop(self, destination: str) -> None:
        """Let nothing wait for a destination."""
        with self.transaction(durable=True):
            self._query("DELETE FROM pending WHERE destination = ?", destination)
            self._staged.waiting[destination] = _NONE

    def rows(
        self, destination: str, after: int, limit: int, signals: Sequence[str] = _KNOWN
    ) -> Sequence[tuple[int, int]]:
        """Row and payload size of the first batches behind row `after` that wait for a destination.

        Batches of other signals are passed over, as are those that this version does not know.
        """
        marks = ", ".join("?" * len(signals))
        found = self._query(
            "SELECT pending.row, batches.size FROM pending LEFT JOIN batches ON batches.row = pending.row"  # noqa: S608
            f" WHERE destination = ? AND pending.row > ? AND (signal IS NULL OR signal IN ({marks}))"
            " ORDER BY pending.row LIMIT ?",
            destination,
            after,
            *signals,
            limit + len(self._state.unwritten) + len(self._owed) + len(self.passes_over),
        )
        gone = self._state.unwritten | self._owed
        return [
            (row, as_number(size))
            for row, size in found
            if row not in self.passes_over and (destination, row) not in gone
        ][:limit]

    def read(self, row: int) -> Record:
        """A batch as it is stored; not checked.

        Raises:
            RowDamaged: a part of it is missing.
        """
        found = self._query(schema.READ, row)
        if not found:
            raise RowDamaged("a part of it is missing")
        return Record(*found[0])

    def all_pending(self) -> Sequence[tuple[int, str]]:
        """Row and destination of all that waits, in order of arrival."""
        found = self._query("SELECT row, destination FROM pending ORDER BY row")
        gone = self._state.unwritten | self._owed
        return [(row, name) for row, name in found if (name, row) not in gone]

    def pass_over(self, row: int) -> None:
        """Leave a batch alone that cannot be read now."""
        self.passes_over.add(row)

    def try_out(self) -> None:
        """Read the counts and each first batch (one that fails is passed over), and write what `remove` could not."""
        self.check_pending()
        for destination in self.waiting:
            for row, _ in self.rows(destination, 0, 1):
                try:
                    self.read(row)
                except RowDamaged:
                    continue  # is found when it is its turn
                except SegmentFailed:
                    self.pass_over(row)
        self.settle()

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
        """Close its file, if it is open. What is in the log stays, whether or not it can be brought into the database.

        It opens again when it is used.
        """
        with contextlib.suppress(SegmentFailed, SegmentDamaged):
            if self._connections.is_open(self.file):
                self.settle()
        self._connections.close(self.file)

    def _query(self, statement: str, *parameters: object) -> list[Any]:
        try:
            return self._connections.get(self.file).execute(statement, parameters).fetchall()
        except FILE_ERRORS as error:
            raise self._judged(error) from error

    def _judged(self, error: FileError) -> SegmentDamaged | SegmentFailed:
        """Whether it was proven that the file is damaged."""
        suspect = is_proof_of_damage(error)
        if not suspect and not is_short_read(error):
            return SegmentFailed(self, error)
        self._connections.close(self.file)  # reading the file beside SQLite would take its lock away
        try:
            # SQLite calls it damage, too, when the disk answers a read with an error.
            files.read_through(self._system, self.file)
            damaged = suspect or schema.missing_bytes(self._system, self.file) > 0
        except OSError as failure:
            return SegmentFailed(self, failure)
        return SegmentDamaged(self, str(error)) if damaged else SegmentFailed(self, error)

    def _roll_back(self) -> None:
        """The first error is the one to report. A connection that cannot even roll back is closed, which does."""
        if not self._connections.is_open(self.file):
            return
        with contextlib.suppress(*FILE_ERRORS):
            db = self._connections.get(self.file)
            if db.in_transaction:
                db.execute("ROLLBACK")
            if not db.in_transaction:
                return
        self._connections.close(self.file)

    def _is_pending(self, row: int, destination: str) -> bool:
        return bool(self._query("SELECT 1 FROM pending WHERE destination = ? AND row = ?", destination, row))

    def _load(self) -> State:
        last_row = self._query("SELECT max(row) FROM batches")[0][0] or 0
        first_id = self._query("SELECT min(base_id) FROM batches")[0][0]
        last_id = self._query("SELECT max(base_id) FROM batches")[0][0]
        counts = self._query("SELECT destination, batches, records, bytes FROM waiting")
        if not all(isinstance(edge, bytes | None) for edge in (first_id, last_id)):
            raise SegmentDamaged(self, "its ids are not bytes")
        numbers = [number for _, *three in counts for number in three]
        if not isinstance(last_row, int) or not all(isinstance(number, int) and number >= 0 for number in numbers):
            raise SegmentDamaged(self, "its counts are not numbers")
        if not all(isinstance(name, str) for name, *_ in counts):
            raise SegmentDamaged(self, "its destinations are not names")
        return State(
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
        return next((as_number(received) for row, received in found if row not in unwritten), 0)

    def _without(self, destination: str, rows: Sequence[int]) -> Backlog:
        """What waits for a destination now that these rows do not."""
        before = self._state.waiting.get(destination, _NONE)
        if len(rows) >= before.batches:
            return _NONE
        records = size = 0
        for row in rows:
            for batch_records, stored in self._query("SELECT records, stored FROM batches WHERE row = ?", row):
                records, size = records + as_number(batch_records), size + as_number(stored)
        unwritten = {row for name, row in self._state.unwritten if name == destination}.union(rows)
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

    def _measure(self) -> bool:
        """Whether the file is still there, as far as one can see now. What cannot be measured is as large as it was."""
        try:
            main = files.disk_bytes(self._system, self.file)
            self.bytes = main + files.disk_bytes(self._system, self._wal)
        except OSError:
            return True
        return main > 0
