"""The format of a segment's file, and how one is made, recognised and opened.

Source of the offsets in a database's header: SQLite, "Database File Format", section 1.3.
"""

from __future__ import annotations

import contextlib
import enum
import os
import sqlite3
from pathlib import Path

from exporter.buffer import files
from exporter.buffer.file_system import FileSystem

FORMAT = 1
PAGE_BYTES = 4096
_APPLICATION = 0x4F544C42
"""`OTLB`: what the header says of whose database it is."""
_HEADER_BYTES = 100
_VERSION, _MARKS = 60, (0, 68)
_HEADER = {
    0: b"SQLite format 3\0",
    16: PAGE_BYTES.to_bytes(2) + bytes((2, 2, 0, 64, 32, 32)),  # in WAL mode
    44: (4).to_bytes(4),  # the schema's format
    52: bytes(4),  # no automatic vacuum
    56: (1).to_bytes(4),  # UTF-8
    _VERSION: FORMAT.to_bytes(4),
    64: bytes(4),
    68: _APPLICATION.to_bytes(4),
    72: bytes(20),
}
"""What the header of every segment says, by offset."""
_FLIPPED_BITS = 2
"""So many wrong bits in the marks are damage; with more it is another file."""
_MAX_PADDED = 1 << 31
"""More than any segment has: a larger page count is damage itself."""
_CACHE_KIB = 256
"""Page cache of one segment; the system's own cache does the rest."""
_TABLES = (
    # Headers apart from payloads, so that counting and looking up never touches a payload's page.
    "CREATE TABLE batches (row INTEGER PRIMARY KEY, signal TEXT NOT NULL, base_id BLOB NOT NULL,"
    " received INTEGER NOT NULL, records INTEGER NOT NULL,"
    " compression INTEGER NOT NULL, size INTEGER NOT NULL, checksum BLOB NOT NULL,"
    " stored INTEGER NOT NULL)",
    "CREATE INDEX batches_by_base_id ON batches (base_id)",
    "CREATE TABLE payloads (row INTEGER PRIMARY KEY, data BLOB NOT NULL)",
    "CREATE TABLE pending (destination TEXT NOT NULL, row INTEGER NOT NULL, PRIMARY KEY (destination, row))"
    " WITHOUT ROWID",
    "CREATE TABLE waiting (destination TEXT PRIMARY KEY, batches INTEGER NOT NULL, records INTEGER NOT NULL,"
    " bytes INTEGER NOT NULL) WITHOUT ROWID",
)
READ = (
    "SELECT signal, base_id, received, records, compression, size, checksum, data"
    " FROM batches JOIN payloads ON payloads.row = batches.row WHERE batches.row = ?"
)
"""The fields of a `Record`, in order."""


class Kind(enum.Enum):
    """What a file under a segment's name is."""

    OURS = enum.auto()
    NEWER = enum.auto()
    DAMAGED = enum.auto()
    """Ours, by all but a bit or two of its header."""
    FOREIGN = enum.auto()
    """Empty, garbage, or another program's."""


def create(system: FileSystem, file: Path) -> None:
    """Make an empty segment, durably. Its name is not: sync the folder."""
    # SQLite would make it readable for all; it gives what it keeps beside it the same mode.
    files.write(system, file, b"")
    with contextlib.closing(system.connect(file)) as db:
        for pragma in (f"page_size={PAGE_BYTES}", f"application_id={_APPLICATION}", f"user_version={FORMAT}"):
            db.execute(f"PRAGMA {pragma}")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("BEGIN")
        for table in _TABLES:
            db.execute(table)
        db.execute("COMMIT")
        db.execute("PRAGMA journal_mode=WAL").fetchall()


def kind(system: FileSystem, file: Path) -> Kind:
    """What a file is, without touching it: SQLite itself would write beside it. Raises OSError."""
    header = files.read(system, file, _HEADER_BYTES)
    if len(header) < _HEADER_BYTES:
        return Kind.FOREIGN
    marks = {offset: mark for offset, mark in _HEADER.items() if offset in _MARKS}
    wrong = sum(_differing_bits(header[offset : offset + len(mark)], mark) for offset, mark in marks.items())
    if wrong > _FLIPPED_BITS:
        return Kind.FOREIGN
    if wrong:
        return Kind.DAMAGED
    return Kind.OURS if header[_VERSION : _VERSION + 4] == _HEADER[_VERSION] else Kind.NEWER


def missing_bytes(system: FileSystem, file: Path) -> int:
    """How much shorter a file is than its header says; 0 for one that is whole. While no connection is open."""
    pages = int.from_bytes(files.read(system, file, _HEADER_BYTES)[28:32])
    wanted = pages * PAGE_BYTES
    return max(wanted - files.size(system, file), 0) if wanted <= _MAX_PADDED else 0


def repair(system: FileSystem, file: Path) -> None:
    """Make a damaged file one that SQLite opens: of one that is too short or has a wrong header it reads nothing.

    What the header of every segment says is written anew, and the length filled up with zeros. Raises OSError.
    """
    with files.opened(system, file, os.O_RDWR) as descriptor:
        header = system.read(descriptor, _HEADER_BYTES, 0)
        for offset, constant in _HEADER.items():
            if header[offset : offset + len(constant)] != constant:
                system.write(descriptor, constant, offset)
    if missing := missing_bytes(system, file):
        with files.opened(system, file, os.O_WRONLY) as descriptor:
            system.truncate(descriptor, files.size(system, file) + missing)


def connect(system: FileSystem, file: Path) -> sqlite3.Connection:
    """Open a segment. Exclusive locking keeps SQLite's shared-memory file away: nobody else opens it."""
    db = system.connect(file)
    try:
        for pragma in (
            "locking_mode=EXCLUSIVE",
            "wal_autocheckpoint=0",
            f"cache_size=-{_CACHE_KIB}",
            "temp_store=MEMORY",
        ):
            db.execute(f"PRAGMA {pragma}").fetchall()
    except BaseException:
        db.close()
        raise
    return db


def _differing_bits(one: bytes, other: bytes) -> int:
    return (int.from_bytes(one) ^ int.from_bytes(other)).bit_count()
