"""Batches that step aside: they fail while others pass, so they wait in the buffer and are tried again by themselves.

One at a time is tried, after a wait that grows while none of them passes, and the next one at once when one does: ten
thousand with the same reason cost one try in half a minute, and follow each other as soon as the reason is gone.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator

from exporter.delivery.breaker import Backoff

_BOUND = 10_000
"""Positions that are held. What is more is passed over, and found again when the buffer is read from its start."""
_REASONS_SHOWN = 3


class Aside:
    """The positions in the buffer of one destination's and signal's batches that stepped aside."""

    def __init__(
        self,
        backoff: Backoff,
        on_change: Callable[[int], None],
        clock: Callable[[], float] = time.monotonic,
        bound: int = _BOUND,
    ) -> None:
        """`on_change` is told how many there are."""
        self._backoff = backoff
        self._on_change = on_change
        self._clock = clock
        self._bound = bound
        self._reasons: OrderedDict[int, str] = OrderedDict()
        """By position; the first is the next to be tried."""
        self._failures = 0
        self._due = 0.0
        self._trying: int | None = None
        self.overflowed = False
        """Whether some were passed over."""

    def __len__(self) -> int:
        return len(self._reasons)

    def __iter__(self) -> Iterator[int]:
        return iter(self._reasons)

    def __contains__(self, position: int) -> bool:
        return position in self._reasons

    @property
    def is_half_empty(self) -> bool:
        """Whether it is time to look for those that were passed over."""
        return 2 * len(self._reasons) <= self._bound

    @property
    def reasons(self) -> str:
        """The most frequent ones, in words; empty when there are none."""
        return "; ".join(reason for reason, _ in Counter(self._reasons.values()).most_common(_REASONS_SHOWN))

    def add(self, position: int, reason: str) -> None:
        """A batch failed."""
        if position not in self._reasons and len(self._reasons) >= self._bound:
            self.overflowed = True
            return
        self.withdraw(position)
        self._reasons[position] = reason
        self._reasons.move_to_end(position)
        self._failures += 1
        self._due = self._clock() + self._backoff.delay(self._failures - 1)
        self._on_change(len(self._reasons))

    def passed(self, position: int) -> None:
        """One is delivered, or no longer there: the next may go at once."""
        self._reasons.pop(position, None)
        self.withdraw(position)
        self.hurry()
        self._on_change(len(self._reasons))

    def hurry(self) -> None:
        """Try at once."""
        self._failures = 0
        self._due = 0.0

    def next(self) -> int | None:
        """The position to be tried now; None while one is being tried."""
        if not self._reasons or self._trying is not None or self._clock() < self._due:
            return None
        return next(iter(self._reasons))

    def begin(self, position: int) -> None:
        """It is being tried, until `add`, `passed` or `withdraw`."""
        self._trying = position

    def withdraw(self, position: int) -> None:
        """It could not be tried to the end."""
        if self._trying == position:
            self._trying = None

    def postpone(self, seconds: float) -> None:
        """There is no room for it now."""
        self._due = self._clock() + seconds

    def due_in(self) -> float | None:
        """Seconds until there is one to be tried; None: there is none, or one is being tried."""
        return max(self._due - self._clock(), 0.0) if self._reasons and self._trying is None else None
