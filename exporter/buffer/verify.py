"""A check of the whole buffer, which changes nothing."""

from __future__ import annotations

from exporter.buffer.errors import Damaged
from exporter.buffer.failures import SegmentDamaged, SegmentFailed
from exporter.buffer.report import VerifyReport
from exporter.buffer.segment import Segment
from exporter.buffer.segments import Segments


class _Findings:
    """What was found so far."""

    def __init__(self) -> None:
        self.batches = self.records = 0
        self.damage: list[str] = []
        self.unreadable: list[str] = []

    def note(self, where: str, error: Damaged | SegmentFailed) -> None:
        (self.damage if isinstance(error, Damaged) else self.unreadable).append(f"{where}: {error}")


def verify(segments: Segments) -> VerifyReport:
    """Read every batch that waits, compare its checksum, and let SQLite check its files."""
    findings = _Findings()
    for _, trouble in segments.troubles:
        lines = findings.damage if trouble.rescue else findings.unreadable
        lines.append(f"{trouble.file.name}: {trouble.reason}")
    for segment in segments:
        _verify_segment(segment, findings)
    return VerifyReport(
        sum(1 for _ in segments),
        findings.batches,
        findings.records,
        tuple(findings.damage),
        tuple(file.name for file in segments.untouched),
        tuple(findings.unreadable),
    )


def _verify_segment(segment: Segment, findings: _Findings) -> None:
    try:
        segment.check_pending()
        findings.damage += [f"{segment.file.name}: {line}" for line in segment.integrity()]
    except (SegmentDamaged, SegmentFailed) as error:
        findings.note(segment.file.name, error)
        if isinstance(error, SegmentFailed):
            return  # so would each of its batches
    for row in range(1, segment.last_row + 1):
        try:
            _verify_batch(segment, row, findings)
        except (Damaged, SegmentFailed) as error:
            findings.note(f"{segment.file.name}, batch {row}", error)


def _verify_batch(segment: Segment, row: int, findings: _Findings) -> None:
    if not any(segment.waits(row, destination) for destination in segment.waiting):
        return
    findings.batches += 1
    record = segment.read(row)
    if not record.intact():
        raise Damaged("its checksum does not match")
    findings.records += record.records
