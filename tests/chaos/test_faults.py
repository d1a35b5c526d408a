"""One fault at a time, each with the outcome that docs/delivery.md promises."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from pymongo import AsyncMongoClient
from pymongo.errors import AutoReconnect

from exporter.signals import TRACES
from tests.chaos.senders import Ledger, client, send_until_acknowledged
from tests.chaos.setup import SETTINGS, Setup, database, metric, new_numbers, until_stored
from tests.chaos.world import Mongo, SidecarProcess

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]

_DUPLICATES = "otlp_mongo_exporter_duplicate_documents_total"


@pytest.mark.parametrize("transport", ["grpc", "http"])
async def test_answer_lost_on_its_way_to_the_caller_its_retry_stores_no_copy(setup: Setup, transport: str) -> None:
    processes, numbers = setup.world, new_numbers(10)
    link = processes.grpc_link if transport == "grpc" else processes.http_link

    async with client(processes.grpc, processes.http) as sender, asyncio.TaskGroup() as tasks:
        send = sender.over_grpc if transport == "grpc" else sender.over_http
        await setup.warm_up()
        # A client of gRPC sends nothing before its connection was answered.
        await setup.send_these(send, new_numbers(1))
        before = await metric(setup, _DUPLICATES)
        async with link.unanswered():
            tasks.create_task(setup.send_these(send, numbers))
            await until_stored(processes.local, numbers)
            await until_stored(processes.cloud, numbers)

    await setup.check_all_stored_once()
    assert await metric(setup, _DUPLICATES) == before + 2 * len(numbers)


@pytest.mark.parametrize("which", ["local", "cloud"])
async def test_answer_of_mongodb_lost_stores_no_copy(setup: Setup, which: str) -> None:
    mongo, numbers = getattr(setup.world, which), new_numbers(10)
    await setup.warm_up()
    before = await metric(setup, _DUPLICATES)

    async with asyncio.TaskGroup() as tasks, mongo.link.unanswered():
        tasks.create_task(setup.send_these(setup.sender.over_grpc, numbers))
        await until_stored(mongo, numbers)

    await setup.check_all_stored_once()
    assert await metric(setup, _DUPLICATES) == before + len(numbers)


async def test_cloud_that_says_nothing_does_not_keep_the_local_store_from_acknowledging(setup: Setup) -> None:
    async with setup.world.cloud.link.silenced():
        numbers = await setup.send()
        async with database(setup.world.local) as local:
            stored = await local.spans.count_documents({"attributes.number": {"$in": list(numbers)}})

    assert stored == len(numbers)
    await setup.check_all_stored_once()


async def test_slow_cloud_holds_up_answers_no_longer_than_its_timeout(setup: Setup) -> None:
    loop = asyncio.get_running_loop()

    async with setup.world.cloud.link.delayed(3.0):
        started = loop.time()
        await setup.send()
        took = loop.time() - started

    assert took < 2.0  # OTLP_MONGO_CLOUD_INSERT_TIMEOUT, and a wide margin for a busy machine
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
        await connected.admin.command({**fail_point, "mode": {"times": 2}})
        await setup.send()
        await setup.check_all_stored_once()
        await connected.admin.command({"configureFailPoint": "failCommand", "mode": "off"})


@asynccontextmanager
async def all_connections_taken(mongo: Mongo) -> AsyncIterator[None]:
    """No connection left for others, whose connections were broken before."""
    port = int(mongo.mongod.uri.rpartition(":")[2].partition("/")[0])
    taken: list[asyncio.StreamWriter] = []

    async def is_refused() -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        taken.append(writer)
        try:
            return await asyncio.wait_for(reader.read(1), 0.5) == b""
        except TimeoutError:
            return False

    try:
        while not all(await asyncio.gather(*(is_refused() for _ in range(10)))):
            pass
        yield
    finally:
        for writer in taken:
            writer.close()


async def test_mongodb_out_of_connections_gets_everything_once_it_has_some(setup: Setup) -> None:
    cloud = setup.world.cloud

    async with AsyncExitStack() as stack:
        async with cloud.link.cut():
            await stack.enter_async_context(all_connections_taken(cloud))
        await setup.send()
        backlog = await metric(setup, 'otlp_mongo_exporter_backlog_records{destination="cloud"}')

    assert backlog == 10
    await setup.check_all_stored_once()


async def test_validator_of_the_user_makes_dead_letters_and_a_warning(setup: Setup) -> None:
    refused = new_numbers(1).start
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
    first = new_numbers(1).start
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


@pytest.mark.parametrize(
    ("cloud_uri", "reason"),
    [
        ("mongodb://app:wr0ng@{cloud}/?directConnection=true", "Authentication failed"),
        ("mongodb://app:wr0ng@mongodb.invalid/?serverSelectionTimeoutMS=1000", "mongodb.invalid"),
    ],
    ids=["wrong password", "wrong host"],
)
async def test_cloud_that_cannot_be_used_is_loud_and_keeps_the_local_store_going(
    setup: Setup, tmp_path: Path, cloud_uri: str, reason: str
) -> None:
    uri = cloud_uri.format(cloud=f"127.0.0.1:{setup.world.cloud.link.port}")
    settings = {"MONGODB_URI": setup.world.local.uri, "MONGODB_DATABASE": "otel_alone", "MONGODB_CLOUD_URI": uri}
    sidecar, numbers = SidecarProcess(tmp_path, {**settings, **SETTINGS}), new_numbers(10)
    await sidecar.start()
    try:
        async with client(sidecar.grpc, sidecar.http) as sender:
            await send_until_acknowledged(sender.over_grpc, TRACES, numbers, Ledger(), random.Random(1))
        await until_stored(setup.world.local, numbers, "otel_alone")
        async with asyncio.timeout(10):
            while reason not in (readiness := await sidecar.get("/readyz"))[1]:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)
        _, metrics = await sidecar.get("/metrics")
        exit_code = await sidecar.stop()
    finally:
        await sidecar.end()
    log = await asyncio.to_thread(sidecar.log.read_text)

    assert readiness[0] == 200
    assert reason in json.loads(readiness[1])["parts"]["cloud MongoDB"]["state"]
    assert 'otlp_mongo_exporter_destination_open{destination="cloud"} 1.0' in metrics
    assert 'otlp_mongo_exporter_destination_open{destination="local"} 1.0' not in metrics
    lines = [line for line in map(json.loads, log.splitlines()) if line.get("destination") == "cloud"]
    assert any(line["level"] == "error" for line in lines)
    assert any(reason in line.get("reason", "") for line in lines)
    assert "wr0ng" not in log + readiness[1]
    assert exit_code == 0
