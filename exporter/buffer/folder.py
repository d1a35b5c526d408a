"""The buffer's folder: its lock, the names in it, the list of its segments, and where damaged files go."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import time
from collections.abc import Collection
from pathlib import Path

from exporter.buffer.errors import BufferInUse, BufferReadOnly, is_read_only

_SEGMENT = re.compile(r"segment-(\d{10})\.sqlite")
_UNFINISHED = ".new"
SIDE_FILES = ("-wal", "-journal", "-shm")
"""What SQLite keeps beside a database."""


class Folder:
    """A folder that this process alone works in, from `open` to `close`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = -1
        self._manifest = path / "manifest.json"
        self._aside = path / "damaged"
        self._aside_bytes = 0

    def open(self) -> None:
        """Take the lock and remove what was left half made.

        Raises:
            BufferInUse, BufferReadOnly: the text says what to do.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = self._take_lock()
            for left in self.path.glob(f"*{_UNFINISHED}*"):
                left.unlink()
        except OSError as error:
            if not is_read_only(error):
                raise
            raise BufferReadOnly(
                f"the retry buffer's folder {self.path} cannot be written to ({error.strerror}): "
                "give this user write access or choose another folder"
            ) from error
        self._measure_aside()

    def close(self) -> None:
        """Let go of the lock."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def segment(self, number: int) -> Path:
        return self.path / f"segment-{number:010}.sqlite"

    def unfinished(self, number: int) -> Path:
        """Where a segment is made before it gets its name."""
        return self.path / f"segment-{number:010}{_UNFINISHED}"

    def segments(self) -> dict[int, Path]:
        """The segments that are there, by number."""
        names = ((_SEGMENT.fullmatch(file.name), file) for file in self.path.iterdir())
        return dict(sorted((int(match[1]), file) for match, file in names if match))

    def listed(self) -> Collection[int]:
        """The segments that should be there. One that cannot be read is set aside: then those that are there count."""
        try:
            return {int(number) for number in json.loads(self._manifest.read_bytes())["segments"]}
        except FileNotFoundError:
            return ()
        except (ValueError, KeyError, TypeError):
            self.set_aside(self._manifest)
            return ()

    def list_segments(self, numbers: Collection[int]) -> None:
        """Write down durably which segments there are, so that one that goes missing is noticed."""
        new = self._manifest.with_suffix(_UNFINISHED)
        with new.open("wb") as stream:
            stream.write(json.dumps({"segments": sorted(numbers)}).encode())
            stream.flush()
            os.fsync(stream.fileno())
        self.rename(new, self._manifest)

    def rename(self, old: Path, new: Path) -> None:
        """Rename durably."""
        old.replace(new)
        self._sync(self.path)

    def set_aside(self, file: Path) -> Path:
        """Move a damaged file, with what SQLite keeps beside it, out of the way. Returns where it is now."""
        self._aside.mkdir(exist_ok=True)
        target = self._aside / f"{file.name}.{time.time_ns()}"
        for suffix in ("", *SIDE_FILES):
            with contextlib.suppress(FileNotFoundError):
                file.with_name(file.name + suffix).rename(target.with_name(target.name + suffix))
        self._sync(self.path)
        self._measure_aside()
        return target

    def keep(self, name: str, data: bytes) -> Path:
        """Write a damaged part down where a person finds it."""
        self._aside.mkdir(exist_ok=True)
        file = self._aside / f"{name}.{time.time_ns()}"
        file.write_bytes(data)
        self._measure_aside()
        return file

    def delete(self, file: Path) -> None:
        """Delete a database and what SQLite keeps beside it."""
        for suffix in (*SIDE_FILES, ""):
            file.with_name(file.name + suffix).unlink(missing_ok=True)

    @property
    def aside_bytes(self) -> int:
        """What the damaged files take on disk."""
        return self._aside_bytes

    def free_bytes(self) -> int:
        """What the file system has left for us."""
        state = os.statvfs(self.path)
        return state.f_bavail * state.f_frsize

    def _take_lock(self) -> int:
        lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock, 20, 0).decode(errors="replace").strip() or "unknown"
            os.close(lock)
            raise BufferInUse(
                f"the retry buffer's folder {self.path} is in use by another process (pid {holder}): "
                "stop it or choose another folder"
            ) from None
        with contextlib.suppress(OSError):  # on a full disk the lock holds without the number in it
            os.ftruncate(lock, 0)
            os.pwrite(lock, str(os.getpid()).encode(), 0)
        return lock

    def _measure_aside(self) -> None:
        files = self._aside.iterdir() if self._aside.is_dir() else ()
        self._aside_bytes = sum(disk_bytes(file) for file in files)

    @staticmethod
    def _sync(path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def disk_bytes(file: Path) -> int:
    """What a file takes on disk, or will once the system has written it; 0 when it is not there."""
    try:
        state = file.stat()
    except FileNotFoundError:
        return 0
    return max(state.st_size, state.st_blocks * 512)
