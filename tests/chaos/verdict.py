"""What is stored in the end, against what was acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import grpc.aio
from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import AutoReconnect

from exporter.signals import SIGNALS
from protos import admin_pb2 as pb
from protos.admin_pb2_grpc import AdminStub
from tests.chaos.senders import Ledger
from tests.chaos.world import SidecarProcess

_SETTLE_SECONDS = 120.0
_SEGMENT = re.compile(r"segment-\d+\.sqlite\.\d+")


class Judged(Protocol):
    """What was under test."""

    @property
    def sidecar(self) -> SidecarProcess: ...

    @property
    def stores(self) -> Mapping[str, str]:
        """URIs of MongoDBs, by name."""
        ...


@dataclass(frozen=True)
class Verdict:
    """Counts of records, by destination and signal where they are mappings."""

    acknowledged: int
    stored: Mapping[str, int]
    lost: Mapping[str, int]
    duplicated: Mapping[str, int]
    dead_letters: int
    set_aside: int
    """Segments of the retry buffer that were taken for damaged, which nothing here makes them."""

    @property
    def good(self) -> bool:
        return not any((*self.lost.values(), *self.duplicated.values(), self.dead_letters, self.set_aside))

    def lines(self) -> Iterator[str]:
        yield f"acknowledged records: {self.acknowledged}"
        for name in self.stored:
            yield (
                f"{name}: stored {self.stored[name]}, acknowledged but lost {self.lost[name]}, "
                f"duplicated {self.duplicated[name]}"
            )
        yield f"dead letters: {self.dead_letters}, segments of the buffer set aside: {self.set_aside}"


async def settled(world: Judged) -> None:
    """Return once nothing waits for any destination."""
    async with asyncio.timeout(_SETTLE_SECONDS), grpc.aio.insecure_channel(world.sidecar.admin_grpc) as channel:
        await channel.channel_ready()
        async for _ in AdminStub(channel).Drain(pb.DrainRequest()):  # type: ignore[no-untyped-call]
            pass


async def judge(world: Judged, ledger: Ledger) -> Verdict:
    """Compare every store with the ledger. The sidecar is settled."""
    stored: dict[str, int] = {}
    lost: Counter[str] = Counter()
    duplicated: Counter[str] = Counter()
    dead_letters = 0
    for name, uri in world.stores.items():
        async with AsyncMongoClient[dict[str, Any]](uri) as client:
            database = client.otel
            dead_letters += await database.dead_letters.count_documents({})
            stored[name] = 0
            for signal in SIGNALS.values():
                counts = await _counts(database[signal.collection])
                stored[name] += counts.total()
                lost[name] += len(ledger.acknowledged[signal.name] - counts.keys())
                duplicated[name] += sum(count - 1 for count in counts.values())
    acknowledged = sum(len(numbers) for numbers in ledger.acknowledged.values())
    set_aside = await asyncio.to_thread(_segments_set_aside, world.sidecar.data / "buffer" / "damaged")
    return Verdict(acknowledged, stored, dict(lost), dict(duplicated), dead_letters, set_aside)


async def _counts(collection: AsyncCollection[dict[str, Any]]) -> Counter[int]:
    """How often each number is stored. Asked again when the primary of a replica set changes meanwhile."""
    async with asyncio.timeout(_SETTLE_SECONDS):
        while True:
            with contextlib.suppress(AutoReconnect):
                numbered = {"attributes.number": {"$exists": True}}  # a poison batch is not
                found = collection.find(numbered, {"_id": False, "attributes.number": True})
                return Counter([document["attributes"]["number"] async for document in found])


def _segments_set_aside(folder: Path) -> int:
    """Without the logs of them: a write that was cut off is kept there too."""
    return sum(_SEGMENT.fullmatch(file.name) is not None for file in folder.glob("*"))
