"""Measuring one variant: what its inserts, its files and its queries cost."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient, WriteConcern
from pymongo.database import Database

from benchmarks.storage.queries import QUERIES, Sample, runs
from benchmarks.storage.records import fresh_documents
from benchmarks.storage.shapes import Shape
from benchmarks.storage.variants import Group, Variant
from benchmarks.usage import settle, usage
from exporter.signals import SIGNALS, Signal
from sidecar.embedded import EmbeddedMongod

_DATABASE = "storage"
_QUERY_SECONDS = 0.3
_QUERY_RUNS = 300


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one variant took. Micro- and milliseconds are mongod's CPU time."""

    group: str
    variant: str
    insert_micros: float
    """By the record, until mongod had come to rest after a checkpoint."""
    document_bytes: float
    """Of BSON, by the record; so are the others."""
    collection_bytes: float
    index_bytes: float
    query_millis: Mapping[str, float]
    found: Mapping[str, float]
    """How many documents a query found on average."""


async def measure(group: Group, variant: Variant, mongod: EmbeddedMongod) -> Measurement:
    """Measure in a database that is dropped afterwards."""
    client: MongoClient[RawBSONDocument]
    with MongoClient(mongod.uri, document_class=RawBSONDocument) as client:
        try:
            return await _Subject(group, variant, mongod, client[_DATABASE]).measure()
        finally:
            await asyncio.to_thread(client.drop_database, _DATABASE)
            await settle(_pid(mongod))


class _Subject:
    def __init__(
        self, group: Group, variant: Variant, mongod: EmbeddedMongod, database: Database[RawBSONDocument]
    ) -> None:
        self._group = group
        self._variant = variant
        self._pid = _pid(mongod)
        self._database = database
        self._signal = SIGNALS[group.signal]
        self._shape = variant.shape()

    async def measure(self) -> Measurement:
        await asyncio.to_thread(self._create)
        batches = await asyncio.to_thread(_Batches, self._group, self._variant, self._signal, self._shape)
        await settle(self._pid)
        before = self._cpu()
        await asyncio.gather(*(asyncio.to_thread(self._insert, batches) for _ in range(self._variant.writers)))
        await asyncio.to_thread(self._database.client.admin.command, "fsync")  # and so a checkpoint
        await settle(self._pid)
        cpu = self._cpu() - before
        sizes = await asyncio.to_thread(self._database.command, "dbStats")
        costs = await asyncio.to_thread(self._query, batches.samples)
        records = batches.records
        return Measurement(
            group=self._group.name,
            variant=self._variant.name,
            insert_micros=cpu / records * 1e6,
            document_bytes=batches.bytes / records,
            collection_bytes=sizes["storageSize"] / records,
            index_bytes=sizes["indexSize"] / records,
            query_millis={name: millis for name, (millis, _) in costs.items()},
            found={name: found for name, (_, found) in costs.items()},
        )

    def _create(self) -> None:
        collection = self._database.create_collection(self._signal.collection, **self._variant.options)
        if self._variant.indexes:
            collection.create_indexes(list(self._variant.indexes))

    def _insert(self, batches: _Batches) -> None:
        """As the sidecar does: ready documents in a command, and on disk when it is answered."""
        durable = WriteConcern(w="majority", j=True).document
        while documents := batches.next():
            reply = self._database.command(
                {
                    "insert": self._signal.collection,
                    "documents": documents,
                    "ordered": False,
                    "writeConcern": durable,
                }
            )
            if reply["n"] != len(documents):
                raise AssertionError(f"{reply['n']} of {len(documents)} documents were inserted: {reply}")

    def _query(self, samples: Sequence[Sample]) -> Mapping[str, tuple[float, float]]:
        """CPU milliseconds and documents found, of each query once it has run a first time."""
        records = self._database[self._signal.collection]
        costs = {}
        for name, find in QUERIES[self._signal.name].items():
            if "traceId" not in samples[0].fields and name == "trace":
                continue
            query = runs(find, records, self._shape, samples)
            next(query)
            found: list[int] = []
            before, deadline = self._cpu(), time.monotonic() + _QUERY_SECONDS
            while not found or (time.monotonic() < deadline and len(found) < _QUERY_RUNS):
                found.append(next(query))
            costs[name] = ((self._cpu() - before) / len(found) * 1e3, sum(found) / len(found))
        return costs

    def _cpu(self) -> float:
        return usage(self._pid).cpu_seconds


class _Batches:
    """What the writers take from, in threads. All is made before, so that no variant's making slows its inserts."""

    def __init__(self, group: Group, variant: Variant, signal: Signal, shape: Shape) -> None:
        self.samples: list[Sample] = []
        self._batches: list[list[bytes]] = []
        for originals in islice(fresh_documents(signal.name, variant.batch), group.records // variant.batch):
            documents = [shape(document) for document in originals]
            self.samples.append(Sample.of(signal, originals[0], documents[0]))
            self._batches.append(documents)
        self.records = sum(map(len, self._batches))
        self.bytes = sum(len(document) for documents in self._batches for document in documents)
        self._left = iter(self._batches)
        self._lock = threading.Lock()

    def next(self) -> list[RawBSONDocument]:
        """The next batch; empty when there are no more."""
        with self._lock:
            documents = next(self._left, [])
        return [RawBSONDocument(document) for document in documents]


def _pid(mongod: EmbeddedMongod) -> int:
    if mongod.pid is None:
        raise AssertionError("mongod has ended")
    return mongod.pid
