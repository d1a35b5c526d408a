"""What can go wrong with the retry buffer.

Two kinds are kept apart everywhere. *Damaged* is what was read and proven wrong. All other errors may pass: a file that
cannot be opened, read or locked now may be sound, so it stays where it is and is tried again.
"""

from __future__ import annotations

import errno
import sqlite3

from exporter.errors import Overloaded, TooLarge, Unavailable

_FULL = {errno.ENOSPC, errno.EDQUOT}
_READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}

FILE_ERRORS = (OSError, sqlite3.Error, MemoryError)
"""What file work raises. SQLite's NOMEM becomes a MemoryError in Python."""
FileError = OSError | sqlite3.Error | MemoryError

_PROOFS = {
    sqlite3.SQLITE_ERROR,  # a flipped bit in a schema shows as a syntax error or an unknown table
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_FORMAT,
    sqlite3.SQLITE_SCHEMA,
    sqlite3.SQLITE_TOOBIG,  # a length that no batch has
    sqlite3.SQLITE_CONSTRAINT,  # a row that should not be there
    sqlite3.SQLITE_MISMATCH,
}
"""Primary result codes by which SQLite says that what it read is wrong.

Source: SQLite, "Result and Error Codes".
"""


class BufferOpenError(Exception):
    """The buffer cannot be opened. Its text says what to do."""


class BufferInUse(BufferOpenError):
    """Another process has the folder open."""


class BufferReadOnly(BufferOpenError):
    """The folder cannot be written to."""


class VolumeTooSmall(BufferOpenError):
    """The volume has no room for a buffer, however empty it is."""


class BufferFull(Overloaded):
    """The buffer's bound or the disk leaves no room."""


class BufferUnavailable(Unavailable):
    """The disk failed, or the buffer is closed."""


class BatchTooLarge(TooLarge):
    """The batch is larger than the whole buffer may be."""


class UnknownFile(Exception):
    """There is no such file among those that were set aside."""


Refused = BufferFull | BufferUnavailable | BatchTooLarge
"""Why a batch was not stored."""


class Damaged(Exception):
    """What is on disk was read and is not what was written. Raised inside the buffer only."""


def is_full(error: BaseException) -> bool:
    """Whether it was for want of room on the disk (or of SQLite's own page limit)."""
    if isinstance(error, sqlite3.Error):
        return _primary(error) == sqlite3.SQLITE_FULL
    return isinstance(error, OSError) and error.errno in _FULL


def is_read_only(error: OSError) -> bool:
    return error.errno in _READ_ONLY


def is_proof_of_damage(error: BaseException) -> bool:
    """Whether an error says that what was read is wrong, rather than that it could not be read.

    Python raises some without a code: text that is no text is damage, wrong use of a connection is not.
    """
    if not isinstance(error, sqlite3.Error) or isinstance(error, sqlite3.ProgrammingError):
        return False
    return _primary(error) in _PROOFS


def is_short_read(error: BaseException) -> bool:
    """Whether SQLite met the end of a file too early, which is damage if the file is shorter than it says itself."""
    return getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_IOERR_SHORT_READ


def describe(error: BaseException) -> str:
    """An error in words, also where it brings none."""
    return str(error) or type(error).__name__


def refusal(error: BaseException, folder: object) -> BufferFull | BufferUnavailable:
    """What to tell the caller whose batch was not written."""
    if is_full(error):
        return BufferFull(f"no room on the disk for the retry buffer ({folder}): {error}", retry_after=5.0)
    return BufferUnavailable(f"the retry buffer ({folder}) cannot be written: {describe(error)}", retry_after=5.0)


def _primary(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
