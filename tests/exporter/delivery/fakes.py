"""Fakes of the exporter's own interfaces, with all that the real ones can do to their callers."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import bson
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions

from exporter.batch import Batch, content_id
from exporter.errors import Overloaded
from exporter.interfaces import READ_BYTES, Backlog, Documents, InsertResult, Inspection, Refusal, StoredBatch
from exporter.signals import TRACES, Signal

_CODEC = CodecOptions[dict[str, object]](uuid_representation=UuidRepresentation.STANDARD)


def batch_of(records: int = 1, *, seed: int = 1, signal: Signal = TRACES, size: int = 10) -> Batch:
    payload = seed.to_bytes(4) * -(-size // 4)
    return Batch(signal, payload, content_id(signal, payload, 1_700_000_000 * 10**9), 1, records)


class FakeTranscoder:
    """One document `{_id: number}` for each record."""

    name = "fake"

    def __init__(self) -> None:
        self.poison: set[int] = set()
        """Base ids of batches that cannot be transcoded."""

    def inspect(self, signal: Signal, payload: bytes, within: int | None = None) -> Inspection:
        raise AssertionError("delivery inspects nothing")

    def transcode(self, batch: Batch, within: int | None = None) -> Documents:
        if batch.base_id in self.poison:
            raise ValueError("poison")
        return documents_of(str(batch.base_id + index) for index in range(batch.records))


def documents_of(ids: Iterable[object]) -> Documents:
    encoded = [bson.encode({"_id": value}) for value in ids]
    offsets = [0]
    for document in encoded:
        offsets.append(offsets[-1] + len(document))
    return Documents(b"".join(encoded), offsets)


class FakeDestination:
    """A store in memory that can fail, hang, refuse and come back, and complains about use after close."""

    def __init__(self, name: str = "local") -> None:
        self.name = name
        self.stored: dict[str, dict[str, dict[str, object]]] = {}
        self.inserts = 0
        self.failure: Exception | None = None
        self.hang = asyncio.Event()
        self.hang.set()
        self.refuse: Mapping[str, Refusal] = {}
        """By `_id`: what is refused and how (the index is filled in)."""
        self.closed = False
        self.insert_called = asyncio.Event()
        self.back = asyncio.Event()

    async def insert(self, collection: str, documents: Documents) -> InsertResult:
        assert not self.closed, "insert into a closed destination"
        self.inserts += 1
        self.insert_called.set()
        await self.hang.wait()
        await asyncio.sleep(0)
        if self.failure:
            raise self.failure
        kept = self.stored.setdefault(collection, {})
        refusals, duplicates = [], 0
        for index, raw in enumerate(documents):
            document = bson.decode(raw, _CODEC)
            key = str(document["_id"])
            if key in self.refuse:
                refusals.append(replace(self.refuse[key], index=index))
            elif key in kept:
                duplicates += 1
            else:
                kept[key] = document
        return InsertResult(len(documents) - duplicates - len(refusals), duplicates, tuple(refusals))

    async def ping(self) -> None:
        if self.failure:
            raise self.failure

    async def returned(self) -> None:
        await self.back.wait()

    def ids(self, collection: str = "spans") -> set[str]:
        return set(self.stored.get(collection, {}))


class FakeBuffer:
    """A buffer in memory that fills up."""

    def __init__(self, destinations: Sequence[str] = ("local", "cloud"), capacity: int = 1000) -> None:
        self.capacity = capacity
        self.waiting: dict[str, dict[int, Batch]] = {name: {} for name in destinations}
        self.appended = asyncio.Event()
        self._last = 0

    async def append(self, batch: Batch, destination: str) -> None:
        await asyncio.sleep(0)
        waiting = self.waiting[destination]
        if len(waiting) >= self.capacity:
            raise Overloaded("the buffer is full")
        if not any(other.base_id == batch.base_id for other in waiting.values()):
            self._last += 1
            waiting[self._last] = batch
        self.appended.set()

    async def oldest(
        self, destination: str, limit: int, after: int = 0, *, max_bytes: int = READ_BYTES
    ) -> Sequence[StoredBatch]:
        await asyncio.sleep(0)
        found = [StoredBatch(at, batch) for at, batch in self.waiting[destination].items() if at > after]
        sizes = itertools.accumulate(len(item.batch.payload) for item in found)
        fitting = sum(size <= max_bytes for size in sizes)
        return found[: min(limit, max(fitting, 1))]

    async def remove(self, destination: str, positions: Sequence[int]) -> None:
        await asyncio.sleep(0)
        for position in positions:
            del self.waiting[destination][position]

    def status(self) -> Mapping[str, Backlog]:
        return {
            name: Backlog(len(waiting), sum(b.records for b in waiting.values()), 0, 1 if waiting else 0)
            for name, waiting in self.waiting.items()
        }
