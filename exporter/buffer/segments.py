"""All segments of a folder: opened at the start, the newest written to, each deleted when nothing waits in it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog

from exporter.buffer import schema, wal
from exporter.buffer.errors import Damaged, is_full
from exporter.buffer.folder import Folder, disk_bytes
from exporter.buffer.rescue import Rescue
from exporter.buffer.segment import Segment
from exporter.buffer.telemetry import BufferMetrics

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Broken:
    """A segment's file that cannot be opened, though it is ours."""

    number: int
    file: Path
    reason: str
    rescue: Rescue | None = None
    """How to read it, where more is known than its name."""


class Segments:
    """The open segments, by number, and the one that is written to."""

    def __init__(self, folder: Folder, metrics: BufferMetrics) -> None:
        self._folder = folder
        self._metrics = metrics
        self._open: dict[int, Segment] = {}
        self._active: Segment | None = None
        self._untouched_bytes = 0
        self._last_number = 0
        self.untouched: list[Path] = []
        """Files of a newer format."""
        self.broken: list[Broken] = []
        """What `open` could not open and is still to be rescued."""

    def __iter__(self) -> Iterator[Segment]:
        """Oldest first."""
        return iter(tuple(self._open.values()))

    def get(self, number: int) -> Segment | None:
        return self._open.get(number)

    @property
    def bytes(self) -> int:
        """What all files in the folder take on disk."""
        return sum(segment.bytes for segment in self._open.values()) + self._untouched_bytes + self._folder.aside_bytes

    def open(self) -> None:
        """Open what is there; report what is not, or not any longer."""
        files = self._folder.segments()
        for number in sorted(set(self._folder.listed()) - files.keys()):
            self._metrics.missing.inc()
            _log.error("a file of the retry buffer is gone", file=str(self._folder.segment(number)))
        self._last_number = max(files, default=0)
        for number, file in files.items():
            self._open_file(number, file)
        self._active = self._open.get(self._last_number)

    def active(self, limit: int) -> Segment:
        """The segment to write to: a new one when there is none or the last has reached `limit` bytes."""
        if self._active is not None and self._active.bytes >= limit:
            self.retire()
        if self._active is None:
            self._active = self._create()
        return self._active

    @property
    def newest(self) -> Segment | None:
        """The segment that is written to, if there is one."""
        return self._active

    def retire(self) -> None:
        """Write no more batches to the active segment."""
        segment, self._active = self._active, None
        if segment is not None:
            with contextlib.suppress(sqlite3.Error, Damaged):  # whoever reads it next meets the same error
                segment.write_back(whole=True)

    def delete(self, segment: Segment) -> None:
        """Close a segment and delete its file: also on a full disk, where the list cannot be written first."""
        self._forget(segment)
        try:
            self._write_list()
        except OSError:
            self._folder.delete(segment.file)
            with contextlib.suppress(OSError):  # at worst the file is reported as gone at the next start
                self._write_list()
        else:
            self._folder.delete(segment.file)

    def release(self, segment: Segment, reason: str, rescue: Rescue) -> None:
        """Close a damaged segment; its file joins `broken`."""
        self._forget(segment)
        self.broken.append(Broken(segment.number, segment.file, reason, rescue))

    def set_file_aside(self, file: Path) -> Path:
        """Move a damaged file out of the way."""
        target = self._folder.set_aside(file)
        self._metrics.set_aside.inc()
        with contextlib.suppress(OSError):
            self._write_list()
        return target

    def close(self) -> None:
        """Close all. Nothing is lost when that fails."""
        for segment in self:
            with contextlib.suppress(sqlite3.Error):
                segment.close()
        self._open.clear()
        self._active = None

    def _forget(self, segment: Segment) -> None:
        del self._open[segment.number]
        if self._active is segment:
            self._active = None
        with contextlib.suppress(sqlite3.Error):
            segment.close()

    def _create(self) -> Segment:
        number = self._last_number + 1
        unfinished, file = self._folder.unfinished(number), self._folder.segment(number)
        self._folder.delete(unfinished)
        schema.create(unfinished)
        self._folder.rename(unfinished, file)
        self._last_number = number
        segment = self._open[number] = Segment(number, file)
        self._write_list()
        return segment

    def _open_file(self, number: int, file: Path) -> None:
        try:
            kind = schema.kind(file)
            if kind is schema.Kind.NEWER:
                _log.error("a file of a newer version's retry buffer is left alone", file=str(file))
                self.untouched.append(file)
                self._untouched_bytes += disk_bytes(file) + disk_bytes(file.with_name(file.name + "-wal"))
            elif kind is schema.Kind.FOREIGN:
                target = self.set_file_aside(file)
                _log.error("a file of the retry buffer is no longer one: set aside", file=str(target))
            else:
                self._open[number] = self._open_segment(number, file)
        except (OSError, sqlite3.Error, Damaged) as error:
            self.broken.append(Broken(number, file, str(error)))

    def _open_segment(self, number: int, file: Path) -> Segment:
        log_file = file.with_name(file.name + "-wal")
        _sync(file, log_file)
        log = wal.inspect(log_file)
        if log is not None and log.commits:
            self._recover(file, log_file, log)
        return Segment(number, file)

    def _recover(self, file: Path, log_file: Path, log: wal.Log) -> None:
        """Let SQLite bring the log into the database, and mend the log when it would stop before its end."""
        with contextlib.closing(schema.connect(file)) as db:
            db.execute("PRAGMA synchronous=FULL")
            try:
                _, read, _ = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            except sqlite3.Error as error:
                if not is_full(error):
                    raise
                # Not the file's fault: the log stays, and is read from where it is.
                read = wal.readable(log_file.read_bytes(), log)
            lost = log.lost(read)
            data = log_file.read_bytes() if lost else b""
        if not lost:
            return
        kept = self._folder.keep(log_file.name, data)
        if lost == 1:
            _log.warning("the last write to the retry buffer was unfinished, as after a power cut", kept=str(kept))
            return
        self._metrics.set_aside.inc()
        _log.error("the retry buffer's log is damaged: mended, a copy set aside", file=str(log_file), kept=str(kept))
        log_file.write_bytes(wal.mend(data, log))
        _sync(log_file)

    def _write_list(self) -> None:
        self._folder.list_segments(self._open.keys())


def _sync(*files: Path) -> None:
    """What a killed process wrote may be in the system's memory only; what is found at the start counts as durable."""
    for file in files:
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(file, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
