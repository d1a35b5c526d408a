"""What the SDKs send in these tests, and the documents that must come of it (docs/documents.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from bson import Int64, encode

SECOND = 1_700_000_000_000_000_000
"""All times that a sender may choose lie behind this one, in Unix nanoseconds."""

Document = Mapping[str, Any]


class Interval(NamedTuple):
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Sent:
    """What an SDK chose by itself. Times are Unix nanoseconds."""

    trace_id: str
    server_span_id: str
    client_span_id: str
    span_flags: int
    log_flags: int
    metrics: Mapping[str, Interval]
    gauge_has_start: bool
    empty_buckets: Document
    """What an exponential histogram without negative values has for them."""


def documents(service: str, sent: Sent) -> dict[str, list[Document]]:
    """By collection, sorted as by `ordered`; `_id`s left out."""
    source = {
        "resource": {"attributes": {"service": {"name": service}, "host": {"cpu": {"count": Int64(2)}}}},
        "scope": {"name": "shop", "version": "1.2"},
    }
    made = {"spans": _spans(sent), "logs": _logs(sent), "metrics": _metrics(sent)}
    return {collection: [{**record, **source} for record in records] for collection, records in made.items()}


def ordered(collection: str, found: Sequence[Document]) -> list[Document]:
    """In an order that does not depend on how requests were cut."""
    key = {
        "spans": lambda document: document["startTimeUnixNano"],
        "logs": lambda document: document["timeUnixNano"],
        "metrics": lambda document: document["metric"]["name"],
    }[collection]
    return sorted(found, key=key)


def assert_same(found: Sequence[Document], expected: Sequence[Document]) -> None:
    """The same fields, in the same order, of the same BSON types; `_id`s aside."""
    bare = [{key: value for key, value in document.items() if key != "_id"} for document in found]
    assert bare == list(expected)
    assert [encode(document) for document in bare] == [encode(document) for document in expected]


def when(field: str, unix_nano: int) -> Document:
    """A time, as documents hold it."""
    date = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=unix_nano // 1_000_000)
    return {field: date, f"{field}UnixNano": Int64(unix_nano)}


def _spans(sent: Sent) -> list[Document]:
    server = {
        "traceId": sent.trace_id,
        "spanId": sent.server_span_id,
        "flags": sent.span_flags,
        "name": "GET /cart",
        "kind": "SERVER",
        **when("startTime", SECOND + 1_500_000),
        **when("endTime", SECOND + 4_000_000),
        "durationNanos": Int64(2_500_000),
        "status": {"code": "UNSET"},
        "attributes": {
            "http": {"request": {"method": "GET"}, "response": {"status_code": Int64(200)}},
            "cache": {"hit": True},
            "sampling": {"rate": 0.25},
            "user": {"roles": ["buyer", "reader"]},
            "retry": {"delays": [Int64(1), Int64(2)]},
        },
        "events": [
            {
                "name": "cart loaded",
                **when("time", SECOND + 2_000_000),
                "attributes": {"cart": {"items": Int64(3)}},
            }
        ],
    }
    client = {
        "traceId": sent.trace_id,
        "spanId": sent.client_span_id,
        "parentSpanId": sent.server_span_id,
        "flags": sent.span_flags,
        "name": "find cart",
        "kind": "CLIENT",
        **when("startTime", SECOND + 1_600_000),
        **when("endTime", SECOND + 1_700_000),
        "durationNanos": Int64(100_000),
        "status": {"code": "ERROR", "message": "timed out"},
        "links": [
            {
                "traceId": sent.trace_id,
                "spanId": sent.server_span_id,
                "flags": sent.span_flags,
                "attributes": {"link": {"reason": "cause"}},
            }
        ],
    }
    return [server, client]


def _logs(sent: Sent) -> list[Document]:
    warning = {
        **when("time", SECOND + 2_500_000),
        **when("observedTime", SECOND + 2_600_000),
        "severityNumber": 13,
        "severityText": "WARN",
        "body": {"reason": "slow", "seen": [Int64(1), "two", None, b"\x00\xff"]},
        "eventName": "cart.slow",
        "traceId": sent.trace_id,
        "spanId": sent.server_span_id,
        "flags": sent.log_flags,
        "attributes": {"code": {"lineno": Int64(7)}, "detail": {"map": {"inner": {"deep": 1.5}}}},
    }
    plain = {
        **when("time", SECOND + 2_700_000),
        **when("observedTime", SECOND + 2_700_000),
        "body": "plain text",
    }
    return [warning, plain]


def _metrics(sent: Sent) -> list[Document]:
    cumulative = {"temporality": "CUMULATIVE"}
    return [
        _point(sent, {"name": "baskets", "type": "sum", **cumulative, "monotonic": False}, {"value": -1.5}),
        _point(
            sent,
            {"name": "cart.size", "type": "exponentialHistogram", **cumulative},
            {
                "exponentialHistogram": {
                    "count": Int64(1),
                    "sum": 4.0,
                    "min": 4.0,
                    "max": 4.0,
                    "scale": 20,
                    "zeroCount": Int64(0),
                    # 4 lies in the bucket (2^(offset / 2^20), 2^((offset + 1) / 2^20)].
                    "positive": {"offset": 2_097_151, "counts": [Int64(1)]},
                    **sent.empty_buckets,
                }
            },
        ),
        _point(
            sent,
            {"name": "latency", "unit": "ms", "type": "histogram", **cumulative},
            {
                "histogram": {
                    "count": Int64(1),
                    "sum": 42.5,
                    "min": 42.5,
                    "max": 42.5,
                    "bounds": [10.0, 100.0],
                    "counts": [Int64(0), Int64(1), Int64(0)],
                }
            },
        ),
        _point(
            sent,
            {
                "name": "orders",
                "description": "Orders",
                "unit": "{order}",
                "type": "sum",
                **cumulative,
                "monotonic": True,
            },
            {"value": Int64(3), "attributes": {"shop": {"id": "a"}}},
        ),
        _point(sent, {"name": "temperature", "type": "gauge"}, {"value": 21.5}, has_start=sent.gauge_has_start),
    ]


def _point(sent: Sent, metric: Document, rest: Document, *, has_start: bool = True) -> Document:
    start, end = sent.metrics[metric["name"]]
    return {"metric": metric, **when("time", end), **(when("startTime", start) if has_start else {}), **rest}
