"""The format of a segment's file, and how one is made, recognised and opened.

Source of the offsets in a database's header: SQLite, "Database File Format", section 1.3.
"""

from __future__ import annotations

import enum
import sqlite3
from pathlib import Path

FORMAT = 1
PAGE_BYTES = 4096
_APPLICATION = 0x4F544C42
"""`OTLB`: what the header says of whose database it is."""
_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 100
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
    FOREIGN = enum.auto()
    """Empty, garbage, or another program's."""


def create(file: Path) -> None:
    """Make an empty segment, durably."""
    db = sqlite3.connect(file, isolation_level=None)
    try:
        for pragma in (f"page_size={PAGE_BYTES}", f"application_id={_APPLICATION}", f"user_version={FORMAT}"):
            db.execute(f"PRAGMA {pragma}")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("BEGIN")
        for table in _TABLES:
            db.execute(table)
        db.execute("COMMIT")
        db.execute("PRAGMA journal_mode=WAL").fetchall()
    finally:
        db.close()


def kind(file: Path) -> Kind:
    """What a file is, without touching it: SQLite itself would write beside it."""
    with file.open("rb") as stream:
        header = stream.read(_HEADER_BYTES)
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
        return Kind.FOREIGN
    version, application = int.from_bytes(header[60:64]), int.from_bytes(header[68:72])
    if application != _APPLICATION:
        return Kind.FOREIGN
    return Kind.OURS if version == FORMAT else Kind.NEWER


def pad(file: Path) -> None:
    """Give a file that was cut short its length back, with zeros: SQLite reads nothing of one that is too short."""
    with file.open("r+b") as stream:
        pages = int.from_bytes(stream.read(_HEADER_BYTES)[28:32])
        size = stream.seek(0, 2)
        if size < pages * PAGE_BYTES <= _MAX_PADDED:
            stream.truncate(pages * PAGE_BYTES)


def connect(file: Path) -> sqlite3.Connection:
    """Open a segment. Exclusive locking keeps SQLite's shared-memory file away: nobody else opens it."""
    db = sqlite3.connect(file, isolation_level=None, check_same_thread=False, cached_statements=32)
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
