from __future__ import annotations

import uuid

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span
from prometheus_client import CollectorRegistry

from exporter.batch import Batch, BatchFactory
from exporter.delivery import dead_letters
from exporter.delivery.dead_letters import DeadLetters
from exporter.delivery.telemetry import DeliveryMetrics
from exporter.errors import DestinationUnavailable
from exporter.interfaces import Refusal
from exporter.signals import TRACES
from exporter.transcode.reference import ReferenceTranscoder
from tests.exporter.delivery.fakes import FakeDestination


def spans_batch(*names: str) -> Batch:
    spans = [Span(name=name, start_time_unix_nano=10**18) for name in names]
    request = ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=spans)])])
    return BatchFactory(ReferenceTranscoder()).make(TRACES, request.SerializeToString())


class Setup:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.dead_letters = DeadLetters(DeliveryMetrics(self.registry, ("local",)))
        self.destination = FakeDestination()

    def letters(self) -> dict[str, dict[str, object]]:
        return self.destination.stored.get("dead_letters", {})


def names_in(payload: object) -> list[str]:
    assert isinstance(payload, bytes)
    request = ExportTraceServiceRequest.FromString(payload)
    return [span.name for group in request.resource_spans for scope in group.scope_spans for span in scope.spans]


async def test_keep_refused_records_stores_reason_and_only_their_bytes() -> None:
    setup = Setup()
    batch = spans_batch("a", "b", "c", "d")
    refusals = [Refusal(3, 121, "validation"), Refusal(1, 0, "too large")]

    warning = await setup.dead_letters.keep(setup.destination, batch, refusals)

    found = {str(key): letter for key, letter in setup.letters().items()}
    second, fourth = (found[str(uuid.UUID(int=batch.base_id + index))] for index in (1, 3))
    assert len(found) == 2
    assert (second["code"], second["reason"], names_in(second["payload"])) == (0, "too large", ["b"])
    assert (fourth["code"], fourth["reason"], names_in(fourth["payload"])) == (121, "validation", ["d"])
    assert second["signal"] == "traces"
    assert warning == "2 of 4 records kept in dead_letters of local: validation; too large"


async def test_keep_same_refusal_again_makes_no_second_letter() -> None:
    setup = Setup()
    batch = spans_batch("a")

    for _ in range(2):
        await setup.dead_letters.keep(setup.destination, batch, [Refusal(0, 121, "validation")])

    assert len(setup.letters()) == 1


async def test_keep_letter_is_refused_too_raises_unavailable() -> None:
    setup = Setup()
    batch = spans_batch("a")
    setup.destination.refuse = {str(uuid.UUID(int=batch.base_id)): Refusal(0, 121, "validation of the letter")}

    with pytest.raises(DestinationUnavailable, match="validation of the letter"):
        await setup.dead_letters.keep(setup.destination, batch, [Refusal(0, 121, "validation")])


async def test_keep_payload_over_one_document_is_kept_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    setup = Setup()
    monkeypatch.setattr(dead_letters, "_PART_BYTES", 10)
    batch = spans_batch("a" * 25)

    await setup.dead_letters.keep(setup.destination, batch, [Refusal(0, 0, "too large")])

    letters = list(setup.letters().values())
    main = letters[-1]
    assert main["parts"] == len(letters) > 2
    parts = [main["payload"], *(letter["payload"] for letter in letters[:-1])]
    assert names_in(b"".join(part for part in parts if isinstance(part, bytes))) == ["a" * 25]


async def test_keep_whole_batch_does_not_take_the_place_of_its_first_records_letter() -> None:
    setup = Setup()
    batch = spans_batch("a", "b")

    await setup.dead_letters.keep(setup.destination, batch, [Refusal(0, 121, "validation")])
    await setup.dead_letters.keep_whole(setup.destination, batch, "no transcoder takes it")

    whole = list(setup.letters().values())[-1]
    assert len(setup.letters()) == 2
    assert (whole["records"], whole["payload"]) == (2, batch.payload)
    count = setup.registry.get_sample_value(
        "otlp_mongo_exporter_dead_letters_total", {"destination": "local", "signal": "traces"}
    )
    assert count == 3
