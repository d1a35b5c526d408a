"""What a user sets about the retry buffer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

MIN_BYTES = 1 << 20
"""A smaller buffer would have no room for two segments."""
_SEGMENTS = 32
"""A full buffer has about this many segments: few enough to look through all, enough that one is a small part."""
_MIN_SEGMENT = 1 << 18
_MAX_SEGMENT = 1 << 28


@dataclass(frozen=True, slots=True)
class BufferConfig:
    """Where the buffer lies and how large it may grow."""

    folder: Path
    max_bytes: int
    """Bytes that all its files may take, SQLite's write-ahead logs included."""
    overflow: Literal["refuse", "drop_oldest"] = "refuse"
    """What to do at the bound: refuse the new, or throw away the oldest segment (and count its records)."""
    min_free_bytes: int = 64 << 20
    """Free bytes to leave on the volume; on one of less than 16 times as much, a sixteenth of it."""
    segment_bytes: int = 0
    """Size at which a segment is followed by the next; 0 takes a 32nd of `max_bytes`."""
    commit_interval: float = 0.002
    """Seconds that a transaction waits for company, at most, after one that had some. Where an fsync takes less,
    transactions would else hold one or two batches each, and cost more than all else together."""
    retry_interval: float = 1.0
    """Seconds until a file that could not be read is tried again; each further time takes twice as long, up to 60 s."""

    def __post_init__(self) -> None:
        if self.max_bytes < MIN_BYTES:
            raise ValueError(f"max_bytes is {self.max_bytes}; the buffer needs at least {MIN_BYTES}")
        if min(self.min_free_bytes, self.segment_bytes, self.commit_interval, self.retry_interval) < 0:
            raise ValueError("min_free_bytes, segment_bytes, commit_interval and retry_interval must not be negative")

    @property
    def segment_limit(self) -> int:
        """Bytes at which a segment is followed by the next."""
        return self.segment_bytes or min(max(self.max_bytes // _SEGMENTS, _MIN_SEGMENT), _MAX_SEGMENT)
