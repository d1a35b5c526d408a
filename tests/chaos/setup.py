"""What the tests of single faults share: a world, a client of it, and looks at what came of it."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from exporter.signals import TRACES
from tests.chaos.senders import Client, Ledger, Send, send_until_acknowledged
from tests.chaos.verdict import judge, settled
from tests.chaos.world import Mongo, World

SETTINGS = {"OTLP_MONGO_INSERT_TIMEOUT": "2s", "OTLP_MONGO_CLOUD_INSERT_TIMEOUT": "500ms"}
_NUMBERS = itertools.count()


def new_numbers(count: int) -> range:
    """Numbers of records, which no other request has."""
    first = next(_NUMBERS) * 1000
    return range(first, first + count)


class Setup:
    """A world with a client of its sidecar and a ledger of all that was acknowledged in it."""

    def __init__(self, processes: World, sender: Client) -> None:
        self.world = processes
        self.sender = sender
        self.ledger = Ledger()

    async def send(self, count: int = 10) -> range:
        """Some spans, until they are acknowledged. Returns their numbers."""
        numbers = new_numbers(count)
        await self.send_these(self.sender.over_grpc, numbers)
        return numbers

    async def send_these(self, send: Send, numbers: range) -> None:
        """Spans with these numbers, until they are acknowledged."""
        await send_until_acknowledged(send, TRACES, numbers, self.ledger, random.Random(numbers.start))

    async def warm_up(self) -> None:
        """Return once both destinations take live inserts, over connections that are open."""
        async with asyncio.timeout(20):
            while await metric(self, "otlp_mongo_exporter_destination_open{"):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.02)
        await self.send()

    async def check_all_stored_once(self) -> None:
        await settled(self.world)
        verdict = await judge(self.world, self.ledger)
        assert verdict.good, list(verdict.lines())


@asynccontextmanager
async def database(mongo: Mongo) -> AsyncIterator[AsyncDatabase[dict[str, Any]]]:
    async with AsyncMongoClient[dict[str, Any]](mongo.mongod.uri) as connected:
        yield connected.otel


async def metric(setup: Setup, line: str) -> float:
    _, text = await setup.world.sidecar.get("/metrics")
    return sum(float(found.rpartition(" ")[2]) for found in text.splitlines() if found.startswith(line))


async def until_stored(mongo: Mongo, numbers: range, name: str = "otel") -> None:
    async with asyncio.timeout(20), AsyncMongoClient[dict[str, Any]](mongo.mongod.uri) as connected:
        wanted = {"attributes.number": {"$in": list(numbers)}}
        while await connected[name].spans.count_documents(wanted) < len(numbers):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)
