"""What the buffer does with files, made of the operations of the port."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from exporter.buffer.file_system import PRIVATE_FILE, PRIVATE_FOLDER, FileSystem

_CHUNK = 1 << 20
SIDE_FILES = ("-wal", "-journal", "-shm")
"""What SQLite keeps beside a database."""


def beside(file: Path, suffix: str) -> Path:
    return file.with_name(file.name + suffix)


@contextlib.contextmanager
def opened(system: FileSystem, file: Path, flags: int) -> Iterator[int]:
    """A descriptor for a while."""
    descriptor = system.open(file, flags)
    try:
        yield descriptor
    finally:
        system.close(descriptor)


def exists(system: FileSystem, file: Path) -> bool:
    try:
        system.stat(file)
    except FileNotFoundError:
        return False
    return True


def size(system: FileSystem, file: Path) -> int:
    """Bytes of a file's content; 0 when it is not there."""
    try:
        return system.stat(file).st_size
    except FileNotFoundError:
        return 0


def disk_bytes(system: FileSystem, file: Path) -> int:
    """What a file takes on disk, or will once the system has written it; 0 when it is not there."""
    try:
        state = system.stat(file)
    except FileNotFoundError:
        return 0
    return max(state.st_size, state.st_blocks * 512) if stat.S_ISREG(state.st_mode) else 0


def read(system: FileSystem, file: Path, limit: int = -1) -> bytes:
    """The content of a file, or its first bytes."""
    with opened(system, file, os.O_RDONLY) as descriptor:
        return system.read(descriptor, limit if limit >= 0 else system.stat(file).st_size, 0)


def read_through(system: FileSystem, file: Path) -> None:
    """Read a file from its beginning to its end. Raises OSError: a part of it cannot be read now."""
    with opened(system, file, os.O_RDONLY) as descriptor:
        offset = 0
        while chunk := system.read(descriptor, _CHUNK, offset):
            offset += len(chunk)


def write(system: FileSystem, file: Path, data: bytes) -> None:
    """A new file, or an old one's new content, synced. Its name is not: `sync` the folder."""
    with opened(system, file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as descriptor:
        system.write(descriptor, data, 0)
        system.fsync(descriptor)


def copy(system: FileSystem, old: Path, new: Path) -> None:
    """Copy a file's content, synced."""
    with opened(system, old, os.O_RDONLY) as source, opened(system, new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as to:
        offset = 0
        while chunk := system.read(source, _CHUNK, offset):
            system.write(to, chunk, offset)
            offset += len(chunk)
        system.fsync(to)


def sync(system: FileSystem, path: Path) -> None:
    """Bring a file, or the names in a folder, to disk."""
    with opened(system, path, os.O_RDONLY) as descriptor:
        system.fsync(descriptor)


def rename(system: FileSystem, old: Path, new: Path) -> None:
    """Rename within a folder, durably."""
    system.rename(old, new)
    sync(system, new.parent)


def move(system: FileSystem, old: Path, new: Path) -> None:
    """Move into another folder, which may lie on another volume. The caller syncs the folders."""
    try:
        system.rename(old, new)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy(system, old, new)
        sync(system, new.parent)
        system.unlink(old)


def remove(system: FileSystem, file: Path) -> None:
    """Delete a file if it is there."""
    with contextlib.suppress(FileNotFoundError):
        system.unlink(file)


def remove_database(system: FileSystem, file: Path) -> None:
    """Delete a database and what SQLite keeps beside it: that first, or it would be taken for the next one's."""
    for suffix in (*SIDE_FILES, ""):
        remove(system, beside(file, suffix))


def make_folders(system: FileSystem, folder: Path) -> None:
    """Make a folder, and those above it that are not there, durably."""
    if exists(system, folder):
        return
    if folder.parent != folder:
        make_folders(system, folder.parent)
    with contextlib.suppress(FileExistsError):
        system.make_folder(folder)
    sync(system, folder.parent)


def sync_name(system: FileSystem, folder: Path) -> None:
    """Bring the names of a folder and of those above it to disk, as far as this user may: their maker need not have."""
    for above in folder.resolve().parents:
        with contextlib.suppress(OSError):
            sync(system, above)


def make_private(system: FileSystem, file: Path) -> None:
    """Take away what others than its owner may do with a file or folder. Where that is refused it stays as it is."""
    with contextlib.suppress(OSError):
        mode = system.stat(file).st_mode
        allowed = PRIVATE_FOLDER if stat.S_ISDIR(mode) else PRIVATE_FILE
        if not stat.S_ISLNK(mode) and stat.S_IMODE(mode) & ~allowed:
            system.chmod(file, stat.S_IMODE(mode) & allowed)
