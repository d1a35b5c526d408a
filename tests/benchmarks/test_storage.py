"""What the storage benchmark compares must differ in what it says, and in nothing else."""

from __future__ import annotations

import itertools
from typing import Any
from uuid import UUID

import bson
import pytest
from bson import Binary, CodecOptions, ObjectId
from bson.binary import UuidRepresentation

from benchmarks.storage import shapes
from benchmarks.storage.measure import Measurement
from benchmarks.storage.queries import Sample
from benchmarks.storage.records import fresh_documents
from benchmarks.storage.report import table
from benchmarks.storage.variants import Group, Variant
from exporter.signals import SIGNALS

_CODEC: CodecOptions[dict[str, Any]] = CodecOptions(uuid_representation=UuidRepresentation.STANDARD)


def _decode(document: bytes) -> dict[str, Any]:
    return bson.decode(document, _CODEC)


@pytest.fixture(scope="module")
def span() -> bytes:
    documents = next(fresh_documents("traces", 10))
    return documents[1]  # a child, and so one with a parent


@pytest.mark.parametrize("signal", SIGNALS)
def test_fresh_documents_of_two_requests_share_no_id_and_go_on_in_time(signal: str) -> None:
    first, second = ([_decode(one) for one in batch] for batch in itertools.islice(fresh_documents(signal, 500), 2))

    for name in {"_id", "spanId"} & first[0].keys():
        assert len({document[name] for document in (*first, *second)}) == 1_000
    time_field = SIGNALS[signal].time_field
    assert min(document[time_field] for document in first) < min(document[time_field] for document in second)


@pytest.mark.parametrize("shape", [shapes.RandomId, shapes.ObjectIdId])
def test_other_ids_change_nothing_else_and_are_unique(shape: type[shapes.AsStored], span: bytes) -> None:
    make = shape()

    made = [_decode(make(span)) for _ in range(3)]

    identities = {document.pop("_id") for document in made}
    assert len(identities) == 3
    for identity in identities:
        assert isinstance(identity, ObjectId) or (isinstance(identity, UUID) and identity.version == 4)
    expected = {name: value for name, value in _decode(span).items() if name != "_id"}
    assert made == [expected] * 3


def test_binary_ids_are_those_in_hex(span: bytes) -> None:
    made = _decode(shapes.BinaryIds()(span))

    for name in ("traceId", "spanId", "parentSpanId"):
        assert made[name].hex() == _decode(span)[name]
    assert list(made) == list(_decode(span))


def test_resource_reference_finds_by_service_what_embeds_it(span: bytes) -> None:
    shape = shapes.ResourceReference()

    made = _decode(shape(span))

    service = _decode(span)["resource"]["attributes"]["service"]["name"]
    assert shape.of_service(service) == {"resource": {"$in": [Binary(made["resource"])]}}
    assert len(made["resource"]) == 16


def test_id_range_of_a_record_holds_the_ids_of_its_request() -> None:
    documents = next(fresh_documents("traces", 500))

    for document in documents:
        limits = Sample.of(SIGNALS["traces"], document, document).in_id_range["_id"]
        assert bytes(limits["$gte"]) <= bson.decode(document)["_id"] < bytes(limits["$lt"])


def test_table_two_rounds_compares_within_each_round() -> None:
    group = Group("some", "Some spans", "traces", (Variant("base"), Variant("other")), records=1)
    figures = (("base", 10.0), ("other", 15.0), ("other", 50.0), ("base", 20.0))
    measurements = [
        Measurement("some", name, micros, 100, 40, 20, {"trace": 1.0}, {"trace": 8}) for name, micros in figures
    ]

    lines = table(group, measurements).splitlines()

    assert lines[-1].startswith("| other | 32.5 | 2.00 | 15.0 | 100 | 40 | 20 | 1.00 | 1 |")
