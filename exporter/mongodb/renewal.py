"""New credentials without a restart: reads the connection string again, and has a new client take the old one's place.

MongoDB asks for credentials when a connection is made. So a password that was changed shows itself by a connection
that is refused, perhaps days later: then, and when it is asked for, the connection string is read again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from exporter.errors import DestinationMisconfigured, DestinationUnavailable

_log = structlog.get_logger(__name__)

_BETWEEN_READS = 5.0
"""Seconds, however often we are refused: whoever changes a password changes the file soon before or after."""


class Renewal:
    """Renews the client of one destination, one renewal at a time."""

    def __init__(
        self,
        destination: str,
        uri: str,
        read_uri: Callable[[], str] | None,
        put_to_use: Callable[[str], Awaitable[None]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`read_uri`: reads it from where it comes from, in a thread; raises ValueError when it cannot.

        `put_to_use`: changes over to a connection string; raises DestinationUnavailable, and then has changed nothing.
        """
        self._destination = destination
        self._uri = uri
        self._read_uri = read_uri
        self._put_to_use = put_to_use
        self._clock = clock
        self._lock = asyncio.Lock()
        self._count = 0
        self._last_read = -_BETWEEN_READS

    async def refused(self) -> bool:
        """We were refused: look whether there are new credentials. Returns whether others are in use now."""
        if self._read_uri is None:
            return False
        before = self._count
        async with self._lock:
            if self._count != before:
                return True  # somebody else who was refused has seen to it
            if self._clock() - self._last_read < _BETWEEN_READS:
                return False
            try:
                return await self._renew(even_if_same=False)
            except DestinationUnavailable as error:
                message = "the connection string that was read again cannot be used: the old one stays in use"
                _log.error(message, destination=self._destination, reason=str(error))
                return False

    async def now(self) -> None:
        """Read it again and connect anew, also when it is the same: the files it names may have changed.

        Raises:
            DestinationUnavailable: it cannot be used, and the old one stays in use.
        """
        async with self._lock:
            await self._renew(even_if_same=True)

    async def _renew(self, *, even_if_same: bool) -> bool:
        self._last_read = self._clock()
        uri = self._uri
        if self._read_uri is not None:
            try:
                uri = await asyncio.to_thread(self._read_uri)
            except ValueError as error:
                raise DestinationMisconfigured(str(error)) from None
        if uri == self._uri and not even_if_same:
            return False
        await self._put_to_use(uri)
        self._uri = uri
        self._count += 1
        _log.info("connected anew", destination=self._destination)
        return True
