"""How many requests are being answered, so that a stop waits for them and for nobody else."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Any

_LAST_BYTES_SECONDS = 0.5
"""What answers get to leave, and requests that have just arrived to begin."""


class InFlight:
    """Counts requests that have arrived in full and are not answered yet. Each is counted by `with`."""

    def __init__(self) -> None:
        self._count = 0
        self._none = asyncio.Event()

    def __enter__(self) -> None:
        self._count += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._count -= 1
        if not self._count:
            self._none.set()

    async def ended(self, ending: asyncio.Future[Any], grace: float) -> bool:
        """Wait for the end of a server that takes no more requests. False when it is not worth waiting for any more.

        That is when only those are left who watch, who have not sent all of their request or who do not read their
        answer; or after `grace` seconds.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                while not ending.done():
                    await asyncio.wait((ending,), timeout=_LAST_BYTES_SECONDS)
                    if not self._count:
                        break
                    await self._answered(ending)
        return ending.done()

    async def _answered(self, ending: asyncio.Future[Any]) -> None:
        """Return when nothing is in flight, or at the end."""
        self._none.clear()
        answered = asyncio.ensure_future(self._none.wait())
        try:
            await asyncio.wait((ending, answered), return_when=asyncio.FIRST_COMPLETED)
        finally:
            answered.cancel()
