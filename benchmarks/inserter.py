"""The ceiling: a client that does nothing but insert documents that are ready.

`python -m benchmarks.inserter` reads its plan as JSON from stdin and speaks as the load generator does
(loadgen/main.go). The documents are made before the measured window opens.
"""

from __future__ import annotations

import itertools
import json
import re
import secrets
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bson import decode_file_iter
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient, WriteConcern
from pymongo.collection import Collection

from exporter.batch import random_id

_ID = slice(14, 30)
"""Where a document's UUID `_id` lies when it is the first field (bsonspec.org)."""
_TRACE_ID = re.compile(rb"\x02traceId\0\x21\0\0\0([0-9a-f]{32})")
_MOST_RECORDS_A_SECOND = 150_000
"""Documents are made for this rate; a machine that inserts faster ends its window early."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to insert where. Field names are those of the JSON."""

    uri: str
    database: str
    collection: str
    documents: str
    """File of BSON documents, one after the other."""
    batch: int
    threads: int
    timeField: str  # noqa: N815
    warmUpSeconds: float  # noqa: N815
    seconds: float


class _Copies:
    """Copies of ready documents with ids and times of their own, as fresh telemetry has."""

    def __init__(self, originals: Sequence[bytes], time_field: str) -> None:
        self._originals = originals
        pattern = re.compile(rb"\x09" + time_field.encode() + rb"\0")
        self._times = [found.end() if (found := pattern.search(document)) else None for document in originals]
        self._traces = [found.start(1) if (found := _TRACE_ID.search(document)) else None for document in originals]
        self._next = 0

    def batch(self, size: int) -> list[RawBSONDocument]:
        """The next `size` documents, with `_id`s in one ascending range as a request's are."""
        now = time.time_ns()
        base, mask, date = random_id(now), secrets.randbits(128), (now // 1_000_000).to_bytes(8, "little")
        return [RawBSONDocument(self._copy(base + index, mask, date)) for index in range(size)]

    def _copy(self, identity: int, mask: int, date: bytes) -> bytes:
        at = self._next
        self._next = (at + 1) % len(self._originals)
        document = bytearray(self._originals[at])
        document[_ID] = identity.to_bytes(16)
        if (offset := self._times[at]) is not None:
            document[offset : offset + 8] = date
        if (offset := self._traces[at]) is not None:
            trace = int(document[offset : offset + 32], 16) ^ mask
            document[offset : offset + 32] = b"%032x" % trace
        return bytes(document)


class _Inserters:
    """Threads that insert batches until told to stop, or until there are none left."""

    def __init__(self, collection: Collection[RawBSONDocument], batches: Iterator[list[RawBSONDocument]], threads: int):
        self._collection = collection
        self._batches = batches
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._work) for _ in range(threads)]
        self._acknowledged: list[tuple[float, float, int]] = []
        self._failure: Exception | None = None

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def wait(self, seconds: float) -> None:
        """Let them work, shorter when they are done."""
        self._stopping.wait(seconds)

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        if self._failure:
            raise self._failure

    def _work(self) -> None:
        try:
            while not self._stopping.is_set() and (batch := self._take()):
                begin = time.perf_counter()
                self._collection.insert_many(batch, ordered=False)
                end = time.perf_counter()
                self._acknowledged.append((end, end - begin, len(batch)))
        except Exception as error:
            self._failure = error
        self._stopping.set()

    def _take(self) -> list[RawBSONDocument]:
        with self._lock:
            return next(self._batches, [])

    def outcome(self, begin: float, end: float) -> Mapping[str, Any]:
        """As the load generator's (loadgen/crew.go)."""
        inside = sorted(entry for entry in self._acknowledged if begin < entry[0] <= end)
        times = [begin, *(at for at, _, _ in inside), end]
        latencies = sorted(latency for _, latency, _ in inside) or [0.0]
        return {
            "seconds": end - begin,
            "records": sum(size for _, _, size in inside),
            "requests": len(inside),
            "acknowledgedRecords": sum(size for _, _, size in self._acknowledged),
            "unclearRecords": 0,
            "partialSuccesses": 0,
            "errors": {},
            "longestGapSeconds": max(later - earlier for earlier, later in itertools.pairwise(times)),
            "medianSeconds": latencies[(len(latencies) - 1) * 50 // 100],
            "percentile99Seconds": latencies[(len(latencies) - 1) * 99 // 100],
            "slowestSeconds": latencies[-1],
        }


def run(plan: Plan) -> Mapping[str, Any]:
    """Insert as planned, telling on stdout when the window opens and closes."""
    with Path(plan.documents).open("rb") as file:
        codec: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
        originals = [bytes(document.raw) for document in decode_file_iter(file, codec)]
    copies = _Copies(originals, plan.timeField)
    count = max(plan.threads, int(_MOST_RECORDS_A_SECOND * (plan.warmUpSeconds + plan.seconds)) // plan.batch)
    made = [copies.batch(plan.batch) for _ in range(min(count, _most_batches(plan)))]
    client: MongoClient[RawBSONDocument] = MongoClient(plan.uri, document_class=RawBSONDocument)
    with client:
        durable = WriteConcern(w="majority", j=True)
        collection = client[plan.database].get_collection(plan.collection, write_concern=durable)
        inserters = _Inserters(collection, iter(made), plan.threads)
        inserters.start()
        inserters.wait(plan.warmUpSeconds)
        print("begin", flush=True)
        begin = time.perf_counter()
        inserters.wait(plan.seconds)
        print("end", flush=True)
        end = time.perf_counter()
        inserters.stop()
        return inserters.outcome(begin, end)


def _most_batches(plan: Plan) -> int:
    """A request costs a client no less than 50 µs, so more small batches than this cannot be sent."""
    return int(20_000 * (plan.warmUpSeconds + plan.seconds))


if __name__ == "__main__":
    print(json.dumps(run(Plan(**json.loads(sys.stdin.readline())))), flush=True)
    sys.stdin.read()
