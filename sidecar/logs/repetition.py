"""Keeps lines that say the same over and over from filling a disk.

Of each kind of line the first ten come out, then one every ten seconds, which tells how many were left out since. When
the flood has ended, a last line tells the rest. A kind is an event with those of its fields that have few values, and
the type of its error: not the texts, which a sender may choose.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

BURST = 10
INTERVAL_SECONDS = 10.0
_KINDS = 1000
"""Kinds that are remembered: more than there are, so that memory is bounded whatever happens."""
CALL_SITE = "_call_site"
"""The field that stands for the text of an event, where it has one."""
_FIELDS = (
    *("logger", "transport", "signal", "outcome", "destination", "collection", "index"),
    *("task", "part", "what", "setting", "file", "folder", "segment"),
)


@dataclass(slots=True)
class _Kind:
    event: str
    lines_left: float
    """Of the burst: one more in each interval."""
    since: float
    suppressed: int = 0


class Repetition:
    """Decides which lines come out. May be used by several threads."""

    def __init__(
        self,
        on_left_out: Callable[[str, int], None],
        *,
        burst: int = BURST,
        interval_seconds: float = INTERVAL_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`on_left_out`: told the event and the number of lines that no later line has told; on another thread."""
        self._on_left_out = on_left_out
        self._burst = burst
        self._interval = interval_seconds
        self._clock = clock
        self._kinds: OrderedDict[Hashable, _Kind] = OrderedDict()
        self._lock = threading.RLock()
        self._timer: threading.Timer | None = None
        self.suppressed = 0
        """How many lines were left out, all in all."""

    @property
    def kinds(self) -> int:
        """How many are remembered."""
        return len(self._kinds)

    def admit(self, event: Mapping[str, Any]) -> int | None:
        """How many lines of its kind were left out before this one; None if this one is to be left out, too."""
        key = _kind(event)
        with self._lock:
            kind = self._kinds.get(key)
            now = self._clock()
            if kind is None:
                if len(self._kinds) >= _KINDS:
                    self._kinds.popitem(last=False)
                kind = self._kinds[key] = _Kind(str(event.get("event", "")), self._burst, now)
            self._kinds.move_to_end(key)
            kind.lines_left = min(self._burst, kind.lines_left + (now - kind.since) / self._interval)
            kind.since = now
            if kind.lines_left >= 1:
                kind.lines_left -= 1
                suppressed, kind.suppressed = kind.suppressed, 0
                return suppressed
            kind.suppressed += 1
            self.suppressed += 1
            self._watch()
            return None

    def tell(self, *, everything: bool = True) -> None:
        """Tell what was left out and not told yet: of all kinds, or of those whose flood has ended."""
        now = self._clock()
        with self._lock:
            told = []
            for kind in self._kinds.values():
                if kind.suppressed and (everything or now - kind.since >= self._interval):
                    told.append((kind.event, kind.suppressed))
                    kind.suppressed = 0
        for event, lines in told:
            self._on_left_out(event, lines)

    def _watch(self) -> None:
        """Look again after an interval, as long as there is something to tell."""
        if self._timer is None:
            timer = threading.Timer(self._interval, self._look)
            timer.name, timer.daemon = "log repetition", True
            with contextlib.suppress(RuntimeError):  # no more threads: the next line that comes out tells it
                timer.start()
                self._timer = timer

    def _look(self) -> None:
        self._timer = None
        self.tell(everything=False)
        with self._lock:
            if any(kind.suppressed for kind in self._kinds.values()):
                self._watch()


def _kind(event: Mapping[str, Any]) -> Hashable:
    error = event.get("exc_info")
    if error is True:
        error = sys.exc_info()
    if isinstance(error, tuple):
        error = error[1] if len(error) > 1 else None
    fields = (str(event[name])[:100] if name in event else None for name in _FIELDS)
    return (event.get("level"), event.get(CALL_SITE, event.get("event")), type(error), *fields)
