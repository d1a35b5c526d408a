"""What docs/delivery.md promises, with the MongoDBs of some years ago."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from exporter.signals import LOGS, METRICS, SIGNALS, TRACES, Signal
from tests.chaos.senders import Client, Ledger, Send, client, request, send_until_acknowledged
from tests.chaos.world import SidecarProcess

pytestmark = [pytest.mark.integration, pytest.mark.versions, pytest.mark.timeout(120)]

Database = AsyncDatabase[dict[str, Any]]
_SECONDS = 30.0


@pytest.fixture
async def database(uri: str, database_name: str) -> AsyncIterator[Database]:
    async with AsyncMongoClient[dict[str, Any]](uri) as connected:
        yield connected[database_name]
        await connected.drop_database(database_name)


@pytest.fixture
def sidecar(tmp_path: Path, uri: str, database_name: str) -> Callable[..., SidecarProcess]:
    """A sidecar that is not started, with further settings."""

    def make(**settings: str) -> SidecarProcess:
        return SidecarProcess(tmp_path, {"MONGODB_URI": uri, "MONGODB_DATABASE": database_name, **settings})

    return make


@asynccontextmanager
async def serving(sidecar: SidecarProcess) -> AsyncIterator[Client]:
    """A running sidecar's client."""
    await sidecar.start()
    try:
        async with client(sidecar.grpc, sidecar.http) as connected:
            yield connected
        assert await sidecar.stop() == 0
    finally:
        await sidecar.end()


async def until_acknowledged(transport: Send, signal: Signal, payload: bytes) -> None:
    async with asyncio.timeout(_SECONDS):
        while (await transport(signal, payload)).status != "OK":  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.1)


async def send(sender: Client, signal: Signal, numbers: range) -> None:
    await send_until_acknowledged(sender.over_grpc, signal, numbers, Ledger(), random.Random(1))


async def until_count(database: Database, collection: str, expected: int) -> None:
    async with asyncio.timeout(_SECONDS):
        while await database[collection].count_documents({}) != expected:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)


async def collections(database: Database) -> dict[str, dict[str, Any]]:
    return {details["name"]: dict(details) async for details in await database.list_collections()}


async def test_init_makes_compressed_collections_with_indexes_and_ttl_and_can_be_repeated(
    sidecar: Callable[..., SidecarProcess], database: Database
) -> None:
    process = sidecar(OTLP_MONGO_RETENTION_SPANS="30d", OTLP_MONGO_RETENTION_LOGS="1d")

    first, second = await process.command("init"), await process.command("init")
    found = await collections(database)
    indexes = {name: await database[name].index_information() for name in ("spans", "logs", "metrics")}

    assert (first[0], second[0]) == (0, 0), first[1] + second[1]
    assert "created" in first[1]
    assert "created" not in second[1]
    for name in indexes:
        assert "block_compressor=zstd" in found[name]["options"]["storageEngine"]["wiredTiger"]["configString"]
        assert len(indexes[name]) >= 2
    seconds = {name: of.get("otlp_mongo_ttl", {}).get("expireAfterSeconds") for name, of in indexes.items()}
    assert seconds == {"spans": 30 * 86_400, "logs": 86_400, "metrics": None}


async def test_server_that_refuses_zstd_gets_collections_with_its_own_compression(
    sidecar: Callable[..., SidecarProcess], database: Database
) -> None:
    refusal = {"failCommands": ["create"], "errorCode": 2}
    await database.client.admin.command({"configureFailPoint": "failCommand", "mode": {"times": 1}, "data": refusal})

    code, output = await sidecar().command("init")
    found = await collections(database)

    assert code == 0, output
    assert {"spans", "logs", "metrics"} <= found.keys()
    assert sum("storageEngine" not in found[name]["options"] for name in ("spans", "logs", "metrics")) == 1


async def test_serve_stores_every_signal_once_however_often_it_is_sent(
    sidecar: Callable[..., SidecarProcess], database: Database
) -> None:
    process = sidecar()
    async with serving(process) as sender:
        for signal in SIGNALS.values():
            payload = request(signal, range(50))
            for transport in (sender.over_grpc, sender.over_http, sender.over_grpc):
                await until_acknowledged(transport, signal, payload)
            await until_count(database, signal.collection, 50)
        _, metrics = await process.get("/metrics")
        counts = {
            signal.collection: await database[signal.collection].count_documents({}) for signal in SIGNALS.values()
        }

    assert counts == {"spans": 50, "logs": 50, "metrics": 50}
    duplicates = [
        line for line in metrics.splitlines() if line.startswith("otlp_mongo_exporter_duplicate_documents_total")
    ]
    assert sum(float(line.rpartition(" ")[2]) for line in duplicates) == 300


async def test_records_older_than_the_retention_expire(
    sidecar: Callable[..., SidecarProcess], database: Database
) -> None:
    old = ExportLogsServiceRequest.FromString(request(LOGS, range(5)))
    for record in old.resource_logs[0].scope_logs[0].log_records:
        record.time_unix_nano -= 3600 * 10**9

    async with serving(sidecar(OTLP_MONGO_RETENTION_LOGS="1m", OTLP_MONGO_RETENTION_SPANS="1m")) as sender:
        await until_acknowledged(sender.over_grpc, LOGS, old.SerializeToString())
        await send(sender, TRACES, range(5))
        await until_count(database, "logs", 0)

    assert await database.spans.count_documents({}) == 5


async def test_validator_and_unique_index_of_the_user_make_dead_letters_and_the_rest_is_stored(
    sidecar: Callable[..., SidecarProcess], database: Database
) -> None:
    process = sidecar()
    await process.command("init")
    await database.command({"collMod": "spans", "validator": {"attributes.number": {"$ne": 1}}})
    await database.logs.create_index("attributes.number", unique=True, name="theirs")

    async with serving(process) as sender:
        await send(sender, TRACES, range(3))
        for _ in range(2):  # another time each, and so another record
            await send(sender, LOGS, range(2))
    letters = await database.dead_letters.find().to_list()
    listed = await process.command("dead-letters", "list")

    assert sorted((letter["signal"], letter["code"]) for letter in letters) == [
        *[("logs", 11000)] * 2,
        ("traces", 121),
    ]
    assert await database.spans.count_documents({}) == 2
    assert await database.logs.count_documents({}) == 2
    assert listed[0] == 0, listed[1]


async def test_metrics_as_time_series_are_stored_whether_or_not_there_are_any(
    sidecar: Callable[..., SidecarProcess], database: Database, version: str
) -> None:
    process = sidecar(OTLP_MONGO_METRICS_TIMESERIES="true", OTLP_MONGO_RETENTION_METRICS="1d")

    _, said = await process.command("init")
    async with serving(process) as sender:
        for signal in (TRACES, METRICS, LOGS):
            await send(sender, signal, range(10))
    found = await collections(database)
    counts = {signal.collection: await database[signal.collection].count_documents({}) for signal in SIGNALS.values()}

    assert counts == {"spans": 10, "logs": 10, "metrics": 10}
    if version.startswith("4."):
        assert "'metrics' is a regular collection, though a time-series one is set" in said
        assert found["metrics"]["type"] == "collection"
        assert found["spans"]["options"]["storageEngine"]
        assert len(await database.logs.index_information()) >= 2
    else:
        assert found["metrics"]["type"] == "timeseries"
        assert found["metrics"]["options"]["expireAfterSeconds"] == 86_400
