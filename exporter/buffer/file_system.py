"""The port to the file system: all file work of the buffer goes through it.

So a test can make any single operation fail with any errno, which is the larger half of what goes wrong on disks.
SQLite does its own file work; what it does begins with `connect`.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700
"""Modes: telemetry is for nobody but the user that the sidecar runs as."""


class FileSystem(Protocol):
    """Operations on files. All raise OSError and may be called in any thread; none hangs on what is no regular file."""

    def open(self, file: Path, flags: int) -> int:
        """A descriptor, to be given to `close`. What is created is private. Symbolic links are not followed."""
        ...

    def close(self, descriptor: int) -> None: ...

    def read(self, descriptor: int, size: int, offset: int) -> bytes:
        """At most `size` bytes from `offset`; fewer at the end of the file only."""
        ...

    def write(self, descriptor: int, data: bytes, offset: int) -> None:
        """All of `data`."""
        ...

    def truncate(self, descriptor: int, size: int) -> None: ...

    def fsync(self, descriptor: int) -> None: ...

    def lock(self, descriptor: int) -> None:
        """Lock a file for this process alone. Raises BlockingIOError when another has it."""
        ...

    def stat(self, file: Path) -> os.stat_result:
        """Of the file itself, also if it is a symbolic link."""
        ...

    def list(self, folder: Path) -> Sequence[str]:
        """The names in a folder, sorted."""
        ...

    def rename(self, old: Path, new: Path) -> None: ...

    def unlink(self, file: Path) -> None: ...

    def make_folder(self, folder: Path) -> None:
        """One folder, private, in one that is there."""
        ...

    def chmod(self, file: Path, mode: int) -> None: ...

    def volume(self, folder: Path) -> os.statvfs_result: ...

    def connect(self, file: Path) -> sqlite3.Connection:
        """Open a database that is there; for use in any thread, one at a time. Raises sqlite3.Error, too."""
        ...


class RealFileSystem:
    """The operating system's."""

    def __init__(self, connection: type[sqlite3.Connection] = sqlite3.Connection) -> None:
        self._connection = connection

    def open(self, file: Path, flags: int) -> int:
        # Not blocking: opening a pipe that somebody put under one of our names would wait for its other end.
        return os.open(file, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, PRIVATE_FILE)

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

    def read(self, descriptor: int, size: int, offset: int) -> bytes:
        parts = []
        while size and (part := os.pread(descriptor, size, offset)):
            parts.append(part)
            size, offset = size - len(part), offset + len(part)
        return b"".join(parts)

    def write(self, descriptor: int, data: bytes, offset: int) -> None:
        view = memoryview(data)
        while view:
            written = os.pwrite(descriptor, view, offset)
            view, offset = view[written:], offset + written

    def truncate(self, descriptor: int, size: int) -> None:
        os.ftruncate(descriptor, size)

    def fsync(self, descriptor: int) -> None:
        os.fsync(descriptor)

    def lock(self, descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def stat(self, file: Path) -> os.stat_result:
        return file.lstat()

    def list(self, folder: Path) -> Sequence[str]:
        return sorted(os.listdir(folder))  # noqa: PTH208 - names are what is asked for

    def rename(self, old: Path, new: Path) -> None:
        old.replace(new)

    def unlink(self, file: Path) -> None:
        file.unlink()

    def make_folder(self, folder: Path) -> None:
        folder.mkdir(PRIVATE_FOLDER)

    def chmod(self, file: Path, mode: int) -> None:
        file.chmod(mode)

    def volume(self, folder: Path) -> os.statvfs_result:
        return os.statvfs(folder)

    def connect(self, file: Path) -> sqlite3.Connection:
        # `rw`: a file that is gone must not come back empty. No waiting for locks: others wait for this thread.
        uri = f"file:{quote(str(file.absolute()))}?mode=rw"
        return sqlite3.connect(
            uri,
            uri=True,
            timeout=0,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=32,
            factory=self._connection,
        )
