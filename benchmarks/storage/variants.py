"""What is compared with what. A variant is an entry, and the first of a group is what the others are compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pymongo import ASCENDING, HASHED, IndexModel

from benchmarks.storage import shapes
from benchmarks.storage.shapes import SERVICE, Shape

_FOR_EVER = 50 * 365 * 86_400
"""Nothing of a run expires; MongoDB takes no time longer than since 1970."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to store the same records."""

    name: str
    indexes: Sequence[IndexModel] = ()
    shape: Callable[[], Shape] = shapes.AsStored
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of the collection, as the command `create` takes them."""
    batch: int = 500
    """Records in an insert."""
    writers: int = 2
    """Inserts under way at a time, as many as the sidecar has for a collection."""


@dataclass(frozen=True, slots=True)
class Group:
    """Variants that are measured in turn, on one mongod."""

    name: str
    title: str
    signal: str
    variants: Sequence[Variant]
    records: int = 60_000
    cache: str = "1GB"
    """WiredTiger's `cache_size`."""
    arguments: Sequence[str] = ()
    """Further ones for mongod."""


def _wired_tiger(configuration: str) -> Mapping[str, Any]:
    return {"storageEngine": {"wiredTiger": {"configString": configuration}}}


def _time(name: str) -> IndexModel:
    return IndexModel([(name, ASCENDING)])


_TRACE = IndexModel([("traceId", ASCENDING)])
_TRACE_HASHED = IndexModel([("traceId", HASHED)])
_TRACE_SPARSE = IndexModel([("traceId", ASCENDING)], sparse=True)
_SPAN_SERVICE = IndexModel([(SERVICE, ASCENDING), ("startTime", ASCENDING)])
_SPAN_RESOURCE = IndexModel([("resource", ASCENDING), ("startTime", ASCENDING)])
_SPAN_TTL = IndexModel([("startTime", ASCENDING)], expireAfterSeconds=_FOR_EVER)
_SPANS = (_TRACE, _SPAN_SERVICE)
_LOG_SERVICE = IndexModel([(SERVICE, ASCENDING), ("time", ASCENDING)])
_LOGS = (_LOG_SERVICE, _TRACE_SPARSE)
_METRIC = IndexModel([("metric.name", ASCENDING), ("time", ASCENDING)])

_SNAPPY = _wired_tiger("block_compressor=snappy")
_ZSTD = _wired_tiger("block_compressor=zstd")
_ZSTD_64 = _wired_tiger("block_compressor=zstd,leaf_page_max=64KB")
_NONE = _wired_tiger("block_compressor=none")
_CLUSTERED = {"clusteredIndex": {"key": {"_id": 1}, "unique": True}}
_TIMESERIES = {"timeseries": {"timeField": "time", "metaField": "metric", "granularity": "seconds"}}

GROUPS: Sequence[Group] = (
    Group(
        "indexes",
        "Indexes of spans",
        "traces",
        (
            Variant("`_id` only"),
            Variant("+ {traceId}", (_TRACE,)),
            Variant("+ {traceId: hashed}", (_TRACE_HASHED,)),
            Variant("+ {startTime}", (_time("startTime"),)),
            Variant("+ {service, startTime}", (_SPAN_SERVICE,)),
            Variant("+ {traceId}, {service, startTime}", _SPANS),
            Variant("+ {traceId: hashed}, {service, startTime}", (_TRACE_HASHED, _SPAN_SERVICE)),
            Variant("+ {traceId}, {service, startTime}, TTL", (*_SPANS, _SPAN_TTL)),
        ),
    ),
    Group(
        "documents",
        "Content of spans",
        "traces",
        (
            Variant("as they are", _SPANS),
            Variant("a reference to the resource", (_TRACE, _SPAN_RESOURCE), shapes.ResourceReference),
            Variant("binary ids", _SPANS, shapes.BinaryIds),
        ),
    ),
    Group(
        "files",
        "Collections of spans",
        "traces",
        (
            Variant("snappy", _SPANS, options=_SNAPPY),
            Variant("zstd", _SPANS, options=_ZSTD),
            Variant("none", _SPANS, options=_NONE),
            Variant("zstd, 64 KB pages", _SPANS, options=_ZSTD_64),
            Variant("snappy, clustered", _SPANS, options={**_SNAPPY, **_CLUSTERED}),
            Variant("zstd, clustered", _SPANS, options={**_ZSTD, **_CLUSTERED}),
        ),
    ),
    *(
        Group(
            f"level-{level}",
            f"Collections of spans, zstd at level {level}",
            "traces",
            (
                Variant("snappy", _SPANS, options=_SNAPPY),
                Variant("zstd", _SPANS, options=_ZSTD),
                Variant("zstd, 64 KB pages", _SPANS, options=_ZSTD_64),
            ),
            arguments=("--zstdDefaultCompressionLevel", str(level)),
        )
        for level in (1, 3, 6)
    ),
    Group(
        "batches",
        "Inserts of spans",
        "traces",
        tuple(
            Variant(f"{batch:,} in a batch, {writers} at a time", _SPANS, batch=batch, writers=writers)
            for batch, writers in ((500, 2), (500, 1), (100, 1), (100, 2), (2000, 1), (2000, 2))
        ),
    ),
    Group(
        "logs",
        "Logs",
        "logs",
        (
            Variant("as they are", _LOGS),
            Variant("zstd, 64 KB pages", _LOGS, options=_ZSTD_64),
            Variant("`_id` only"),
            Variant("{service, time} only", (_LOG_SERVICE,)),
            Variant("without trace ids, sparse", _LOGS, shapes.NoTrace),
            Variant("without trace ids, not sparse", (_LOG_SERVICE, _TRACE), shapes.NoTrace),
        ),
    ),
    Group(
        "metrics",
        "Metrics",
        "metrics",
        (
            Variant("regular", (_METRIC,)),
            Variant("regular, zstd, 64 KB pages", (_METRIC,), options=_ZSTD_64),
            Variant("regular, `_id` only"),
            Variant("time series", (_METRIC,), options=_TIMESERIES),
        ),
    ),
    Group(
        "large",
        "Spans, with a cache that is too small",
        "traces",
        (
            Variant("our `_id`", _SPANS, options=_SNAPPY),
            Variant("random UUID", _SPANS, shapes.RandomId, options=_SNAPPY),
            Variant("ObjectId", _SPANS, shapes.ObjectIdId, options=_SNAPPY),
            Variant("our `_id`, zstd", _SPANS, options=_ZSTD),
            Variant("our `_id`, zstd, 64 KB pages", _SPANS, options=_ZSTD_64),
            Variant("our `_id`, without {traceId}", (_SPAN_SERVICE,), options=_SNAPPY),
            Variant("our `_id`, {traceId: hashed}", (_TRACE_HASHED, _SPAN_SERVICE), options=_SNAPPY),
            Variant("our `_id`, binary ids", _SPANS, shapes.BinaryIds, options=_SNAPPY),
            Variant("our `_id`, zstd, clustered", _SPANS, options={**_ZSTD, **_CLUSTERED}),
        ),
        records=600_000,
        cache="64MB",
    ),
)
