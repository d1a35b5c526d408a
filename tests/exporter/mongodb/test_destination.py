from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pymongo.asynchronous.database import AsyncDatabase
from structlog.testing import capture_logs

from exporter.errors import DestinationMisconfigured, DestinationUnavailable
from exporter.interfaces import InsertResult
from exporter.mongodb import Health, MongoConfig, MongoDestination
from exporter.telemetry import ExporterMetrics
from tests.exporter.mongodb.conftest import FailPoint
from tests.exporter.mongodb.documents import documents, nested, numbered, of_size

Database = AsyncDatabase[dict[str, Any]]


@pytest.mark.integration
async def test_insert_new_documents_stores_them_as_they_are(destination: MongoDestination, database: Database) -> None:
    result = await destination.insert("spans", documents({"_id": 1, "b": 1, "a": {"x": [1.5]}}))

    stored = await database.spans.find().to_list()
    assert result == InsertResult(1, 0)
    assert [list(document.items()) for document in stored] == [[("_id", 1), ("b", 1), ("a", {"x": [1.5]})]]


@pytest.mark.integration
async def test_insert_same_documents_again_counts_duplicates(
    destination: MongoDestination, database: Database, registry: CollectorRegistry
) -> None:
    await destination.insert("spans", numbered(range(4500)))  # in pieces of 1,000, 2,000 and the rest

    result = await destination.insert("spans", numbered(range(4400, 4600)))

    assert result == InsertResult(100, 100)
    assert await database.spans.count_documents({}) == 4600
    labels = {"destination": "local", "collection": "spans"}
    assert registry.get_sample_value("otlp_mongo_exporter_stored_documents_total", labels) == 4600
    assert registry.get_sample_value("otlp_mongo_exporter_duplicate_documents_total", labels) == 100
    assert registry.get_sample_value("otlp_mongo_exporter_insert_documents_count", labels) == 4


@pytest.mark.integration
async def test_insert_thousands_of_long_duplicates_are_all_recognised(destination: MongoDestination) -> None:
    # Beyond 1 MiB of errors the server leaves their messages out.
    batch = documents(*({"_id": f"{number:01000}"} for number in range(4000)))
    await destination.insert("spans", batch)

    result = await destination.insert("spans", batch)

    assert result == InsertResult(0, 4000)


@pytest.mark.integration
async def test_insert_same_documents_at_once_all_callers_succeed(destination: MongoDestination) -> None:
    results = await asyncio.gather(*(destination.insert("spans", numbered(range(100))) for _ in range(20)))

    assert sum(result.inserted for result in results) == 100
    assert all(result.inserted + result.duplicates == 100 for result in results)


@pytest.mark.integration
async def test_insert_many_small_calls_become_few_inserts(
    destination: MongoDestination, registry: CollectorRegistry
) -> None:
    results = await asyncio.gather(*(destination.insert("spans", numbered([number])) for number in range(500)))

    labels = {"destination": "local", "collection": "spans"}
    assert results == [InsertResult(1, 0)] * 500
    assert registry.get_sample_value("otlp_mongo_exporter_insert_documents_count", labels) == 2
    assert registry.get_sample_value("otlp_mongo_exporter_insert_documents_sum", labels) == 500


@pytest.mark.integration
async def test_insert_into_users_unique_index_is_refused(destination: MongoDestination, database: Database) -> None:
    await database.spans.create_index("name", unique=True)

    result = await destination.insert("spans", numbered([1, 2, 3], name="same"))

    assert (result.inserted, result.duplicates) == (1, 0)
    assert [(refusal.index, refusal.code) for refusal in result.refusals] == [(1, 11000), (2, 11000)]
    assert "name_1" in result.refusals[0].reason


@pytest.mark.integration
async def test_insert_against_a_validator_refuses_only_what_fails(
    destination: MongoDestination, database: Database
) -> None:
    await database.create_collection("spans", validator={"kind": "SERVER"})

    result = await destination.insert(
        "spans", documents({"_id": 1, "kind": "SERVER"}, {"_id": 2}, {"_id": 3, "kind": "SERVER"})
    )

    assert result.inserted == 2
    assert [(refusal.index, refusal.code) for refusal in result.refusals] == [(1, 121)]


@pytest.mark.integration
async def test_insert_too_large_among_good_ones_refuses_only_that(
    destination: MongoDestination, database: Database
) -> None:
    limit = 16 * 1024 * 1024

    result = await destination.insert(
        "spans", documents({"_id": 1}, of_size(2, limit), of_size(3, limit + 1), {"_id": 4})
    )

    assert result.inserted == 3
    assert [refusal.index for refusal in result.refusals] == [2]
    assert await database.spans.distinct("_id") == [1, 2, 4]


@pytest.mark.integration
@pytest.mark.parametrize("depth", [181, 250, 3000])
async def test_insert_too_deep_among_good_ones_refuses_only_that(
    destination: MongoDestination, database: Database, depth: int
) -> None:
    batch = documents(*({"_id": number} for number in range(7)), nested(7, depth), {"_id": 8})

    result = await destination.insert("spans", batch)

    assert result.inserted == 8
    assert [(refusal.index, refusal.code) for refusal in result.refusals] == [(7, 15)]
    assert await database.spans.count_documents({}) == 8


@pytest.mark.integration
async def test_insert_damaged_bson_among_good_ones_refuses_only_that(destination: MongoDestination) -> None:
    damaged = bytearray(of_size(2, 60))
    damaged[4] = 0x55  # no type of BSON
    cut_short = of_size(3, 60)[:-7]

    result = await destination.insert("spans", documents({"_id": 1}, bytes(damaged), cut_short, {"_id": 4}))

    assert result.inserted == 2
    assert [refusal.index for refusal in result.refusals] == [1, 2]


@pytest.mark.integration
async def test_insert_nothing_needs_no_mongodb(destination: MongoDestination, fail_point: FailPoint) -> None:
    async with fail_point(closeConnection=True):
        result = await destination.insert("spans", documents())

    assert result == InsertResult(0, 0)


@pytest.mark.integration
@pytest.mark.parametrize(
    "fault",
    [{"closeConnection": True}, {"errorCode": 10107}, {"errorCode": 262, "errorLabels": ["RetryableWriteError"]}],
    ids=str,
)
async def test_insert_one_passing_fault_is_repeated_at_once(
    destination: MongoDestination, fail_point: FailPoint, fault: dict[str, Any]
) -> None:
    async with fail_point(times=1, **fault):
        result = await destination.insert("spans", numbered([1]))

    assert result == InsertResult(1, 0)


@pytest.mark.integration
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"closeConnection": True}, "network"),
        ({"errorCode": 10107}, "no_primary"),
        ({"errorCode": 14031}, "server"),
        ({"errorCode": 50}, "server"),
        ({"writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"}}, "write_concern"),
        ({"writeConcernError": {"code": 91, "errmsg": "shutting down"}}, "write_concern"),
    ],
    ids=str,
)
async def test_insert_fault_is_unavailable_and_recovers(
    destination: MongoDestination,
    fail_point: FailPoint,
    registry: CollectorRegistry,
    fault: dict[str, Any],
    reason: str,
) -> None:
    async with fail_point(**fault):
        with pytest.raises(DestinationUnavailable) as raised:
            await destination.insert("spans", numbered(range(3)))
    problem = destination.health().problem
    again = await destination.insert("spans", numbered(range(3)))

    assert type(raised.value) is DestinationUnavailable
    assert problem == str(raised.value)
    assert again.inserted + again.duplicates == 3
    assert destination.health().problem == ""
    labels = {"destination": "local", "reason": reason}
    assert registry.get_sample_value("otlp_mongo_exporter_insert_failures_total", labels) == 1


@pytest.mark.integration
@pytest.mark.parametrize(
    "fault", [{"errorCode": 13}, {"errorCode": 8000}, {"writeConcernError": {"code": 100, "errmsg": "too few nodes"}}]
)
async def test_insert_that_needs_somebody_to_act_is_misconfigured(
    destination: MongoDestination, fail_point: FailPoint, fault: dict[str, Any]
) -> None:
    async with fail_point(**fault):
        with pytest.raises(DestinationMisconfigured, match="MongoDB error"):
            await destination.insert("spans", numbered([1]))


@pytest.mark.integration
async def test_insert_blocked_mongodb_ends_after_the_timeout(
    config: MongoConfig, database: Database, fail_point: FailPoint
) -> None:
    patient = MongoConfig(
        config.name, config.uri, config.database, app_name=config.app_name, timeout=timedelta(seconds=0.3)
    )
    destination = MongoDestination(patient, ExporterMetrics(CollectorRegistry()))
    await destination.connect()
    await destination.ping()

    async with fail_point(blockConnection=True, blockTimeMS=1000):
        with pytest.raises(DestinationUnavailable):
            await destination.insert("spans", numbered([1]))

    await destination.stop()


@pytest.mark.integration
async def test_insert_caller_cancelled_leaves_the_documents_of_others(
    destination: MongoDestination, database: Database, fail_point: FailPoint
) -> None:
    async with fail_point(blockConnection=True, blockTimeMS=100):
        calls = [asyncio.create_task(destination.insert("spans", numbered([number]))) for number in range(10)]
        await asyncio.sleep(0.05)
        calls[0].cancel()
        calls[5].cancel()
        results = await asyncio.gather(*calls, return_exceptions=True)

    assert [type(result) for result in results].count(asyncio.CancelledError) == 2
    assert await database.spans.count_documents({"_id": {"$nin": [0, 5]}}) == 8


@pytest.mark.integration
async def test_start_makes_collections_and_reports_available(config: MongoConfig, database: Database) -> None:
    destination = MongoDestination(config, ExporterMetrics(CollectorRegistry()))

    await destination.start()
    async with asyncio.timeout(10):
        await destination.available.wait()
        while "traceId_1" not in await database.logs.index_information():  # noqa: ASYNC110 - MongoDB sets no event
            await asyncio.sleep(0.02)
    health = destination.health()
    await destination.stop()

    assert health == Health(up=True)
    assert destination.health().up is False


async def test_start_without_mongodb_returns_and_insert_is_unavailable(unused_tcp_port: int) -> None:
    config = MongoConfig(
        "local",
        f"mongodb://me:s3cret@127.0.0.1:{unused_tcp_port}/",
        "otel",
        server_selection_timeout=timedelta(seconds=0.2),
    )
    destination = MongoDestination(config, ExporterMetrics(CollectorRegistry()))

    with capture_logs() as logs:
        await destination.start()
        with pytest.raises(DestinationUnavailable) as raised:
            await destination.insert("spans", numbered([1]))
        await destination.stop()

    assert destination.health().up is False
    assert "s3cret" not in str(raised.value)
    assert "s3cret" not in str(logs)


@pytest.mark.parametrize(
    "uri",
    [
        "mongodb://me:s3cret@host:port/",
        "mongodb://me:s3cr@et@host/",
        "mongodb://me:s3cret@host/?w=0",
        "mongodb://me:s3cret@host/?replicaSet=a&directConnection=maybe&ssl=false&tls=true",
        "http://me:s3cret@host/",
    ],
)
async def test_start_bad_uri_is_misconfigured_without_telling_the_password(uri: str) -> None:
    destination = MongoDestination(MongoConfig("local", uri, "otel"), ExporterMetrics(CollectorRegistry()))

    with pytest.raises(DestinationMisconfigured) as raised:
        await destination.start()

    assert "'local'" in str(raised.value)
    assert "s3cr" not in str(raised.value)


async def test_insert_before_start_and_after_stop_is_unavailable() -> None:
    destination = MongoDestination(
        MongoConfig("local", "mongodb://host/", "otel"), ExporterMetrics(CollectorRegistry())
    )

    with pytest.raises(DestinationUnavailable, match="not started"):
        await destination.insert("spans", numbered([1]))

    await destination.stop()
