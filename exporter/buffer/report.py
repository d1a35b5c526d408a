"""What the buffer says about itself."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.buffer.trouble import UnreadableFile


@dataclass(frozen=True, slots=True)
class BufferState:
    """How the buffer's files are, from memory."""

    disk_bytes: int = 0
    """What all of them take, those set aside included."""
    max_bytes: int = 0
    damaged_files: int = 0
    """Files that were set aside."""
    damaged_bytes: int = 0
    unreadable: tuple[UnreadableFile, ...] = ()
    """What cannot be read now, and is tried again."""


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """Every batch was read and its checksum compared; nothing was changed."""

    segments: int
    batches: int
    records: int
    damage: tuple[str, ...]
    """One line for each thing that is wrong."""
    untouched: tuple[str, ...]
    """Files of a newer format, which only the version that wrote them can check."""

    unreadable: tuple[str, ...] = ()
    """One line for each thing that could not be checked, since it cannot be read now."""

    @property
    def ok(self) -> bool:
        return not self.damage and not self.unreadable
