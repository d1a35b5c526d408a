"""Log lines about refused requests that no flood of bad input can fill a disk with."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

INTERVAL_SECONDS = 10.0


@dataclass(slots=True)
class _Kind:
    quiet_until: float = float("-inf")
    suppressed: int = 0


class RefusalLog:
    """Writes the first refusal of a kind at once, then one in each interval, with the number left out in between.

    Nothing is lost to the metrics, which count each.
    """

    def __init__(self, interval_seconds: float = INTERVAL_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = interval_seconds
        self._clock = clock
        self._kinds: dict[str, _Kind] = {}
        self._log = structlog.stdlib.get_logger(__name__)

    def write(self, outcome: str, reason: str, error: BaseException | None = None) -> None:
        """Log a refusal. `outcome`: its kind, one of few. `error`: logged with its traceback, as our own fault."""
        kind = self._kinds.setdefault(f"{outcome} {type(error).__name__}", _Kind())
        now = self._clock()
        if now < kind.quiet_until:
            kind.suppressed += 1
            return
        suppressed, kind.suppressed = kind.suppressed, 0
        kind.quiet_until = now + self._interval
        if error is None:
            self._log.warning("request refused", outcome=outcome, reason=reason, suppressed=suppressed)
        else:
            self._log.error("request failed", outcome=outcome, reason=reason, suppressed=suppressed, exc_info=error)
