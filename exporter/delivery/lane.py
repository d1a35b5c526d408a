"""A lane: the way of one signal's batches to one destination. What is in one lane's way does not stop the others."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from exporter.delivery.aside import Aside
from exporter.delivery.breaker import Backoff, CircuitBreaker
from exporter.delivery.insertion import Insertion
from exporter.signals import Signal

_REMEMBERED = 1000
"""Batches whose failures and progress are known. One that is forgotten begins anew, which stores nothing twice."""


@dataclass(slots=True)
class Remembered:
    """What is known of a batch that failed."""

    insertion: Insertion = field(default_factory=Insertion)
    since: float = 0.0
    """When it failed first, by `time.monotonic`; 0 if it did not."""
    aside: str = ""
    """Why it is to step aside; empty when it is not."""


class Lane:
    """What live traffic and replay know about one signal at one destination."""

    def __init__(
        self,
        signal: Signal,
        backoff: Backoff,
        on_change: Callable[[Lane, bool, str], None],
        on_aside: Callable[[Lane, int], None],
    ) -> None:
        self.signal = signal
        self.breaker = CircuitBreaker(backoff, lambda closed, reason: on_change(self, closed, reason))
        """Open while the collection takes nothing, though the server is up."""
        self.behind = ""
        """Why live batches go by way of the buffer until the backlog is brought over: it was too slow for them."""
        self.aside = Aside(backoff, lambda count: on_aside(self, count))
        self.woken = asyncio.Event()
        """Set when there may be something to do for replay."""
        self.appended = False
        """Whether a batch went to the buffer since replay looked."""
        self.live: set[asyncio.Timeout] = set()
        """Of the live inserts that are on their way."""
        self._stored = 0.0
        self._memory: OrderedDict[int, Remembered] = OrderedDict()

    @property
    def direct(self) -> bool:
        """Whether live batches are inserted as they come, as far as the lane has a say."""
        return self.breaker.closed and not self.behind

    @property
    def problem(self) -> str:
        """What is in the way, in words; empty when nothing is."""
        return self.breaker.reason or self.behind

    def stored(self) -> None:
        """A batch passed."""
        self._stored = time.monotonic()

    def stored_since(self, moment: float) -> bool:
        """Whether a batch passed since then."""
        return self._stored > moment

    def recall(self, base_id: int) -> Remembered:
        """What is known of a batch; to be given to `remember` when it fails."""
        return self._memory.get(base_id) or Remembered()

    def remember(self, base_id: int, remembered: Remembered) -> None:
        """Keep what is known of a batch that failed."""
        self._memory[base_id] = remembered
        self._memory.move_to_end(base_id)
        if len(self._memory) > _REMEMBERED:
            self._memory.popitem(last=False)

    def forget(self, base_id: int) -> None:
        """It is delivered."""
        self._memory.pop(base_id, None)

    def release(self) -> None:
        """Nobody waits for the inserts that are on their way any more: one who waited in vain is enough."""
        now = asyncio.get_running_loop().time()
        for timeout in self.live:
            if not timeout.expired():
                timeout.reschedule(now)
