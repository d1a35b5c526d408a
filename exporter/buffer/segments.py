"""All segments of a folder: looked at once, the newest written to, each deleted when nothing waits in it."""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import structlog

from exporter.buffer import files, schema
from exporter.buffer.connections import Connections
from exporter.buffer.errors import FILE_ERRORS, Damaged, describe
from exporter.buffer.failures import SegmentDamaged, SegmentFailed
from exporter.buffer.folder import Folder
from exporter.buffer.recovery import Recovery
from exporter.buffer.rescue import Rescue
from exporter.buffer.segment import Segment
from exporter.buffer.telemetry import BufferMetrics
from exporter.buffer.trouble import Troubles

_log = structlog.get_logger(__name__)

_FOLDER, _LIST = -1, -2
"""What troubles with the folder itself and with its list are kept under."""


class Segments:
    """The segments, by number, and the one that is written to."""

    def __init__(self, folder: Folder, destinations: Sequence[str], metrics: BufferMetrics, troubles: Troubles) -> None:
        self._folder = folder
        self._system = folder.system
        self._destinations = frozenset(destinations)
        self._metrics = metrics
        self._connections = Connections(folder.system, Recovery(folder, metrics.set_aside.inc).prepare)
        self.troubles = troubles
        """What cannot be read, or not rescued, now."""
        self._known: dict[int, Segment] = {}
        self._active: Segment | None = None
        self._untouched: dict[int, tuple[Path, int]] = {}
        """Files of a newer format, and what they take."""
        self._undeleted: dict[Path, int] = {}
        """Files that are done with and could not be deleted, and what they take."""
        self._listed: set[int] | None = None
        """The segments that the list named at the start; None while it cannot be read."""
        self._acquitted: set[int] = set()
        """Segments that were found damaged once, and sound at a second look."""
        self._last_number = 0

    def __iter__(self) -> Iterator[Segment]:
        """Those that can be read, oldest first."""
        return iter([segment for number, segment in self._known.items() if not self.troubles.bars(number)])

    @property
    def all(self) -> Sequence[Segment]:
        """Those, too, that cannot be read now but could be once."""
        return tuple(self._known.values())

    def get(self, number: int) -> Segment | None:
        return self._known.get(number)

    @property
    def untouched(self) -> Sequence[Path]:
        """Files of a newer format."""
        return [file for file, _ in self._untouched.values()]

    @property
    def bytes(self) -> int:
        """What all files in the folder take on disk."""
        known = sum(segment.bytes for segment in self._known.values())
        others = sum(size for _, size in self._untouched.values()) + sum(self._undeleted.values())
        return known + others + self.troubles.bytes + self._folder.aside.bytes

    def open(self) -> None:
        """Look at what is there; report what is not, or not any longer."""
        self._scan()
        newest = self._known.get(self._last_number)
        if newest is not None and newest.number not in self.troubles:
            self._activate(newest)

    def active(self, limit: int) -> Segment:
        """The segment to write to: a new one when there is none or the last has reached `limit` bytes.

        Raises:
            OSError, sqlite3.Error, MemoryError, SegmentFailed: a new one cannot be made.
        """
        if self._active is not None and self._active.bytes >= limit:
            self.retire()
        if self._active is None:
            self._activate(self._create())
        return self._active  # type: ignore[return-value] # set just now

    @property
    def newest(self) -> Segment | None:
        """The segment that is written to, if there is one."""
        return self._active

    def retire(self) -> None:
        """Write no more batches to the active segment."""
        segment, self._active, self._connections.active = self._active, None, None
        if segment is None:
            return
        with contextlib.suppress(SegmentFailed, Damaged):  # whoever reads it next meets the same error
            if segment.drained:
                segment.check_pending()
                self.delete(segment)
            else:
                segment.write_back(whole=True)

    def suspend(self, error: SegmentFailed) -> None:
        """Leave a segment alone that cannot be read or written now, until it is time to try again."""
        segment = error.segment
        if segment is self._active:
            self._active = self._connections.active = None
        segment.close()
        self.troubles.note(segment.number, segment.file, describe(error))

    def pass_over(self, error: SegmentFailed, row: int) -> None:
        """Leave a single batch alone that cannot be read now."""
        error.segment.pass_over(row)
        reason = f"batch {row}: {describe(error)}"
        self.troubles.note(error.segment.number, error.segment.file, reason, bars=False)

    def delete(self, segment: Segment) -> None:
        """Close a segment and delete its file: also on a full disk, where the list cannot be written first."""
        self.forget(segment)
        listed = self._write_list()
        self._delete_file(segment.file, segment.bytes)
        if not listed:  # at worst the file is reported as gone at the next start
            self._write_list()

    def release(self, error: SegmentDamaged) -> None:
        """Close a damaged segment; its file is to be rescued."""
        segment = error.segment
        names = {*self._destinations, *segment.waiting}
        self.forget(segment)
        rescue = Rescue(self._system, segment.file, names, segment.last_row)
        self.troubles.to_rescue(segment.number, segment.file, str(error), rescue, segment.bytes)

    def forget(self, segment: Segment) -> None:
        """Close a segment and know of it no longer."""
        self._known.pop(segment.number, None)
        self.troubles.end(segment.number)
        if self._active is segment:
            self._active = self._connections.active = None
        segment.close()

    def acquit(self, number: int, file: Path) -> bool:
        """Whether a second look at a file that was found damaged finds nothing wrong: then one read went wrong.

        It is a segment like the others again. That happens to a file once: one that goes on looking damaged is.

        Raises:
            SegmentFailed, OSError, sqlite3.Error, MemoryError: it cannot be looked at now.
        """
        if number in self._acquitted or schema.kind(self._system, file) is not schema.Kind.OURS:
            return False
        try:
            segment = Segment(number, file, self._connections, self._system)
            segment.check_pending()
            if segment.integrity():
                return False
        except Damaged:
            return False
        finally:
            self._connections.close(file)
        self._acquitted.add(number)
        self._add(segment)
        self.troubles.end(number)
        return True

    def set_file_aside(self, number: int, file: Path, *, restored: bool) -> Path:
        """Move a damaged file out of the way. Raises OSError: it stays where it is."""
        target = self._folder.aside.take(file, restored=restored)
        self.troubles.end(number)
        self._metrics.set_aside.inc()
        self._write_list()
        return target

    def gone(self, number: int, file: Path) -> None:
        """Report a segment whose file somebody took away."""
        segment = self._known.get(number)
        if segment is not None:
            self.forget(segment)
        self.troubles.end(number)
        self._metrics.missing.inc()
        _log.error("a file of the retry buffer is gone", file=str(file))
        self._write_list()

    def is_gone(self, file: Path) -> bool:
        """Whether a file is not there, as far as one can see now."""
        with contextlib.suppress(OSError):
            return not files.exists(self._system, file)
        return False

    def try_again(self) -> bool:
        """Try what is due of that which could not be read. Whether anything can be read again."""
        for file, size in tuple(self._undeleted.items()):
            self._delete_file(file, size)
        returned = False
        for number, trouble in self.troubles.due():
            if trouble.rescue is not None:
                continue
            if number in {_FOLDER, _LIST}:
                returned |= self._scan()
            elif (segment := self._known.get(number)) is not None:
                returned |= self._read_again(segment)
            else:
                returned |= self._look(number, trouble.file)
        return returned

    def close(self) -> None:
        """Close all. Nothing is lost when that fails."""
        for segment in self.all:
            segment.close()
        self._connections.close_all()
        self._known.clear()
        self._active = None

    def _activate(self, segment: Segment) -> None:
        self._active, self._connections.active = segment, segment.file

    def _add(self, segment: Segment) -> None:
        in_order = not self._known or segment.number > next(reversed(self._known))
        self._known[segment.number] = segment
        if not in_order:
            self._known = dict(sorted(self._known.items()))

    def _create(self) -> Segment:
        number = self._free_number()
        unfinished, file = self._folder.unfinished(number), self._folder.segment(number)
        files.remove_database(self._system, unfinished)
        try:
            schema.create(self._system, unfinished)
            files.rename(self._system, unfinished, file)
        except BaseException:
            with contextlib.suppress(OSError):
                files.remove_database(self._system, unfinished)
            raise
        self._last_number = number
        segment = Segment(number, file, self._connections, self._system)
        self._add(segment)
        self._write_list()
        return segment

    def _free_number(self) -> int:
        """One that no file has or had: where the folder could not be listed, it is not known which there are."""
        number = self._last_number + 1
        while any(files.exists(self._system, files.beside(self._folder.segment(number), s)) for s in ("", "-wal")):
            number += 1
        return number

    def _scan(self) -> bool:
        """Look at all files that are not known yet. Whether there are more segments now than before."""
        before = len(self._known)
        try:
            found = self._folder.find()
        except OSError as error:
            self.troubles.note(_FOLDER, self._folder.path, f"its files cannot be listed: {describe(error)}")
            return False
        self.troubles.end(_FOLDER)
        self._last_number = max(self._last_number, *found.segments, *found.orphans, 0)
        for number, file in sorted(found.segments.items()):
            if number not in self._known and number not in self.troubles and number not in self._untouched:
                self._look(number, file)
        for file in found.orphans.values():
            self._set_orphan_aside(file)
        if self._listed is None:
            self._read_list(found.segments.keys())
        return len(self._known) > before

    def _read_list(self, there: Collection[int]) -> None:
        """Report what should be there and is not."""
        manifest = self._folder.manifest
        try:
            try:
                self._listed = set(self._folder.listed())
            except Damaged as error:
                target = self._folder.aside.take(manifest)
                _log.error("the retry buffer's list is damaged: set aside", file=str(target), reason=str(error))
                self._listed = set()
        except FILE_ERRORS as error:
            self.troubles.note(_LIST, manifest, describe(error))
            return
        self.troubles.end(_LIST)
        for number in sorted(self._listed - set(there) - self._known.keys()):
            self.gone(number, self._folder.segment(number))
        self._last_number = max(self._last_number, *self._listed, 0)

    def _look(self, number: int, file: Path) -> bool:
        """See what a file is. Whether it is a segment that can be read."""
        try:
            if not stat.S_ISREG(self._system.stat(file).st_mode):
                self.troubles.note(number, file, "it is no regular file: put the segment itself in its place")
                return False
            files.make_private(self._system, file)
            kind = schema.kind(self._system, file)
            if kind is schema.Kind.OURS:
                self._add(Segment(number, file, self._connections, self._system))
                self.troubles.end(number)
                return True
            self._handle(kind, number, file)
        except SegmentDamaged as error:
            self._to_rescue(number, file, str(error))
        except FileNotFoundError:
            self.gone(number, file)
        except (SegmentFailed, *FILE_ERRORS) as error:
            self.troubles.note(number, file, describe(error), size=self._disk_bytes(file))
        return False

    def _handle(self, kind: schema.Kind, number: int, file: Path) -> None:
        if kind is schema.Kind.NEWER:
            _log.error("a file of a newer version's retry buffer is left alone", file=str(file))
            self._untouched[number] = file, self._disk_bytes(file)
            self.troubles.end(number)
        elif kind is schema.Kind.DAMAGED:
            self._to_rescue(number, file, "its header is damaged")
        else:
            target = self.set_file_aside(number, file, restored=False)
            _log.error("a file of the retry buffer is no longer one: set aside", file=str(target))

    def _to_rescue(self, number: int, file: Path, reason: str) -> None:
        rescue = Rescue(self._system, file, set(self._destinations))
        self.troubles.to_rescue(number, file, reason, rescue, self._disk_bytes(file))

    def _set_orphan_aside(self, file: Path) -> None:
        """What SQLite kept beside a segment that is gone holds batches, perhaps; SQLite would give them to the next."""
        with contextlib.suppress(OSError):
            if not files.size(self._system, file):
                files.remove(self._system, file)
                return
            target = self._folder.aside.take(file)
            self._metrics.set_aside.inc()
            _log.error("a log of the retry buffer is there without its segment: set aside", file=str(target))

    def _read_again(self, segment: Segment) -> bool:
        if segment.passes_over:
            # Whether they can be read shows when they are; until then the next try is put off.
            segment.passes_over.clear()
            self.troubles.put_off(segment.number, bars=False)
            return True
        if self.is_gone(segment.file):
            self.gone(segment.number, segment.file)
            return False
        try:
            segment.try_out()
        except SegmentDamaged as error:
            self.release(error)
            return False
        except SegmentFailed as error:
            segment.close()
            self.troubles.note(segment.number, segment.file, describe(error))
            return False
        if segment.passes_over:
            self.troubles.put_off(segment.number, bars=False)
        else:
            self.troubles.end(segment.number)
        return True

    def _delete_file(self, file: Path, size: int) -> None:
        try:
            files.remove_database(self._system, file)
        except OSError:
            self._undeleted[file] = size
        else:
            self._undeleted.pop(file, None)

    def _write_list(self) -> bool:
        """Whether the list is on disk now. One that could not be read yet is not written over."""
        if self._listed is None:
            return False
        try:
            self._folder.list_segments([*self._known, *(n for n, _ in self.troubles if n >= 0), *self._untouched])
        except FILE_ERRORS:
            return False
        return True

    def _disk_bytes(self, file: Path) -> int:
        with contextlib.suppress(OSError):
            return sum(files.disk_bytes(self._system, files.beside(file, suffix)) for suffix in ("", "-wal"))
        return 0
