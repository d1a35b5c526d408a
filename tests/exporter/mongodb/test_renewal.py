from __future__ import annotations

import asyncio
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pymongo.asynchronous.database import AsyncDatabase

from exporter.errors import DestinationMisconfigured, DestinationUnavailable
from exporter.mongodb import MongoConfig, MongoDestination
from exporter.mongodb.renewal import Renewal
from exporter.telemetry import ExporterMetrics
from tests.exporter.mongodb.documents import numbered

pytestmark = [
    pytest.mark.usefixtures("short_lived_clients"),
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]
Database = AsyncDatabase[dict[str, Any]]


class Place:
    """Where a connection string comes from, and what is put to use of it."""

    def __init__(self, uri: str) -> None:
        self.uri: str | None = uri
        self.reads = 0
        self.used: list[str] = []
        self.now = 100.0

    def read(self) -> str:
        self.reads += 1
        if self.uri is None:
            raise ValueError("MONGODB_URI_FILE: cannot be read")
        return self.uri

    async def put_to_use(self, uri: str) -> None:
        if "bad" in uri:
            raise DestinationMisconfigured("it is bad")
        self.used.append(uri)

    def renewal(self) -> Renewal:
        return Renewal("local", "old", self.read, self.put_to_use, lambda: self.now)


async def test_refused_with_a_new_uri_puts_it_to_use() -> None:
    place = Place("new")

    assert await place.renewal().refused()
    assert place.used == ["new"]


async def test_refused_with_the_same_uri_changes_nothing() -> None:
    place = Place("old")

    assert not await place.renewal().refused()
    assert place.used == []


@pytest.mark.parametrize("uri", ["bad", None])
async def test_refused_with_a_uri_that_cannot_be_used_keeps_the_old_one(uri: str | None) -> None:
    place = Place("old")
    place.uri = uri

    assert not await place.renewal().refused()
    assert place.used == []


async def test_refused_often_reads_every_few_seconds() -> None:
    place = Place("old")
    renewal = place.renewal()

    for _ in range(100):
        assert not await renewal.refused()
    place.now += 6
    place.uri = "new"
    assert await renewal.refused()

    assert place.reads == 2


async def test_refused_many_at_once_renews_once_for_all() -> None:
    place = Place("new")
    renewal = place.renewal()

    assert all(await asyncio.gather(*(renewal.refused() for _ in range(20))))
    assert place.used == ["new"]


async def test_refused_without_a_place_to_read_from_changes_nothing() -> None:
    renewal = Renewal("local", "old", None, Place("new").put_to_use)

    assert not await renewal.refused()


async def test_now_with_the_same_uri_connects_anew() -> None:
    place = Place("old")

    await place.renewal().now()

    assert place.used == ["old"]


@pytest.mark.integration
async def test_reload_while_inserting_fails_no_insert_and_closes_the_old_client(
    config: MongoConfig, database: Database
) -> None:
    destination = MongoDestination(config, ExporterMetrics(CollectorRegistry()), read_uri=lambda: config.uri)
    await destination.connect()
    first = destination.database.client
    stored, ended = 0, False

    async def insert() -> None:
        nonlocal stored
        while not ended:
            stored += (await destination.insert("spans", numbered([stored]))).inserted

    inserting = asyncio.create_task(insert())
    for _ in range(5):
        await destination.reload()
    ended = True
    await inserting

    assert destination.database.client is not first
    assert destination.health().up
    assert await database.spans.count_documents({}) == stored > 0
    await destination.stop()
    with pytest.raises(Exception, match="after close"):
        await first.admin.command("ping")


@pytest.mark.integration
@pytest.mark.parametrize("uri", ["mongodb://a:b@c@d/", "mongodb://127.0.0.1:1/", "mongodb://h/?tlsCAFile=/nowhere"])
async def test_reload_with_a_uri_that_cannot_be_used_keeps_the_old_one(
    config: MongoConfig, database: Database, uri: str
) -> None:
    destination = MongoDestination(config, ExporterMetrics(CollectorRegistry()), read_uri=lambda: uri)
    await destination.connect()
    await destination.ping()

    with pytest.raises(DestinationUnavailable):
        await destination.reload()

    assert (await destination.insert("spans", numbered([1]))).inserted == 1
    await destination.stop()


@pytest.mark.integration
async def test_reload_of_a_destination_that_is_away_takes_the_new_uri(config: MongoConfig, database: Database) -> None:
    away = MongoConfig("local", "mongodb://127.0.0.1:1/", config.database)
    destination = MongoDestination(away, ExporterMetrics(CollectorRegistry()), read_uri=lambda: config.uri)
    await destination.connect()

    await destination.reload()

    assert (await destination.insert("spans", numbered([1]))).inserted == 1
    await destination.stop()
