"""What can go wrong with the retry buffer."""

from __future__ import annotations

import errno
import sqlite3

from exporter.errors import Overloaded, Unavailable

_FULL = {errno.ENOSPC, errno.EDQUOT}
_READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}


class BufferOpenError(Exception):
    """The buffer cannot be opened. Its text says what to do."""


class BufferInUse(BufferOpenError):
    """Another process has the folder open."""


class BufferReadOnly(BufferOpenError):
    """The folder cannot be written to."""


class BufferFull(Overloaded):
    """The buffer's bound or the disk leaves no room."""


class BufferUnavailable(Unavailable):
    """The disk failed, or the buffer is closed."""


class Damaged(Exception):
    """What is on disk is not what was written. Raised inside the buffer only."""


def is_full(error: Exception) -> bool:
    """Whether it was for want of room on the disk (or of SQLite's own page limit)."""
    if isinstance(error, sqlite3.Error):
        return _primary(error) == sqlite3.SQLITE_FULL
    return isinstance(error, OSError) and error.errno in _FULL


def is_read_only(error: OSError) -> bool:
    return error.errno in _READ_ONLY


def is_damage(error: sqlite3.Error) -> bool:
    """Whether SQLite found its file to be damaged, or could not read it.

    What is neither a full disk nor a failed write is taken for damage: a flipped bit in a schema shows as a syntax
    error.
    Source: SQLite, "Result and Error Codes".
    """
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    if code in {sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS}:
        return True
    return _primary(error) not in {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_INTERRUPT,
    }


def refusal(error: Exception, folder: object) -> BufferFull | BufferUnavailable:
    """What to tell the caller whose batch was not written."""
    if is_full(error):
        return BufferFull(f"no room on the disk for the retry buffer ({folder}): {error}", retry_after=5.0)
    return BufferUnavailable(f"the retry buffer ({folder}) cannot be written: {error}", retry_after=5.0)


def _primary(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
