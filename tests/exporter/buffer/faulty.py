"""A file system that fails on demand: any operation, with any errno, once or for good."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exporter.buffer import schema
from exporter.buffer.file_system import RealFileSystem

SQL_OPERATIONS = ("connect", "PRAGMA", "BEGIN", "COMMIT", "ROLLBACK", "SELECT", "INSERT", "DELETE", "CREATE")
ERRNOS = (errno.EIO, errno.ENOSPC, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EACCES, errno.EROFS)
SQLITE_CODES = {
    errno.EIO: sqlite3.SQLITE_IOERR_READ,
    errno.ENOSPC: sqlite3.SQLITE_FULL,
    errno.EMFILE: sqlite3.SQLITE_CANTOPEN,
    errno.ENFILE: sqlite3.SQLITE_CANTOPEN,
    errno.EACCES: sqlite3.SQLITE_IOERR_ACCESS,
    errno.EROFS: sqlite3.SQLITE_READONLY,
}
"""What SQLite makes of an errno. ENOMEM is a MemoryError."""


@dataclass
class Fault:
    """What is to go wrong."""

    operation: str
    """A method of the file system, or the first word of a statement."""
    error: int
    """An errno, or a result code of SQLite where `code` is set."""
    times: float = float("inf")
    """How often."""
    where: str = ""
    """Part of the path, for those operations that concern one."""
    code: bool = False
    hits: int = field(default=0, init=False)

    def matches(self, operation: str, path: str) -> bool:
        return self.operation == operation and self.where in path and self.hits < self.times


class FaultyConnection(sqlite3.Connection):
    """A connection whose statements fail as its file system says."""

    system: FaultyFileSystem
    file: Path

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        self.system.check(sql.split(maxsplit=1)[0], str(self.file))
        if sql == schema.READ:
            self.system.check_row(parameters[0], str(self.file))
        return super().execute(sql, parameters)


class FaultyFileSystem(RealFileSystem):
    """The operating system's, with faults."""

    def __init__(self) -> None:
        super().__init__(FaultyConnection)
        self.faults: list[Fault] = []
        self.calls: list[tuple[str, str]] = []
        """Operation and path of all that was asked for."""
        self._paths: dict[int, str] = {}

    def check(self, operation: str, path: str) -> None:
        """Raise what is to go wrong with this operation."""
        self.calls.append((operation, path))
        for fault in self.faults:
            if fault.matches(operation, path):
                fault.hits += 1
                raise _error(fault, operation, path)

    def check_row(self, row: int, path: str) -> None:
        """Raise what is to go wrong with reading a batch."""

    def open(self, file: Path, flags: int) -> int:
        self.check("open", str(file))
        descriptor = super().open(file, flags)
        self._paths[descriptor] = str(file)
        return descriptor

    def close(self, descriptor: int) -> None:
        super().close(descriptor)  # as Linux does: it is closed, whatever it says
        self.check("close", self._paths.pop(descriptor))

    def read(self, descriptor: int, size: int, offset: int) -> bytes:
        self.check("read", self._paths[descriptor])
        return super().read(descriptor, size, offset)

    def write(self, descriptor: int, data: bytes, offset: int) -> None:
        try:
            self.check("write", self._paths[descriptor])
        except OSError:
            super().write(descriptor, data[: len(data) // 2], offset)  # the disk took a part
            raise
        super().write(descriptor, data, offset)

    def truncate(self, descriptor: int, size: int) -> None:
        self.check("truncate", self._paths[descriptor])
        super().truncate(descriptor, size)

    def fsync(self, descriptor: int) -> None:
        self.check("fsync", self._paths[descriptor])
        super().fsync(descriptor)

    def lock(self, descriptor: int) -> None:
        self.check("lock", self._paths[descriptor])
        super().lock(descriptor)

    def stat(self, file: Path) -> os.stat_result:
        self.check("stat", str(file))
        return super().stat(file)

    def list(self, folder: Path) -> Sequence[str]:
        self.check("list", str(folder))
        return super().list(folder)

    def rename(self, old: Path, new: Path) -> None:
        self.check("rename", str(old))
        super().rename(old, new)

    def unlink(self, file: Path) -> None:
        self.check("unlink", str(file))
        super().unlink(file)

    def make_folder(self, folder: Path) -> None:
        self.check("make_folder", str(folder))
        super().make_folder(folder)

    def chmod(self, file: Path, mode: int) -> None:
        self.check("chmod", str(file))
        super().chmod(file, mode)

    def volume(self, folder: Path) -> os.statvfs_result:
        self.check("volume", str(folder))
        return super().volume(folder)

    def connect(self, file: Path) -> sqlite3.Connection:
        self.check("connect", str(file))
        db = super().connect(file)
        assert isinstance(db, FaultyConnection)
        db.system, db.file = self, file
        return db


class SmallVolume(FaultyFileSystem):
    """On a volume of a given size."""

    def __init__(self, total: int, free: int, free_files: int = 1000) -> None:
        super().__init__()
        self.total, self.free, self.free_files = total, free, free_files

    def volume(self, folder: Path) -> os.statvfs_result:
        return os.statvfs_result(
            (1, 1, self.total, self.free, self.free, 1000, self.free_files, self.free_files, 0, 255)
        )


def sqlite_error(code: int) -> sqlite3.OperationalError:
    """As Python raises it."""
    error = sqlite3.OperationalError(f"made to fail with {code}")
    error.sqlite_errorcode = code
    return error


def _error(fault: Fault, operation: str, path: str) -> BaseException:
    if fault.code:
        return sqlite_error(fault.error)
    if operation in SQL_OPERATIONS:
        return MemoryError() if fault.error == errno.ENOMEM else sqlite_error(SQLITE_CODES[fault.error])
    return OSError(fault.error, os.strerror(fault.error), path)
