"""How PyMongo's operations wait for a server or a connection, on Python 3.11.

They wait on a condition whose lock all operations and monitors of a client share. Before Python 3.12,
`asyncio.wait_for` runs what it waits for in a task of its own. When the waiting operation is cancelled in the moment in
which its time runs out, that task takes the lock back after the operation has left, and nobody gives it free: from then
on nothing that the client does ever ends, though MongoDB is there. We cancel operations whenever a breaker opens.

Since Python 3.12 `asyncio.wait_for` waits in the same task, which takes the lock back before it leaves. The same is
done here.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable
from typing import TypeVar

import pymongo.lock

T = TypeVar("T")


async def _wait_for(awaitable: Awaitable[T], timeout: float | None) -> T:  # noqa: ASYNC109 - asyncio's signature
    async with asyncio.timeout(timeout):
        return await awaitable


def mend_waiting() -> None:
    """Have PyMongo wait in the task that waits. Can be repeated."""
    if sys.version_info < (3, 12):
        vars(pymongo.lock)["wait_for"] = _wait_for
