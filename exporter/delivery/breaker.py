"""The circuit breaker: whether a destination is tried, and when a broken one is probed again."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff with full jitter. Times in seconds."""

    first: float = 0.5
    longest: float = 30.0
    uniform: Callable[[float, float], float] = random.uniform

    def delay(self, attempt: int) -> float:
        """The wait before attempt number `attempt`, counted from 0."""
        ceiling = min(self.longest, self.first * 2 ** min(attempt, 32))
        return self.uniform(0, ceiling)


class CircuitBreaker:
    """Closed while a destination takes what it is given; open from the first failure until a probe succeeds."""

    def __init__(
        self, backoff: Backoff, on_change: Callable[[bool, str], None] = lambda _closed, _reason: None
    ) -> None:
        self._backoff = backoff
        self._on_change = on_change
        self._failures = 0
        self._reason = ""

    @property
    def closed(self) -> bool:
        return self._failures == 0

    @property
    def reason(self) -> str:
        """Why it is open; empty when it is closed."""
        return self._reason

    def fail(self, reason: str) -> None:
        """An insert failed. Failures while it is open already do not count: they are one outage."""
        if self.closed:
            self._failures = 1
            self._reason = reason
            self._on_change(False, reason)

    def probe_failed(self, reason: str) -> None:
        """The probe of an open breaker failed: the next one waits longer."""
        self._failures += 1
        self._reason = reason

    def succeed(self) -> None:
        """A probe succeeded: the destination is tried again."""
        if not self.closed:
            self._failures = 0
            self._reason = ""
            self._on_change(True, "")

    def next_probe(self) -> float:
        """Seconds to wait before the next probe."""
        return self._backoff.delay(self._failures - 1)
