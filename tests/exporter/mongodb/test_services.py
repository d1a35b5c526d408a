"""Inserts into services that are compatible with MongoDB, but not in all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from exporter.errors import DestinationUnavailable
from exporter.interfaces import InsertResult
from exporter.mongodb import MongoConfig, MongoDestination
from exporter.signals import DEAD_LETTERS
from exporter.telemetry import ExporterMetrics
from tests.exporter.mongodb.documents import documents, numbered
from tests.services import COSMOS_DB, DOCUMENT_DB, FERRET_DB, PERSONALITIES, Personality, StubServer, serving
from tests.services.personalities import Error

_STOPS = replace(DOCUMENT_DB, name="stops at the first error", stops_at_first_error=True)
_ALL = [*PERSONALITIES, _STOPS]


@pytest.fixture(params=_ALL, ids=lambda personality: personality.name)
def personality(request: pytest.FixtureRequest) -> Personality:
    found: Personality = request.param
    return found


@pytest.fixture
def service(personality: Personality) -> Iterator[StubServer]:
    with serving(personality) as server:
        yield server


@pytest.fixture
async def destination(service: StubServer) -> AsyncIterator[MongoDestination]:
    destination = MongoDestination(MongoConfig("local", service.uri, "otel"), ExporterMetrics(CollectorRegistry()))
    await destination.connect()
    yield destination
    await destination.stop()


async def test_insert_again_counts_duplicates_and_refuses_nothing(
    destination: MongoDestination, service: StubServer
) -> None:
    first = await destination.insert("spans", numbered(range(50)))

    again = await destination.insert("spans", numbered(range(50)))

    assert (first, again) == (InsertResult(50, 0), InsertResult(0, 50))
    assert len(service.documents("otel", "spans")) == 50


async def test_insert_half_stored_batch_stores_the_other_half(
    destination: MongoDestination, service: StubServer
) -> None:
    await destination.insert("spans", numbered([0, *range(10, 400), 500]))
    before = service.commands["insert"]

    result = await destination.insert("spans", numbered(range(600)))

    assert result == InsertResult(208, 392)
    assert len(service.documents("otel", "spans")) == 600
    assert service.commands["insert"] - before < 6


async def test_insert_against_users_unique_index_refuses_only_what_it_refuses(
    destination: MongoDestination, service: StubServer
) -> None:
    await destination.database.spans.create_index("name", unique=True)
    batch = documents(*({"_id": number, "name": name} for number, name in enumerate("abcadefb")))

    first = await destination.insert("spans", batch)
    again = await destination.insert("spans", batch)

    refused = [(3, 11000), (7, 11000)]
    # A service whose whole command fails does not say what it has inserted until then.
    assert first.inserted + first.duplicates == 6
    assert (again.inserted, again.duplicates) == (0, 6)
    assert [(refusal.index, refusal.code) for refusal in first.refusals] == refused
    assert [(refusal.index, refusal.code) for refusal in again.refusals] == refused


async def test_insert_dead_letter_again_means_it_is_kept(destination: MongoDestination, service: StubServer) -> None:
    letters = documents({"_id": {"letter": 1, "part": 1}}, {"_id": 1}, {"_id": 2})
    await destination.insert(DEAD_LETTERS, letters)
    before = service.commands["find"]

    again = await destination.insert(DEAD_LETTERS, letters)

    assert again == InsertResult(0, 3)
    assert service.commands["find"] == before


async def test_insert_throttled_stores_everything_in_the_end() -> None:
    with serving(replace(COSMOS_DB, documents_a_second=2000)) as service:
        destination = MongoDestination(MongoConfig("local", service.uri, "otel"), ExporterMetrics(CollectorRegistry()))
        await destination.connect()
        result, tries = None, 0
        while result is None and (tries := tries + 1) < 1000:
            with suppress(DestinationUnavailable):
                result = await destination.insert("spans", numbered(range(4000)))
        await destination.stop()

        assert result
        assert result.refusals == ()
        assert len(service.documents("otel", "spans")) == 4000


@pytest.mark.parametrize("option", ["maxTimeMS", "writeConcern", "ordered"])
async def test_insert_option_that_the_service_does_not_know_is_left_out_from_then_on(option: str) -> None:
    unknown = {f"insert.{option}": Error(40415, f"BSON field 'insert.{option}' is an unknown field.")}
    with serving(replace(FERRET_DB, no_options=unknown)) as service, capture_logs() as logs:
        destination = MongoDestination(MongoConfig("local", service.uri, "otel"), ExporterMetrics(CollectorRegistry()))
        await destination.connect()
        results = [await destination.insert("spans", numbered([0, number, 7])) for number in (1, 2)]
        await destination.stop()

        assert results == [InsertResult(3, 0), InsertResult(1, 2)]
        assert service.commands["insert"] == 3 + (option == "ordered")
        assert [line["option"] for line in logs if "option" in line] == [option]
