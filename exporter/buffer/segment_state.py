"""What memory knows of a segment."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from exporter.interfaces import Backlog


@dataclass(slots=True)
class State:
    """What memory knows of a segment; a transaction works on a copy."""

    waiting: dict[str, Backlog] = field(default_factory=dict)
    last_row: int = 0
    first_id: bytes = b"\xff" * 16
    last_id: bytes = b""
    unwritten: set[tuple[str, int]] = field(default_factory=set)
    """What no longer waits, but could not be deleted yet: destination and row."""

    def copy(self) -> State:
        return replace(self, waiting=dict(self.waiting), unwritten=set(self.unwritten))


def as_number(value: object) -> int:
    """A number that comes from a file, where it may have become anything."""
    return value if isinstance(value, int) else 0
