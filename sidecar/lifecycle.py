"""The order of starting and stopping: parts start one after the other and stop the other way round."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

_log = structlog.get_logger(__name__)

_LEAST_SECONDS = 1.0
"""What a part gets to stop even when those before it have used up the grace: closing is better than being cut off."""


@dataclass(frozen=True, slots=True)
class Part:
    """Something that is started and stopped."""

    name: str
    start: Callable[[], Awaitable[None]]
    stop: Callable[[float], Awaitable[None]]
    """Gets the seconds it may take. May be called in any state, also after a start that failed or was cancelled."""
    share: float = 1.0
    """Of what is left of the grace, how much it may take: those that stop after it need the rest."""


class Lifecycle:
    """Starts parts in order, and stops them in reverse."""

    def __init__(self, parts: Sequence[Part], clock: Callable[[], float] = time.monotonic) -> None:
        self._parts = parts
        self._clock = clock
        self._started: list[Part] = []

    async def start(self, rollback_grace: float = 5.0) -> None:
        """Start all. When one fails or the start is cancelled, that one and those before it are stopped again."""
        try:
            for part in self._parts:
                _log.debug("starting", part=part.name)
                # Before it has started: a part that fails half way has something to clean up too.
                self._started.append(part)
                await part.start()
        except BaseException:
            await asyncio.shield(self.stop(rollback_grace))
            raise

    async def stop(self, grace: float) -> bool:
        """Stop what has started within `grace` seconds; each part gets its share of what those before it left.

        Returns whether every part stopped in time and without an error; what went wrong is logged.
        """
        deadline = self._clock() + grace
        clean = True
        while self._started:
            part = self._started.pop()
            left = deadline - self._clock()
            clean &= await self._stop_part(part, max(left * part.share, _LEAST_SECONDS))
        return clean

    async def _stop_part(self, part: Part, seconds: float) -> bool:
        _log.debug("stopping", part=part.name)
        try:
            # The part itself keeps to `seconds`; the second more is for one that does not.
            async with asyncio.timeout(seconds + _LEAST_SECONDS):
                await part.stop(seconds)
        except TimeoutError:
            _log.error("a part did not stop in time and was cut off", part=part.name, seconds=round(seconds, 1))
            return False
        except Exception:
            _log.exception("a part failed while stopping", part=part.name)
            return False
        return True
