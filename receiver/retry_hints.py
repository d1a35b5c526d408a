"""When a client should come back: soon at first, and later the longer it has been told to."""

from __future__ import annotations

import time
from collections.abc import Callable

_FIRST_SECONDS = 1.0
"""SDKs give a request 10 s in all by default: told to wait for most of that, they have but one try."""
_PART_OF_OUTAGE = 4
_MOST_CLIENTS = 1000
_FORGOTTEN_SECONDS = 60.0


class RetryHints:
    """Keeps, for each client, since when it is sent away."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._outages: dict[str, tuple[float, float]] = {}
        """By client: when it was sent away for the first time, and for the last."""

    def seconds(self, client: str, most: float) -> float:
        """How long the client should wait now. `most`: that whoever refused it asks for."""
        now = self._clock()
        first, last = self._outages.pop(client, (now, now))
        if now - last > _FORGOTTEN_SECONDS:
            first = now
        if len(self._outages) >= _MOST_CLIENTS:
            del self._outages[next(iter(self._outages))]
        self._outages[client] = (first, now)
        return min(max(_FIRST_SECONDS, (now - first) / _PART_OF_OUTAGE), most)

    def served(self, client: str) -> None:
        """What the client sent was taken."""
        if self._outages:
            self._outages.pop(client, None)
