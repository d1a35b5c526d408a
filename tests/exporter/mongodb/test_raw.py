"""What the insert path relies on in PyMongo beyond its documentation. These tests are to fail when that changes."""

from __future__ import annotations

from typing import Any

import pytest
from bson.errors import InvalidBSON
from prometheus_client import CollectorRegistry
from pymongo.asynchronous.database import AsyncDatabase
from structlog.testing import capture_logs

from exporter.errors import DestinationUnavailable
from exporter.mongodb import MongoConfig, MongoDestination, inserter
from exporter.mongodb.chunks import Chunk, Run
from exporter.mongodb.raw import Pack, RawSequence, choose_pack, pack_documents, pack_runs
from exporter.telemetry import ExporterMetrics
from tests.exporter.mongodb.documents import documents, numbered

Database = AsyncDatabase[dict[str, Any]]


def test_choose_pack_this_pymongo_takes_sequences() -> None:
    with capture_logs() as logs:
        pack = choose_pack()

    assert pack is pack_runs
    assert logs == []


def test_choose_pack_pymongo_that_looks_at_raw_documents_goes_by_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    def encode(document: Any) -> bytes:
        raise InvalidBSON("invalid object length")

    monkeypatch.setattr("bson.encode", encode)

    with capture_logs() as logs:
        pack = choose_pack()

    assert pack is pack_documents
    assert [(entry["log_level"], entry["reason"]) for entry in logs] == [("warning", "invalid object length")]


def test_choose_pack_pymongo_that_changes_the_bytes_goes_by_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bson.encode", lambda document: bytes(document.raw[:5]))

    pack = choose_pack()

    assert pack is pack_documents


def test_pack_a_run_is_one_object_without_a_copy() -> None:
    whole = numbered(range(500))

    (packed,) = pack_runs(Chunk(0, [Run(whole, 0, 500)]))

    assert packed.raw is whole.buffer


@pytest.mark.integration
async def test_insert_command_a_sequence_stores_each_of_its_documents(database: Database) -> None:
    batches = [RawSequence(numbered(range(first, first + 3)).buffer) for first in (0, 3)]

    reply = await database.command({"insert": "spans", "documents": batches, "ordered": False})

    assert reply["n"] == 6
    assert [found["_id"] async for found in database.spans.find(sort=[("_id", 1)])] == list(range(6))


@pytest.mark.integration
@pytest.mark.parametrize("pack", [pack_runs, pack_documents])
async def test_insert_either_way_of_packing_gives_the_same_result(
    config: MongoConfig, database: Database, monkeypatch: pytest.MonkeyPatch, pack: Pack
) -> None:
    destination = await _destination(config, monkeypatch, pack)
    await database.spans.insert_one({"_id": 1})
    damaged = bytearray(numbered([2]).buffer)
    damaged[4] = 0x55  # no type of BSON

    result = await destination.insert("spans", documents({"_id": 0}, {"_id": 1}, bytes(damaged), {"_id": 3}))
    await destination.stop()

    assert (result.inserted, result.duplicates, [refusal.index for refusal in result.refusals]) == (2, 1, [2])
    assert [found["_id"] async for found in database.spans.find(sort=[("_id", 1)])] == [0, 1, 3]


@pytest.mark.integration
async def test_insert_mongodb_counts_fewer_documents_is_unavailable(
    config: MongoConfig, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    destination = await _destination(config, monkeypatch, lambda chunk: pack_documents(chunk)[:-1])

    with pytest.raises(DestinationUnavailable, match="of 3 documents, MongoDB says to have inserted 2 and refused 0"):
        await destination.insert("spans", numbered(range(3)))

    await destination.stop()


async def _destination(config: MongoConfig, monkeypatch: pytest.MonkeyPatch, pack: Pack) -> MongoDestination:
    monkeypatch.setattr(inserter, "choose_pack", lambda: pack)
    destination = MongoDestination(config, ExporterMetrics(CollectorRegistry()))
    await destination.connect()
    return destination
