"""What a check of the whole buffer found."""

from __future__ import annotations

from dataclasses import dataclass


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

    @property
    def ok(self) -> bool:
        return not self.damage
