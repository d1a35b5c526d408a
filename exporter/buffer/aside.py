"""The folder `damaged/`: what was set aside, and stays until somebody has looked at it."""

from __future__ import annotations

import contextlib
import re
import stat
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from exporter.buffer import files
from exporter.buffer.errors import UnknownFile
from exporter.buffer.file_system import FileSystem

RESTORED = ".restored"
"""How the names of files end whose batches are back in the buffer, as far as they could be read."""
_SIDE = re.compile(r".*\.\d{15,}(?:\.restored)?(-wal|-journal|-shm)")
_UNFINISHED = ".new"


@dataclass(frozen=True, slots=True)
class DamagedFile:
    """One file that was set aside."""

    name: str
    bytes: int
    """What it and its log take on disk."""
    set_aside_unix_nano: int
    restored: bool
    """Whether all that can be read in it is back in the buffer."""


class Aside:
    """The files in it. Their bytes count towards the buffer's bound."""

    def __init__(self, path: Path, system: FileSystem) -> None:
        self.path = path
        self._system = system
        self.bytes = 0
        """What they take on disk."""
        self.count = 0

    def open(self) -> None:
        """See what is there; remove what was left half made."""
        files.make_private(self._system, self.path)
        for name in self._names():
            if name.endswith(_UNFINISHED):
                with contextlib.suppress(OSError):
                    files.remove(self._system, self.path / name)
            else:
                files.make_private(self._system, self.path / name)
        self.measure()

    def files(self) -> Sequence[DamagedFile]:
        """The oldest first."""
        found = []
        for name in self._names():
            with contextlib.suppress(OSError):
                if self._is_side(name) or not stat.S_ISREG(self._system.stat(self.path / name).st_mode):
                    continue
                found.append(self._describe(name))
        return sorted(found, key=lambda file: file.set_aside_unix_nano)

    def get(self, name: str) -> Path:
        """A file by its name. Raises UnknownFile."""
        if name not in {file.name for file in self.files()}:
            raise UnknownFile(f"there is no file {name!r} in {self.path}")
        return self.path / name

    def delete(self, name: str) -> None:
        """Delete one of the files for good, with its log. Raises OSError, UnknownFile."""
        files.remove_database(self._system, self.get(name))
        self.measure()

    def mark_restored(self, name: str) -> None:
        """Note in a file's name that it was restored."""
        file = self.get(name)
        if not name.endswith(RESTORED):
            self._move(file, file.with_name(name + RESTORED))

    def take(self, file: Path, *, restored: bool = False) -> Path:
        """Move a damaged file, with what SQLite keeps beside it, out of the way. Returns where it is now."""
        files.make_folders(self._system, self.path)
        target = self.path / f"{file.name}.{time.time_ns()}{RESTORED if restored else ''}"
        self._move(file, target)
        return target

    def keep(self, name: str, data: bytes) -> Path:
        """Write a damaged part down where a person finds it."""
        files.make_folders(self._system, self.path)
        file = self.path / f"{name}.{time.time_ns()}"
        self._finish(file, lambda new: files.write(self._system, new, data))
        return file

    def keep_copy(self, file: Path) -> Path:
        """Copy a file, durably. The same content of the same file is copied once. Returns where it is."""
        files.make_folders(self._system, self.path)
        state = self._system.stat(file)
        target = self.path / f"{file.name}.{state.st_mtime_ns}"
        if files.size(self._system, target) != state.st_size:
            self._finish(target, lambda new: files.copy(self._system, file, new))
        return target

    def measure(self) -> None:
        """Add up what they take. What cannot be seen now counts as it did."""
        with contextlib.suppress(OSError):
            names = self._system.list(self.path) if files.exists(self._system, self.path) else ()
            self.bytes = sum(files.disk_bytes(self._system, self.path / name) for name in names)
            self.count = sum(not self._is_side(name) for name in names)

    def _finish(self, file: Path, write: Callable[[Path], None]) -> None:
        new = files.beside(file, _UNFINISHED)
        try:
            write(new)
            files.rename(self._system, new, file)
        except BaseException:
            with contextlib.suppress(OSError):
                files.remove(self._system, new)
            raise
        self.measure()

    def _move(self, file: Path, target: Path) -> None:
        # The database first: a log that is left alone shows, a database without its log does not.
        for suffix in ("", *files.SIDE_FILES):
            with contextlib.suppress(FileNotFoundError):
                files.move(self._system, files.beside(file, suffix), files.beside(target, suffix))
        files.sync(self._system, file.parent)
        files.sync(self._system, self.path)
        self.measure()

    def _names(self) -> Sequence[str]:
        try:
            return self._system.list(self.path)
        except OSError:
            return ()

    def _describe(self, name: str) -> DamagedFile:
        file = self.path / name
        size = sum(files.disk_bytes(self._system, files.beside(file, suffix)) for suffix in ("", *files.SIDE_FILES))
        modified = self._system.stat(file).st_mtime_ns
        stamp = name.removesuffix(RESTORED).rpartition(".")[2]
        return DamagedFile(name, size, int(stamp) if stamp.isdecimal() else modified, name.endswith(RESTORED))

    @staticmethod
    def _is_side(name: str) -> bool:
        return _SIDE.fullmatch(name) is not None
