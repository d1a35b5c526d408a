"""Bringing batches back from the files in `damaged/`, and seeing what is in them.

The files themselves are not touched: SQLite works on a copy. Batches that are in the buffer already are found by their
ids and not stored twice, so it may be done again.
"""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from exporter.buffer import files, schema, wal
from exporter.buffer.admission import Admission
from exporter.buffer.errors import FILE_ERRORS, Damaged, describe
from exporter.buffer.failures import SegmentFailed
from exporter.buffer.folder import Folder
from exporter.buffer.rescue import Rescue, Rescued
from exporter.buffer.segments import Segments
from exporter.buffer.writer import Writer

_DATABASE = re.compile(r"segment-(\d{10})\.sqlite\.\d+(?:\.restored)?")
_LOG = re.compile(r"segment-(\d{10})\.sqlite-wal\.\d+(?:\.restored)?")
_BATCH = re.compile(r"segment-\d{10}-batch-\d+\..*")
_STEP_BATCHES = 64


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in a damaged file, or became of it."""

    readable: int = 0
    """Batches that are intact and wait for somebody."""
    restored: int = 0
    """Of those the ones that were brought back; the others are in the buffer already."""
    lost: int = 0
    """Batches that are damaged themselves."""
    problem: str = ""
    """Why not all could be read or brought back; empty when nothing more can be done."""


class Restorer:
    """Reads damaged files. Everything here blocks."""

    def __init__(
        self,
        folder: Folder,
        segments: Segments,
        writer: Writer,
        admission: Admission,
        destinations: Sequence[str],
    ) -> None:
        """`destinations`: who a batch waits for where the file does not tell any longer."""
        self._folder = folder
        self._segments = segments
        self._writer = writer
        self._admission = admission
        self._destinations = destinations

    def begin(self, name: str, *, dry: bool) -> Restoration:
        """Start on a file. `dry`: only look. Raises UnknownFile."""
        return Restoration(self._folder.aside.get(name), self._work(name), self._admission, self._writer, dry=dry)

    def _work(self, name: str) -> Generator[Sequence[Rescued], None, Rescue | str]:
        """The intact batches of a file, in pieces. Returns what is known in the end, or why there are none."""
        work = self._folder.path / "restored.new"
        system = self._folder.system
        files.remove_database(system, work)
        try:
            if match := _DATABASE.fullmatch(name):
                self._copy_database(self._folder.aside.path / name, work)
            elif match := _LOG.fullmatch(name):
                if not self._copy_log(int(match[1]), self._folder.aside.path / name, work):
                    return "no whole transaction is in this log"
            elif _BATCH.fullmatch(name):
                return "a single batch that did not match its checksum: nothing proves what it was"
            else:
                return "it is no segment and holds no batches"
            rescue = Rescue(system, work, set(self._destinations))
            with contextlib.closing(rescue.batches()) as batches:
                while chunk := list(itertools.islice(batches, _STEP_BATCHES)):
                    yield chunk
            return rescue
        finally:
            files.remove_database(system, work)

    def _copy_database(self, file: Path, work: Path) -> None:
        system = self._folder.system
        files.copy(system, file, work)
        log_file = files.beside(file, "-wal")
        if files.size(system, log_file):
            self._copy_mended(log_file, files.beside(work, "-wal"))

    def _copy_log(self, number: int, file: Path, work: Path) -> bool:
        """A log is read on top of its segment: as it is now, as it was set aside, or an empty one."""
        system, base = self._folder.system, self._base(number)
        if base is None:
            schema.create(system, work)
        else:
            files.copy(system, base, work)
            schema.repair(system, work)
        return self._copy_mended(file, files.beside(work, "-wal"))

    def _base(self, number: int) -> Path | None:
        segment = self._segments.get(number)
        if segment is not None:
            segment.close()  # brings its own log into it; and reading it beside SQLite would take SQLite's lock away
            return segment.file
        names = [file.name for file in self._folder.aside.files() if _DATABASE.fullmatch(file.name)]
        of_it = [name for name in names if name.startswith(self._folder.segment(number).name)]
        return self._folder.aside.path / of_it[-1] if of_it else None

    def _copy_mended(self, log_file: Path, target: Path) -> bool:
        """Whether there is a transaction in the log."""
        system = self._folder.system
        log = wal.inspect(system, log_file)
        if log is None or not log.commits:
            return False
        data = files.read(system, log_file)
        files.write(system, target, wal.mend(data, log) if log.lost else data)
        return True


class Restoration:
    """One file's way back, in steps: between them others have their turn."""

    def __init__(
        self,
        file: Path,
        work: Generator[Sequence[Rescued], None, Rescue | str],
        admission: Admission,
        writer: Writer,
        *,
        dry: bool,
    ) -> None:
        self.name = file.name
        self.contents = Contents()
        """What was found so far."""
        self._work = work
        self._admission = admission
        self._writer = writer
        self._dry = dry

    def step(self) -> bool:
        """Go on with some batches. Whether there may be more."""
        try:
            self._go_on(next(self._work))
        except StopIteration as end:
            problem = end.value if isinstance(end.value, str) else end.value.incomplete
            lost = 0 if isinstance(end.value, str) else end.value.lost
        except (_NoRoom, SegmentFailed, Damaged, *FILE_ERRORS) as error:
            problem, lost = describe(error), 0
        else:
            return True
        self.close()
        self.contents = Contents(self.contents.readable, self.contents.restored, lost, problem)
        return False

    def close(self) -> None:
        """Stop, and remove the copy. May be called in any state."""
        with contextlib.suppress(*FILE_ERRORS):
            self._work.close()

    def _go_on(self, chunk: Sequence[Rescued]) -> None:
        before, restored = self.contents, 0 if self._dry else self._bring_back(chunk)
        self.contents = Contents(before.readable + len(chunk), before.restored + restored)

    def _bring_back(self, chunk: Sequence[Rescued]) -> int:
        """How many of them were not waiting in the buffer yet."""
        new = [found for found in chunk if not self._writer.waits(found.record, found.destinations)]
        items = [(found.record, name) for found in new for name in found.destinations]
        for refusal in self._admission.admit(items, may_drop=False):
            if refusal is not None:
                raise _NoRoom(str(refusal))
        if items:
            self._writer.write(items)
        return len(new)


class _NoRoom(Exception):
    """The buffer cannot take the batches now."""
