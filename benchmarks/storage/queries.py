"""Typical queries, about records that are stored."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import bson
from bson.binary import UUID_SUBTYPE, Binary
from bson.raw_bson import RawBSONDocument
from pymongo.collection import Collection
from pymongo.cursor import Cursor

from benchmarks.storage.shapes import Shape
from exporter.signals import Signal

Records = Collection[RawBSONDocument]
_RANGE = timedelta(seconds=1)
_WITHIN_REQUEST = timedelta(seconds=1)
"""What lies between the times of two records in a request, at most."""
_EPOCH = datetime.fromtimestamp(0, UTC)
_NEWEST = 50


@dataclass(frozen=True, slots=True)
class Sample:
    """What queries ask about: a record that is stored."""

    signal: Signal
    service: str
    fields: Mapping[str, Any]
    """Of the document as it is stored."""

    @classmethod
    def of(cls, signal: Signal, original: bytes, stored: bytes) -> Sample:
        service = bson.decode(original)["resource"]["attributes"]["service"]["name"]
        return cls(signal, service, bson.decode(stored))

    @property
    def in_range(self) -> Mapping[str, Any]:
        """The filter for a second from this record on."""
        start: datetime = self.fields[self.signal.time_field]
        return {self.signal.time_field: {"$gte": start, "$lt": start + _RANGE}}

    @property
    def in_id_range(self) -> Mapping[str, Any]:
        """The filter for the `_id`s of requests that may hold records of that second (docs/documents.md, `_id`)."""
        start: datetime = self.fields[self.signal.time_field]
        return {"_id": {"$gte": _first_id(start - _WITHIN_REQUEST), "$lt": _first_id(start + _RANGE + _WITHIN_REQUEST)}}


def _first_id(time: datetime) -> Binary:
    milliseconds = (time.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
    return Binary(milliseconds.to_bytes(6) + bytes(10), UUID_SUBTYPE)


Find = Callable[[Records, Shape, Sample], Cursor[RawBSONDocument]]


def _trace(records: Records, _: Shape, sample: Sample) -> Cursor[RawBSONDocument]:
    return records.find({"traceId": sample.fields["traceId"]})


def _service(records: Records, shape: Shape, sample: Sample) -> Cursor[RawBSONDocument]:
    return records.find({**shape.of_service(sample.service), **sample.in_range})


def _service_method(records: Records, shape: Shape, sample: Sample) -> Cursor[RawBSONDocument]:
    method = {"attributes.http.request.method": "POST"}
    return records.find({**shape.of_service(sample.service), **sample.in_range, **method})


def _method(records: Records, _: Shape, sample: Sample) -> Cursor[RawBSONDocument]:
    return records.find({**sample.in_range, "attributes.http.request.method": "POST"})


def _id_method(records: Records, _: Shape, sample: Sample) -> Cursor[RawBSONDocument]:
    return records.find({**sample.in_id_range, **sample.in_range, "attributes.http.request.method": "POST"})


def _newest(records: Records, shape: Shape, sample: Sample) -> Cursor[RawBSONDocument]:
    found = records.find(shape.of_service(sample.service))
    return found.sort(sample.signal.time_field, -1).limit(_NEWEST)


def _errors(records: Records, shape: Shape, sample: Sample) -> Cursor[RawBSONDocument]:
    return records.find({**shape.of_service(sample.service), **sample.in_range, "severityNumber": {"$gte": 17}})


def _metric(records: Records, _: Shape, sample: Sample) -> Cursor[RawBSONDocument]:
    return records.find({"metric.name": sample.fields["metric"]["name"], **sample.in_range})


def _metric_route(records: Records, _: Shape, sample: Sample) -> Cursor[RawBSONDocument]:
    route = sample.fields["attributes"]["http"]["route"]
    name = sample.fields["metric"]["name"]
    return records.find({"metric.name": name, **sample.in_range, "attributes.http.route": route})


QUERIES: Mapping[str, Mapping[str, Find]] = {
    "traces": {
        "trace": _trace,
        "service, 1 s": _service,
        "service, 1 s, method": _service_method,
        "1 s, method": _method,
        "1 s, method, by `_id`": _id_method,
        f"newest {_NEWEST} of a service": _newest,
    },
    "logs": {"trace": _trace, "service, 1 s": _service, "service, 1 s, errors": _errors},
    "metrics": {"name, 1 s": _metric, "name, 1 s, route": _metric_route},
}
"""By signal and name. A second has `records.RECORDS_A_SECOND` records of all services together."""


def runs(find: Find, records: Records, shape: Shape, samples: Sequence[Sample]) -> Iterator[int]:
    """Run a query about one sample after another, and yield how many documents it found."""
    rng = random.Random(0)
    while True:
        found = sum(1 for _ in find(records, shape, rng.choice(samples)))
        yield found
