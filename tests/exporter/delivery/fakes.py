"""Fakes of the exporter's own interfaces, with all that the real ones can do to their callers."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import bson
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions

from exporter.batch import Batch, content_id
from exporter.errors import Overloaded
from exporter.interfaces import (
    READ_BYTES,
    Backlog,
    Documents,
    InsertResult,
    Inspection,
    LargerThanAsked,
    Refusal,
    StoredBatch,
)
from exporter.progress import Progress
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
        self.error: Exception = ValueError("poison")

    def inspect(self, signal: Signal, payload: bytes, within: int | None = None) -> Inspection:
        raise AssertionError("delivery inspects nothing")

    def transcode(self, batch: Batch, within: int | None = None) -> Documents:
        if batch.base_id in self.poison:
            raise self.error
        documents = documents_of(str(batch.base_id + index) for index in range(batch.records))
        if within is not None and documents.size > within:
            raise LargerThanAsked
        return documents


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
        self.failures: Mapping[str, Exception] = {}
        """By collection, or by the `_id` of a document: what it fails with beside the others that pass."""
        self.piece = 10**9
        """Documents that it takes in one command."""
        self.stalls_at: int | None = None
        """It hangs once it has taken so many documents of a call, until `hang` is set."""
        self.pings = 0
        self.expected = 0.0
        self.diagnosis = ""
        self.commands: list[list[str]] = []
        """The `_id`s of each command, in order."""
        self._answered = 0.0
        self.hang = asyncio.Event()
        self.hang.set()
        self.refuse: Mapping[str, Refusal] = {}
        """By `_id`: what is refused and how (the index is filled in)."""
        self.closed = False
        self.insert_called = asyncio.Event()
        self.back = asyncio.Event()

    async def insert(self, collection: str, documents: Documents, progress: Progress | None = None) -> InsertResult:
        assert not self.closed, "insert into a closed destination"
        self.inserts += 1
        self.insert_called.set()
        progress = progress or Progress()
        while sent := progress.next(len(documents), self.piece):
            if self.stalls_at is None or progress.reached >= self.stalls_at:
                await self.hang.wait()
            await asyncio.sleep(0)
            progress.settle(sent, self._command(collection, documents.pick(sent)))
        return progress.result(len(documents))

    def _command(self, collection: str, documents: Documents) -> InsertResult:
        decoded = [bson.decode(raw, _CODEC) for raw in documents]
        ids = [str(document["_id"]) for document in decoded]
        for failure in (self.failure, *(self.failures.get(key) for key in (collection, *ids))):
            if failure:
                raise failure
        self.commands.append(ids)
        self._answered = time.monotonic()
        kept = self.stored.setdefault(collection, {})
        refusals, duplicates = [], 0
        for index, (key, document) in enumerate(zip(ids, decoded, strict=True)):
            if key in self.refuse:
                refusals.append(replace(self.refuse[key], index=index))
            elif key in kept:
                duplicates += 1
            else:
                kept[key] = document
        return InsertResult(len(documents) - duplicates - len(refusals), duplicates, tuple(refusals))

    async def ping(self) -> None:
        self.pings += 1
        if self.failure:
            raise self.failure

    def answered_since(self, moment: float) -> bool:
        return self._answered > moment

    def expected_seconds(self, documents: Documents) -> float:
        return self.expected

    async def diagnose(self) -> str:
        return self.diagnosis

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
        self.failure: Exception | None = None
        """What everything but `append` fails with."""
        self.removals = 0
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
        self,
        destination: str,
        limit: int,
        after: int = 0,
        *,
        max_bytes: int = READ_BYTES,
        signals: Sequence[str] | None = None,
    ) -> Sequence[StoredBatch]:
        await asyncio.sleep(0)
        if self.failure:
            raise self.failure
        found = [
            StoredBatch(at, batch)
            for at, batch in self.waiting[destination].items()
            if at > after and (signals is None or batch.signal.name in signals)
        ]
        sizes = itertools.accumulate(len(item.batch.payload) for item in found)
        fitting = sum(size <= max_bytes for size in sizes)
        return found[: min(limit, max(fitting, 1))]

    async def remove(self, destination: str, positions: Sequence[int]) -> None:
        await asyncio.sleep(0)
        self.removals += 1
        if self.failure:
            raise self.failure
        for position in positions:
            del self.waiting[destination][position]

    def status(self) -> Mapping[str, Backlog]:
        return {
            name: Backlog(len(waiting), sum(b.records for b in waiting.values()), 0, 1 if waiting else 0)
            for name, waiting in self.waiting.items()
        }
