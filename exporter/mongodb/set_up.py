"""Keeps a destination's collections and indexes as they should be, as long as it runs.

They are made at the start, or as soon as there is a server that answers. After that they are looked at again from time
to time, after the server was away, and after an insert failed: somebody may have dropped the database, and the next
insert makes a collection without our indexes, TTL and compression. The look is four to eight commands that read the
catalog. What it finds is told when it is news.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import suppress

import structlog
from pymongo.errors import NetworkTimeout, OperationFailure, PyMongoError

from exporter.mongodb import failures
from exporter.mongodb.collections import Changes, Collections

_FIRST_RETRY = 0.5
_LONGEST_RETRY = 60.0
_BETWEEN_LOOKS = 30.0
"""Seconds. Half of it more or less, so that the sidecars of a fleet do not look at the same time."""
_LEAST_BETWEEN_LOOKS = 2.0
"""However many inserts fail."""

_log = structlog.get_logger(__name__)


class SetUp:
    """Looks after the collections of one destination."""

    def __init__(
        self,
        destination: str,
        database: str,
        collections: Collections,
        up: asyncio.Event,
        redact: Callable[[str], str],
        *,
        between_looks: float = _BETWEEN_LOOKS,
    ) -> None:
        """`destination`, `database`: their names. `up`: set while there is a server that takes writes."""
        self._names = {"destination": destination, "database": database}
        self._collections = collections
        self._up = up
        self._redact = redact
        self._between_looks = between_looks
        self._wanted = asyncio.Event()
        self._told: set[str] = set()

    def look_soon(self) -> None:
        """Look before it is time to: something is perhaps not as it should be. May be called often."""
        self._wanted.set()

    async def run(self) -> None:
        """Work until cancelled."""
        delay = _FIRST_RETRY
        while True:
            self._wanted.clear()
            try:
                changes = await self.look()
            except PyMongoError as error:
                self._tell_failure(error, delay)
                await self._pause(delay)
                delay = min(2 * delay, _LONGEST_RETRY)
                continue
            if changes.passing:
                await asyncio.sleep(delay)
                delay = min(2 * delay, _LONGEST_RETRY)
            else:
                delay = _FIRST_RETRY
                await self._until_next_look()

    async def look(self) -> Changes:
        """Make what is missing, once, and tell what is news of it.

        Raises:
            PyMongoError: no server answers, or it does not accept us.
        """
        changes = await self._collections.ensure()
        for made in changes.made:
            _log.info(made, **self._names)
        self._tell_news("collections and indexes: something could not be made", changes.problems)
        self._tell_news("collections and indexes: something is otherwise than is usual", changes.notes)
        if self._told and not changes.problems and not changes.notes:
            _log.info("collections and indexes are as they should be", **self._names)
        self._told = {*changes.problems, *changes.notes}
        return changes

    def _tell_news(self, event: str, sentences: Sequence[str]) -> None:
        for sentence in sentences:
            if sentence not in self._told:
                _log.warning(event, reason=self._redact(sentence), **self._names)

    def _tell_failure(self, error: PyMongoError, delay: float) -> None:
        if isinstance(error, OperationFailure):
            event = "the destination answers, but refuses us: its collections and indexes are made once it does not"
        elif isinstance(error, NetworkTimeout):
            event = "the destination gave no answer in time: its collections and indexes will be made once it does"
        else:
            event = "the destination cannot be reached: its collections and indexes will be made once it can"
        if failures.is_still_connecting(error):
            # An ordinary start on a slow machine.
            _log.info("still connecting to the destination", **self._names)
            return
        reason = self._redact(str(failures.from_exception(error).error))
        _log.error(event, reason=reason, next_try_seconds=delay, **self._names)

    async def _until_next_look(self) -> None:
        await asyncio.sleep(min(_LEAST_BETWEEN_LOOKS, self._between_looks))
        # Between a half and one and a half times as long; no secret hangs on it.
        with suppress(TimeoutError):
            async with asyncio.timeout(self._between_looks * random.uniform(0.5, 1.5)):  # noqa: S311
                await self._wanted.wait()

    async def _pause(self, seconds: float) -> None:
        """Wait, but no longer than until a destination that is down comes up."""
        if self._up.is_set():
            await asyncio.sleep(seconds)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._up.wait()
