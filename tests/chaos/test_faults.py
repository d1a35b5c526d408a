"""One fault at a time, each with the outcome that docs/delivery.md promises."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import AutoReconnect

from exporter.signals import TRACES
from tests.chaos.proxy import Proxy
from tests.chaos.senders import Client, Ledger, client, send_until_acknowledged
from tests.chaos.verdict import judge, settled
from tests.chaos.world import Mongo, World, world

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]

_SETTINGS = {"OTLP_MONGO_INSERT_TIMEOUT": "2s", "OTLP_MONGO_CLOUD_INSERT_TIMEOUT": "500ms"}
_NUMBERS = itertools.count()


class Setup:
    """A world with a client of its sidecar and a ledger of all that was acknowledged in it."""

    def __init__(self, processes: World, sender: Client) -> None:
        self.world = processes
        self.sender = sender
        self.ledger = Ledger()

    async def send(self, count: int = 10) -> range:
        """Some spans, until they are acknowledged. Returns their numbers."""
        first = next(_NUMBERS) * 1000
        numbers = range(first, first + count)
        await send_until_acknowledged(self.sender.over_grpc, TRACES, numbers, self.ledger, random.Random(first))
        return numbers

    async def check_all_stored_once(self) -> None:
        await settled(self.world)
        verdict = await judge(self.world, self.ledger)
        assert verdict.good, list(verdict.lines())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def setup(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Setup]:
    folder = tmp_path_factory.mktemp("faults")
    async with (
        world(folder, cloud_arguments=("--maxConns", "30"), **_SETTINGS) as processes,
        client(processes.sidecar.grpc, processes.sidecar.http) as sender,
    ):
        yield Setup(processes, sender)


@asynccontextmanager
async def database(mongo: Mongo) -> AsyncIterator[AsyncDatabase[dict[str, Any]]]:
    async with AsyncMongoClient[dict[str, Any]](mongo.mongod.uri) as connected:
        yield connected.otel


async def metric(setup: Setup, line: str) -> float:
    _, text = await setup.world.sidecar.get("/metrics")
    return sum(float(found.rpartition(" ")[2]) for found in text.splitlines() if found.startswith(line))


async def test_answer_lost_on_its_way_to_the_caller_its_retry_stores_no_copy(setup: Setup) -> None:
    link = Proxy(int(setup.world.sidecar.http.rpartition(":")[2]))
    await link.start()
    duplicates = "otlp_mongo_exporter_duplicate_documents_total"
    before = await metric(setup, duplicates)

    async with client(setup.world.sidecar.grpc, f"127.0.0.1:{link.port}") as sender:
        link.lose_answer()
        first = next(_NUMBERS) * 1000
        numbers = range(first, first + 10)
        await send_until_acknowledged(sender.over_http, TRACES, numbers, setup.ledger, random.Random(1))
    await link.stop()

    await setup.check_all_stored_once()
    assert await metric(setup, duplicates) == before + 2 * len(numbers)


async def test_answer_of_mongodb_lost_stores_no_copy(setup: Setup) -> None:
    await setup.send()

    setup.world.local.link.lose_answer()
    await setup.send()

    await setup.check_all_stored_once()


async def test_cloud_that_says_nothing_does_not_keep_the_local_store_from_acknowledging(setup: Setup) -> None:
    async with setup.world.cloud.link.silenced():
        numbers = await setup.send()
        async with database(setup.world.local) as local:
            stored = await local.spans.count_documents({"attributes.number": {"$in": list(numbers)}})

    assert stored == len(numbers)
    await setup.check_all_stored_once()


async def test_cloud_cut_off_for_a_while_gets_everything_afterwards(setup: Setup) -> None:
    async with setup.world.cloud.link.cut():
        for _ in range(5):
            await setup.send(50)
        backlog = await metric(setup, 'otlp_mongo_exporter_backlog_records{destination="cloud"}')

    assert backlog >= 200
    await setup.check_all_stored_once()


async def test_sidecar_stopped_with_a_backlog_brings_it_over_after_the_next_start(setup: Setup) -> None:
    async with setup.world.local.link.cut():
        await setup.send(100)
        assert await setup.world.sidecar.stop() == 0
    await setup.world.sidecar.start()

    await setup.check_all_stored_once()


async def test_primary_that_steps_down_loses_nothing(setup: Setup) -> None:
    async with AsyncMongoClient[dict[str, Any]](setup.world.local.mongod.uri) as connected:
        with contextlib.suppress(AutoReconnect):  # it may close connections as it steps down
            await connected.admin.command({"replSetStepDown": 2, "secondaryCatchUpPeriodSecs": 0, "force": True})
        await setup.send()

    await setup.check_all_stored_once()


@pytest.mark.parametrize(
    "failure",
    [
        {"errorCode": 10107},  # NotWritablePrimary
        {"errorCode": 371},  # UserWritesBlocked
        {"errorCode": 14031},  # OutOfDiskSpace
        {"errorCode": 13},  # Unauthorized
        {"closeConnection": True},
        {"writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"}},
    ],
    ids=lambda failure: str(next(iter(failure.values()))),
)
async def test_mongodb_that_refuses_writes_gets_them_once_it_takes_them(setup: Setup, failure: dict[str, Any]) -> None:
    async with AsyncMongoClient[dict[str, Any]](setup.world.local.mongod.uri) as connected:
        fail_point = {"configureFailPoint": "failCommand", "data": {"failCommands": ["insert"], **failure}}
        await connected.admin.command({**fail_point, "mode": {"times": 4}})
        await setup.send()
        await setup.check_all_stored_once()
        await connected.admin.command({"configureFailPoint": "failCommand", "mode": "off"})


async def test_mongodb_out_of_connections_gets_everything_once_it_has_some(setup: Setup) -> None:
    port = int(setup.world.cloud.mongod.uri.rpartition(":")[2].partition("/")[0])
    setup.world.cloud.link.reset()
    taken = [socket.create_connection(("127.0.0.1", port)) for _ in range(40)]

    setup.world.cloud.link.reset()
    await setup.send()
    for connection in taken:
        connection.close()

    await setup.check_all_stored_once()


async def test_validator_of_the_user_makes_dead_letters_and_a_warning(setup: Setup) -> None:
    refused = next(_NUMBERS) * 1000
    async with database(setup.world.local) as local:
        await local.command({"collMod": "spans", "validator": {"attributes.number": {"$ne": refused}}})

        await send_until_acknowledged(
            setup.sender.over_grpc, TRACES, range(refused, refused + 3), Ledger(), random.Random(1)
        )
        answer = ExportTraceServiceResponse.FromString(setup.sender.last_answer)
        letters = await local.dead_letters.find().to_list()
        stored = await local.spans.count_documents({"attributes.number": {"$in": [refused + 1, refused + 2]}})
        await local.command({"collMod": "spans", "validator": {}})
        await local.dead_letters.drop()

    assert answer.partial_success.rejected_spans == 0
    assert "1 of 3 records kept in dead_letters of local" in answer.partial_success.error_message
    assert [(letter["code"], letter["signal"]) for letter in letters] == [(121, "traces")]
    assert stored == 2


async def test_unique_index_of_the_user_makes_dead_letters_and_keeps_the_first(setup: Setup) -> None:
    first = next(_NUMBERS) * 1000
    async with database(setup.world.local) as local:
        await local.spans.create_index("attributes.number", unique=True, name="theirs")

        for _ in range(2):  # other times, so other bytes and other ids
            await send_until_acknowledged(
                setup.sender.over_grpc, TRACES, range(first, first + 2), Ledger(), random.Random(1)
            )
        letters = await local.dead_letters.find().to_list()
        stored = await local.spans.count_documents({"attributes.number": {"$in": [first, first + 1]}})
        await local.spans.drop_index("theirs")
        await local.dead_letters.drop()
        await local.spans.delete_many({"attributes.number": {"$in": [first, first + 1]}})
    async with database(setup.world.cloud) as cloud:
        await cloud.spans.delete_many({"attributes.number": {"$in": [first, first + 1]}})

    assert stored == 2
    assert [letter["code"] for letter in letters] == [11000, 11000]


async def test_cloud_that_rejects_credentials_is_loud_and_keeps_the_local_store_going(tmp_path: Path) -> None:
    async with (
        world(tmp_path, cloud_user="app:wr0ng", **_SETTINGS) as processes,
        client(processes.sidecar.grpc, processes.sidecar.http) as sender,
    ):
        setup = Setup(processes, sender)
        numbers = await setup.send()
        async with database(processes.local) as local:
            stored = await local.spans.count_documents({"attributes.number": {"$in": list(numbers)}})
        status, text = await processes.sidecar.get("/readyz")
        failed = await metric(setup, 'otlp_mongo_exporter_destination_open{destination="cloud"}')
    log = await asyncio.to_thread(processes.sidecar.log.read_text)

    assert stored == len(numbers)
    assert status == 200
    assert "Authentication failed" in json.loads(text)["parts"]["cloud MongoDB"]["state"]
    assert failed == 1
    errors = [line for line in map(json.loads, log.splitlines()) if line["level"] == "error"]
    assert any(line["destination"] == "cloud" and "Authentication failed" in line["reason"] for line in errors)
    assert "wr0ng" not in log + text
