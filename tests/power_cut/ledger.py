"""What was promised up to some moment of a trace."""

from __future__ import annotations

from dataclasses import dataclass, field

Entry = tuple[int, str]
"""A batch's number and a destination that it waits for."""


@dataclass(slots=True)
class Ledger:
    """Follows the marks of a workload.

    The marks: `begin N D` and `done N D` around an append, `remove N D` before a removal, `kept N` after an append that
    may have thrown away what is older than N.
    """

    begun: set[Entry] = field(default_factory=set)
    """What may be there: nothing else."""
    required: set[Entry] = field(default_factory=set)
    """What must be there."""

    def follow(self, mark: str) -> None:
        word, *rest = mark.split()
        match word:
            case "begin":
                self.begun.add(_entry(rest))
            case "done":
                self.required.add(_entry(rest))
            case "remove":
                self.required.discard(_entry(rest))
            case "kept":
                self.required = {entry for entry in self.required if entry[0] >= int(rest[0])}
            case _:
                pass


def _entry(words: list[str]) -> Entry:
    return int(words[0]), words[1]
