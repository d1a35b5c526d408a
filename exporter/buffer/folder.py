"""The buffer's folder: its lock, the names in it, the list of its segments."""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from exporter.buffer import files
from exporter.buffer.aside import Aside
from exporter.buffer.errors import BufferInUse, BufferOpenError, BufferReadOnly, Damaged, is_read_only
from exporter.buffer.file_system import FileSystem

_SEGMENT = re.compile(r"segment-(\d{10})\.sqlite")
_ORPHAN = re.compile(r"segment-(\d{10})\.sqlite-(?:wal|journal|shm)")
_UNFINISHED = ".new"


@dataclass(frozen=True, slots=True)
class Found:
    """What lies in the folder under segments' names."""

    segments: Mapping[int, Path]
    """By number."""
    orphans: Mapping[int, Path]
    """What SQLite kept beside a segment that is gone."""


class Folder:
    """A folder that this process alone works in, from `open` to `close`."""

    def __init__(self, path: Path, system: FileSystem) -> None:
        self.path = path
        self.system = system
        self.aside = Aside(path / "damaged", system)
        self._lock = -1

    def open(self) -> None:
        """Take the lock, make all private, and remove what was left half made.

        Raises:
            BufferOpenError: the text says what to do.
        """
        try:
            files.make_folders(self.system, self.path)
            files.sync_name(self.system, self.path)
            self._lock = self._take_lock()
        except OSError as error:
            raise self._refusal(error) from error
        files.make_private(self.system, self.path)
        with contextlib.suppress(OSError):  # whoever needs the names asks again, and says what is wrong
            for name in self.system.list(self.path):
                self._tidy(self.path / name)
        self.aside.open()

    def close(self) -> None:
        """Let go of the lock."""
        if self._lock >= 0:
            lock, self._lock = self._lock, -1
            with contextlib.suppress(OSError):
                self.system.close(lock)

    def segment(self, number: int) -> Path:
        return self.path / f"segment-{number:010}.sqlite"

    def unfinished(self, number: int) -> Path:
        """Where a segment is made before it gets its name."""
        return self.path / f"segment-{number:010}{_UNFINISHED}"

    def find(self) -> Found:
        """What is there now. Raises OSError."""
        segments, sides = {}, {}
        for name in self.system.list(self.path):
            if match := _SEGMENT.fullmatch(name):
                segments[int(match[1])] = self.path / name
            elif match := _ORPHAN.fullmatch(name):
                sides[int(match[1])] = self.path / name
        return Found(segments, {number: file for number, file in sides.items() if number not in segments})

    def listed(self) -> Collection[int]:
        """The segments that should be there.

        Raises:
            Damaged: the list is none.
            OSError: it cannot be read now.
        """
        try:
            return {int(number) for number in json.loads(files.read(self.system, self.manifest))["segments"]}
        except FileNotFoundError:
            return ()
        except (ValueError, KeyError, TypeError) as error:
            raise Damaged(f"it is no list of segments: {error}") from error

    @property
    def manifest(self) -> Path:
        """Where the list is."""
        return self.path / "manifest.json"

    def list_segments(self, numbers: Collection[int]) -> None:
        """Write down durably which segments there are, so that one that goes missing is noticed."""
        self.replace(self.manifest, json.dumps({"segments": sorted(numbers)}).encode())

    def replace(self, file: Path, data: bytes) -> None:
        """Give a file new content, durably: at any moment it has the old or the new."""
        new = files.beside(file, _UNFINISHED)
        try:
            files.write(self.system, new, data)
            files.rename(self.system, new, file)
        except BaseException:
            with contextlib.suppress(OSError):
                files.remove(self.system, new)
            raise

    def keep_copy(self, file: Path) -> Path:
        """Copy a file to where the damaged ones are, durably. The same file is copied once. Returns where it is."""
        return self.aside.keep_copy(file)

    def _take_lock(self) -> int:
        lock = self.system.open(self.path / "lock", os.O_RDWR | os.O_CREAT)
        try:
            self.system.lock(lock)
        except BlockingIOError:
            holder = self.system.read(lock, 20, 0).decode(errors="replace").strip() or "unknown"
            self.system.close(lock)
            raise BufferInUse(
                f"the retry buffer's folder {self.path} is in use by another process (pid {holder}): "
                "stop it or choose another folder"
            ) from None
        except BaseException:
            self.system.close(lock)
            raise
        with contextlib.suppress(OSError):  # on a full disk the lock holds without the number in it
            self.system.truncate(lock, 0)
            self.system.write(lock, str(os.getpid()).encode(), 0)
        return lock

    def _refusal(self, error: OSError) -> BufferOpenError:
        reason = error.strerror or str(error)
        if is_read_only(error):
            return BufferReadOnly(
                f"the retry buffer's folder {self.path} cannot be written to ({reason}): "
                "give this user write access or choose another folder"
            )
        return BufferOpenError(
            f"the retry buffer's folder {self.path} cannot be opened and locked ({reason}): "
            "nothing in it was touched; remove the cause and start again, or choose another folder"
        )

    def _tidy(self, file: Path) -> None:
        """What fails is tried again at the next start: nothing depends on it."""
        with contextlib.suppress(OSError):
            if not stat.S_ISREG(self.system.stat(file).st_mode):
                return
            if _UNFINISHED in file.suffix or _UNFINISHED in file.name:
                files.remove(self.system, file)
            else:
                files.make_private(self.system, file)
