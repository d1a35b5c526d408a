"""The retry buffer without asyncio. Everything here blocks: `RetryBuffer` calls it in one thread of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence

import structlog

from exporter.buffer import volume
from exporter.buffer.admission import Admission
from exporter.buffer.aside import DamagedFile
from exporter.buffer.codec import Record
from exporter.buffer.config import BufferConfig
from exporter.buffer.errors import FILE_ERRORS, BatchTooLarge, BufferFull, Damaged, FileError, Refused, refusal
from exporter.buffer.failures import RowDamaged, SegmentDamaged, SegmentFailed
from exporter.buffer.file_system import FileSystem
from exporter.buffer.folder import Folder
from exporter.buffer.report import BufferState, VerifyReport
from exporter.buffer.restore import Restoration, Restorer
from exporter.buffer.segment import Segment
from exporter.buffer.segments import Segments
from exporter.buffer.telemetry import BufferMetrics
from exporter.buffer.trouble import Troubles
from exporter.buffer.trouble_log import TroubleLog
from exporter.buffer.verify import verify
from exporter.buffer.writer import Item, Writer
from exporter.interfaces import Backlog
from exporter.signals import SIGNALS

_log = structlog.get_logger(__name__)

_IDLE_BYTES = 1 << 20
"""Size up to which the newest segment is kept for the next batches although nothing waits in it."""
_ROW_BITS = 32
_ROW_MASK = (1 << _ROW_BITS) - 1
"""A position is a segment's number above 32 bits of row."""


class Store:
    """Batches on disk."""

    def __init__(
        self, config: BufferConfig, destinations: Sequence[str], metrics: BufferMetrics, system: FileSystem
    ) -> None:
        self._config = config
        self._metrics = metrics
        self._destinations = tuple(destinations)
        self._folder = Folder(config.folder, system)
        self._troubles = Troubles(config.retry_interval)
        self._trouble_log = TroubleLog()
        self._segments = Segments(self._folder, destinations, metrics, self._troubles)
        self._writer = Writer(self._segments, config.segment_limit, metrics)
        self._admission = Admission(config, self._folder, self._segments, self._writer, metrics)
        self._restorer = Restorer(self._folder, self._segments, self._writer, self._admission, destinations)
        self.status: Mapping[str, Backlog] = {}
        """The backlog of each destination; replaced as a whole, so that any thread may read it."""
        self.state = BufferState()
        """How the files are; likewise."""
        self.next_try: float | None = None
        """When `try_again` has something to do, by `time.monotonic`; None when all can be read. Any thread may ask."""

    def open(self) -> None:
        """Take the folder and look at what is in it.

        Raises:
            BufferOpenError: the text says what to do.
        """
        self._folder.open()
        try:
            self._check_volume()
            self._segments.open()
            self._writer.rescue_due()
            for segment in self._segments:
                self._delete_if_drained(segment)
            self._publish()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close all files and let go of the folder."""
        try:
            self._segments.close()
        finally:
            self._folder.close()

    def append(self, items: Sequence[Item]) -> Sequence[Refused | None]:
        """Store batches in one transaction. For each, why it was not stored; None when it is on disk for good."""
        outcomes: Sequence[Refused | None] = ()
        try:
            outcomes = self._admission.admit(items)
            wanted = [item for item, outcome in zip(items, outcomes, strict=True) if outcome is None]
            if wanted:
                with self._metrics.commit_seconds.time():
                    self._writer.write(wanted)
        except (SegmentFailed, Damaged, *FILE_ERRORS) as error:
            outcomes = [self._refusal(error)] * len(items)
        for refused in outcomes:
            if refused is not None:
                self._metrics.refused.labels(_reason(refused)).inc()
        self._publish()
        return outcomes

    @property
    def untidy(self) -> bool:
        """Whether there is something for `tidy` to do. Any thread may ask."""
        newest = self._segments.newest
        return newest is not None and newest.log_is_large

    def tidy(self) -> None:
        """What need not happen before a batch's caller has its answer."""
        if self._segments.newest is not None:
            # When it fails the log stays valid, and what reads or writes next meets the same error.
            with contextlib.suppress(SegmentFailed, Damaged):
                self._segments.newest.write_back()

    def try_again(self) -> bool:
        """Try what could not be read before, where its time has come. Whether anything can be read again."""
        returned = self._segments.try_again()
        returned |= self._writer.rescue_due()
        for segment in self._segments:
            self._delete_if_drained(segment)
        self._publish()
        return returned

    def read(
        self, destination: str, limit: int, after: int, max_bytes: int, signals: Sequence[str] = tuple(SIGNALS)
    ) -> Sequence[tuple[int, Record]]:
        """Position and content of the first batches behind position `after`; the caller checks their checksums.

        `max_bytes`: of payload before compression, unless the first batch is larger. `signals`: of these only.
        """
        self._writer.rescue_due()
        found: list[tuple[int, Record]] = []
        for segment in self._segments:
            start = max(after - _position(segment, 0), 0)
            if start > segment.last_row or not segment.waiting.get(destination, Backlog()).batches:
                continue
            try:
                room = self._read_segment(segment, destination, start, limit, max_bytes, signals, found)
            except SegmentDamaged as error:
                self._writer.rescue(error)
                if not found:  # what was rescued stands in another segment now
                    return self.read(destination, limit, after, max_bytes, signals)
                break
            except SegmentFailed as error:
                self._segments.suspend(error)
                continue
            if not room:
                break
        self._publish()
        return found

    def remove(self, destination: str, positions: Iterable[int]) -> None:
        """Let batches no longer wait for a destination; a segment in which nothing waits any longer is deleted."""
        rows: dict[int, list[int]] = {}
        for position in positions:
            rows.setdefault(position >> _ROW_BITS, []).append(position & _ROW_MASK)
        for number, these in rows.items():
            segment = self._segments.get(number)
            if segment is not None:
                try:
                    segment.remove(destination, these)
                except SegmentDamaged as error:
                    self._writer.rescue(error)
                except SegmentFailed as error:
                    self._segments.suspend(error)
                else:
                    self._delete_if_drained(segment)
        self._publish()

    def set_aside(self, position: int, reason: str) -> None:
        """Let a damaged batch wait for nobody, and keep what there is of it beside the buffer."""
        number, row = position >> _ROW_BITS, position & _ROW_MASK
        segment = self._segments.get(number)
        if segment is None:
            return
        try:
            self._set_aside(segment, row, reason)
        except SegmentDamaged as error:
            self._writer.rescue(error)
        except SegmentFailed as error:
            self._segments.suspend(error)
        else:
            self._delete_if_drained(segment)
        self._publish()

    def drop(self, destination: str) -> Backlog:
        """Throw away what waits for a destination. Returns what that was.

        Raises:
            SegmentFailed: some of it is left.
        """
        before = self.status.get(destination, Backlog())
        failed: SegmentFailed | None = None
        for segment in self._segments.all:
            try:
                segment.drop(destination)
                self._delete_if_drained(segment)
            except SegmentDamaged as error:
                self._writer.rescue(error)
                self.drop(destination)
                return before
            except SegmentFailed as error:
                failed = error
        self._publish()
        if failed is not None:
            raise failed
        return before

    def damaged(self) -> Sequence[DamagedFile]:
        """The files that were set aside, the oldest first."""
        return self._folder.aside.files()

    def begin_restoring(self, name: str, *, dry: bool) -> Restoration:
        """Start to bring back what one of them holds, or (`dry`) to look what that is. Raises UnknownFile."""
        return self._restorer.begin(name, dry=dry)

    def step(self, restoration: Restoration) -> bool:
        """Go on with it. Whether there may be more."""
        more = restoration.step()
        self._publish()
        return more

    def mark_restored(self, name: str) -> None:
        """Note that all that can be read in one of them is back."""
        self._folder.aside.mark_restored(name)

    def purge(self, name: str) -> int:
        """Delete one of them for good. Returns its size. Raises UnknownFile."""
        before = self._folder.aside.bytes
        self._folder.aside.delete(name)
        self._publish()
        return before - self._folder.aside.bytes

    def verify(self) -> VerifyReport:
        """Read and check everything; change nothing."""
        return verify(self._segments)

    def _check_volume(self) -> None:
        with contextlib.suppress(OSError):
            for line in volume.examine(self._config, self._folder.system):
                _log.warning("the retry buffer's volume", problem=line)

    def _refusal(self, error: SegmentFailed | Damaged | FileError) -> Refused:
        cause = error.cause if isinstance(error, SegmentFailed) else error
        with contextlib.suppress(OSError):
            if volume.look(self._folder.system, self._folder.path).out_of_files:
                text = f"the volume of the retry buffer ({self._config.folder}) can hold no further file (inodes)"
                return BufferFull(text, retry_after=5.0)
        return refusal(cause, self._config.folder)

    def _read_segment(
        self,
        segment: Segment,
        destination: str,
        start: int,
        limit: int,
        max_bytes: int,
        signals: Sequence[str],
        found: list[tuple[int, Record]],
    ) -> bool:
        """Add a segment's batches to what was found. Whether there is room for those of the next one."""
        size = sum(record.size for _, record in found)
        while rows := segment.rows(destination, start, limit - len(found), signals):
            passed_over = False
            for row, payload_size in rows:
                size += payload_size
                if found and size > max_bytes:
                    return False
                start = row
                try:
                    found.append((_position(segment, row), segment.read(row)))
                except RowDamaged as error:
                    self._set_aside(segment, row, str(error))
                    passed_over = True
                except SegmentFailed as error:
                    self._segments.pass_over(error, row)
                    passed_over = True
            if not passed_over or len(found) >= limit:
                return len(found) < limit
        if not start:
            segment.check_pending()
        return True

    def _set_aside(self, segment: Segment, row: int, reason: str) -> None:
        name = f"{segment.file.stem}-batch-{row}"
        with contextlib.suppress(RowDamaged):
            data: object = segment.read(row).data  # of any type: it comes from a file
            try:
                self._folder.aside.keep(name, data if isinstance(data, bytes) else str(data).encode())
            except OSError as error:
                # It goes on waiting, and is passed over, until there is room for it beside the buffer.
                _log.warning("a damaged batch cannot be set aside now", file=segment.file.name, row=row, why=str(error))
                return
        segment.forget(row)
        self._metrics.damaged_batches.inc()
        _log.error("a batch in the retry buffer is damaged: set aside", file=segment.file.name, row=row, reason=reason)

    def _delete_if_drained(self, segment: Segment) -> None:
        if not segment.drained or (segment is self._segments.newest and segment.bytes <= _IDLE_BYTES):
            return
        try:
            segment.check_pending()
        except SegmentDamaged as error:
            self._writer.rescue(error)
        except SegmentFailed as error:
            self._segments.suspend(error)
        else:
            self._segments.delete(segment)

    def _publish(self) -> None:
        status = {name: Backlog() for name in self._destinations}
        for segment in self._segments.all:
            for name, backlog in segment.waiting.items():
                status[name] = _sum(status.get(name, Backlog()), backlog)
        self.status = {
            name: backlog for name, backlog in status.items() if backlog.batches or name in self._destinations
        }
        self.next_try = self._troubles.next_due()
        aside, unreadable = self._folder.aside, self._troubles.report()
        size = self._segments.bytes
        self.state = BufferState(size, self._config.max_bytes, aside.count, aside.bytes, unreadable)
        self._metrics.disk_bytes.set(size)
        self._metrics.damaged_bytes.set(aside.bytes)
        self._metrics.unreadable.set(len(unreadable))
        self._trouble_log.tell(unreadable)


def _position(segment: Segment, row: int) -> int:
    return segment.number << _ROW_BITS | row


def _reason(refused: Refused) -> str:
    """As metrics have it."""
    if isinstance(refused, BatchTooLarge):
        return "too_large"
    return "full" if isinstance(refused, BufferFull) else "failed"


def _sum(first: Backlog, second: Backlog) -> Backlog:
    return Backlog(
        first.batches + second.batches,
        first.records + second.records,
        first.bytes + second.bytes,
        first.oldest_unix_nano or second.oldest_unix_nano,
    )
