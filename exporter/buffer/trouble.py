"""Files that cannot be read now: each stays where it is and is tried again, at growing intervals."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from exporter.buffer.rescue import Rescue

_LONGEST_WAIT = 60.0
"""Seconds between two tries, at most."""


@dataclass(frozen=True, slots=True)
class UnreadableFile:
    """A file of the buffer that cannot be read, or not rescued whole, until the cause is gone. It is not lost."""

    name: str
    reason: str
    since_unix: float


@dataclass(slots=True)
class Trouble:
    """A file with a problem that may pass."""

    file: Path
    reason: str
    rescue: Rescue | None = None
    """How to bring its batches into another segment, once it was proven damaged."""
    bars: bool = True
    """Whether it bars the whole file, not only parts of it."""
    bytes: int = 0
    """What it takes on disk, where no open segment counts that."""
    since: float = field(default_factory=time.time)
    wait: float = 0.0
    due: float = 0.0


class Troubles:
    """All files with problems, by segment number; 0 stands for the folder itself."""

    def __init__(self, first_wait: float, clock: Callable[[], float] = time.monotonic) -> None:
        """`first_wait`: seconds until the second try; each further one takes twice as long, up to a minute."""
        self._first_wait = first_wait
        self._clock = clock
        self._by_number: dict[int, Trouble] = {}

    def __contains__(self, number: int) -> bool:
        return number in self._by_number

    def __len__(self) -> int:
        return len(self._by_number)

    def __iter__(self) -> Iterator[tuple[int, Trouble]]:
        return iter(sorted(self._by_number.items()))

    @property
    def bytes(self) -> int:
        return sum(trouble.bytes for trouble in self._by_number.values())

    def bars(self, number: int) -> bool:
        """Whether a segment is not to be touched now."""
        trouble = self._by_number.get(number)
        return trouble is not None and trouble.bars

    def note(
        self, number: int, file: Path, reason: str, *, rescue: Rescue | None = None, size: int = 0, bars: bool = True
    ) -> None:
        """A try has failed: the next one is later. `bars`: false when only a part of the file cannot be read."""
        trouble = self._by_number.get(number)
        if trouble is None:
            trouble = self._by_number[number] = Trouble(file, reason, rescue, bars)
            self.put_off(number)
        elif bars:
            self.put_off(number)
        trouble.reason, trouble.bytes = reason, size or trouble.bytes
        trouble.rescue, trouble.bars = rescue or trouble.rescue, bars or trouble.bars

    def put_off(self, number: int, *, bars: bool | None = None) -> None:
        """The next try is later than the last. `bars`: whether the whole file is to be left alone until then."""
        trouble = self._by_number[number]
        trouble.bars = trouble.bars if bars is None else bars
        trouble.wait = min(max(trouble.wait * 2, self._first_wait), max(_LONGEST_WAIT, self._first_wait))
        trouble.due = self._clock() + trouble.wait

    def to_rescue(self, number: int, file: Path, reason: str, rescue: Rescue, size: int) -> None:
        """A file was proven damaged: its rescue is due at once."""
        self._by_number[number] = Trouble(file, reason, rescue, bytes=size)

    def end(self, number: int) -> None:
        self._by_number.pop(number, None)

    def due(self) -> Sequence[tuple[int, Trouble]]:
        """Those whose time has come, the oldest segment first."""
        now = self._clock()
        return [(number, trouble) for number, trouble in self if trouble.due <= now]

    def next_due(self) -> float | None:
        """When the next try is due; None when all is well."""
        return min((trouble.due for trouble in self._by_number.values()), default=None)

    def report(self) -> tuple[UnreadableFile, ...]:
        return tuple(UnreadableFile(item.file.name, item.reason, item.since) for _, item in self)
