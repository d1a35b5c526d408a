"""One client of a MongoDB and what goes with it, so that another can take its place while it is in use."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from exporter.mongodb.availability import Availability
from exporter.mongodb.inserter import Inserter
from exporter.mongodb.set_up import SetUp

T = TypeVar("T")


@dataclass(slots=True)
class Connection:
    """A client that is in use."""

    client: AsyncMongoClient[dict[str, Any]]
    database: AsyncDatabase[dict[str, Any]]
    availability: Availability
    inserter: Inserter
    set_up: SetUp
    _users: int = 0
    _unused: asyncio.Event | None = None

    async def use(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Do some work that `retire` waits for."""
        self._users += 1
        try:
            return await work(self)
        finally:
            self._users -= 1
            if self._unused is not None and not self._users:
                self._unused.set()

    async def retire(self) -> None:
        """Close the client once nothing uses it any more; each use is bounded by the client's own timeouts."""
        self._unused = asyncio.Event()
        try:
            if self._users:
                await self._unused.wait()
        finally:
            await self.client.close()
