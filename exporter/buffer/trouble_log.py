"""Log lines about files that cannot be read: loud, but not again and again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import structlog

from exporter.buffer.trouble import UnreadableFile

_log = structlog.get_logger(__name__)

_REPEAT_SECONDS = 60.0
_NAMED = 3
"""Files that a line names."""


class TroubleLog:
    """A line when there are more of them, one a minute while there are any, one when there are none any more."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._count = 0
        self._next_line = 0.0

    def tell(self, unreadable: Sequence[UnreadableFile]) -> None:
        now = self._clock()
        if not unreadable:
            if self._count:
                _log.info("all files of the retry buffer can be read again")
            self._count = 0
            return
        if len(unreadable) <= self._count and now < self._next_line:
            return
        self._count, self._next_line = len(unreadable), now + _REPEAT_SECONDS
        named = [f"{file.name}: {file.reason}" for file in unreadable[:_NAMED]]
        event = "files of the retry buffer cannot be read now: they stay, and are tried again"
        _log.error(event, count=len(unreadable), files=named)
