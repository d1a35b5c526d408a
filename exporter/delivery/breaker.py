"""The circuit breaker: whether a server, or one of its collections, is tried, and when a broken one is probed again."""

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
    """Closed while all is taken; open from the first failure until a probe succeeds.

    A probe is a batch that waits. Where none waits, the breaker is half open: it offers a trial, which the next live
    batch takes while the others go on to the buffer.
    """

    def __init__(
        self, backoff: Backoff, on_change: Callable[[bool, str], None] = lambda _closed, _reason: None
    ) -> None:
        self._backoff = backoff
        self._on_change = on_change
        self._reason = ""
        self._offered = False
        self._trials = 0
        self.closed = True
        self.failures = 0
        """Since it was closed; 0 while it is."""

    @property
    def reason(self) -> str:
        """Why it is open; empty when it is closed."""
        return self._reason

    def fail(self, reason: str) -> None:
        """A batch failed. Failures while it is open already do not count: they are one outage."""
        if self.closed:
            self.closed = False
            self.failures = 1
            self._reason = reason
            self._on_change(False, reason)

    def explain(self, reason: str) -> None:
        """What is behind the failure has been found out."""
        if not self.closed:
            self._reason = reason

    def probe_failed(self, reason: str) -> None:
        """The probe of an open breaker failed: the next one waits longer."""
        if not self.closed:
            self._offered = False
            self.failures += 1
            self._reason = reason

    def succeed(self) -> None:
        """A probe succeeded: what comes is tried again."""
        if not self.closed:
            self.closed = True
            self._offered = False
            self.failures = 0
            self._reason = ""
            self._on_change(True, "")

    def next_probe(self) -> float:
        """Seconds to wait before the next probe."""
        return self._backoff.delay(self.failures - 1)

    @property
    def passable(self) -> bool:
        """Whether a live batch would be let through."""
        return self.closed or self._offered

    def offer_trial(self) -> None:
        """The next live batch may be the probe, unless one is on its way."""
        self._offered = not self.closed and not self._trials

    def take_trial(self) -> None:
        """A live batch goes, and no other until `end_trial`."""
        self._offered = False
        self._trials += 1

    def end_trial(self) -> None:
        """It came back, whatever it brought."""
        self._trials -= 1
