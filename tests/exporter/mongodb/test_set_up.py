"""What stands in the way of one collection or index, and what happens while a destination runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pymongo.asynchronous.database import AsyncDatabase
from structlog.testing import capture_logs

from exporter.errors import DestinationUnavailable
from exporter.mongodb import MongoConfig, MongoDestination, indexes
from exporter.mongodb.collections import TTL_INDEX, Collections
from exporter.signals import SIGNALS
from exporter.telemetry import ExporterMetrics
from tests.exporter.mongodb.conftest import FailPoint
from tests.exporter.mongodb.documents import numbered

pytestmark = pytest.mark.integration
Database = AsyncDatabase[dict[str, Any]]
_DAY = timedelta(days=1)
_ALL = {signal.name: _DAY for signal in SIGNALS.values()}


def _collections(database: Database, *, timeseries: bool = False, **retention: timedelta | None) -> Collections:
    return Collections(database, retention, metrics_timeseries=timeseries)


def _expiring(database: Database) -> Collections:
    """All of them, after a day."""
    return Collections(database, _ALL, metrics_timeseries=False)


async def _until_logged(logs: list[Any], part: str) -> None:
    async with asyncio.timeout(20):
        while not any(part in line["event"] for line in logs):  # noqa: ASYNC110 - a log line sets no event
            await asyncio.sleep(0.02)


async def _expiry(database: Database, collection: str) -> int | None:
    index = (await database[collection].index_information()).get(TTL_INDEX, {})
    seconds: int | None = index.get("expireAfterSeconds")
    return seconds


async def _expire(database: Database) -> list[int | None]:
    return [await _expiry(database, signal.collection) for signal in SIGNALS.values()]


@pytest.fixture
async def running(config: MongoConfig, database: Database) -> AsyncIterator[MongoDestination]:
    """With a day of retention, and looks one after the other."""
    quick = replace(config, retention=_ALL, between_looks=timedelta(milliseconds=50))
    destination = MongoDestination(quick, ExporterMetrics(CollectorRegistry()))
    await destination.start()
    yield destination
    await destination.stop()


async def _until_all_expire(database: Database) -> None:
    async with asyncio.timeout(20):
        while await _expire(database) != [86_400] * 3:  # noqa: ASYNC110 - MongoDB sets no event
            await asyncio.sleep(0.02)


async def test_ensure_64_indexes_on_spans_says_so_and_makes_all_else(database: Database) -> None:
    for number in range(63):
        await database.spans.create_index(f"field{number}")

    changes = await _expiring(database).ensure()

    assert await _expire(database) == [None, 86_400, 86_400]
    assert len(changes.problems) == 3
    for problem in changes.problems:
        assert "'spans'" in problem
        assert "too many indexes" in problem
        assert "MongoDB error 67" in problem
    assert all("drop an index" in problem for problem in changes.problems[:2])


async def test_ensure_capped_spans_says_so_and_makes_all_else(database: Database) -> None:
    await database.create_collection("spans", capped=True, size=1 << 20)

    changes = await _expiring(database).ensure()

    # From MongoDB 7.1 on, a capped collection may have a TTL index.
    assert (await _expire(database))[1:] == [86_400, 86_400]
    assert len(changes.problems) == ((await _expiry(database, "spans")) is None)
    assert "traceId_1" in await database.spans.index_information()


async def test_ensure_view_named_spans_keeps_nothing_else_from_being_made(database: Database) -> None:
    await database.create_collection("spans", viewOn="other", pipeline=[])
    await database.create_collection("dead_letters", viewOn="other", pipeline=[])

    changes = await _expiring(database).ensure()

    assert (await _expiry(database, "logs"), await _expiry(database, "metrics")) == (86_400, 86_400)
    assert [problem.partition(",")[0] for problem in changes.problems] == [
        "'spans' is a view",
        "'dead_letters' is a view",
    ]


@pytest.mark.parametrize("code", [40415, 72, 238])
async def test_ensure_server_without_time_series_makes_a_regular_collection(
    destination: MongoDestination, database: Database, fail_point: FailPoint, code: int
) -> None:
    for name in ("spans", "logs"):
        await database.create_collection(name)
    collections = _collections(destination.database, timeseries=True, metrics=_DAY)

    async with fail_point(times=1, command="create", errorCode=code):
        changes = await collections.ensure()
    again = await collections.ensure()

    assert await _expiry(database, "metrics") == 86_400
    [problem] = changes.problems
    assert problem.startswith("'metrics' is a regular collection, though a time-series one is set, since this server")
    assert again.problems == [problem]


@pytest.mark.parametrize("code", [13, 1, 987654])
async def test_ensure_one_refused_creation_is_reported_and_the_others_are_made(
    destination: MongoDestination, database: Database, fail_point: FailPoint, code: int
) -> None:
    await database.create_collection("spans")
    async with fail_point(times=1, command="createIndexes", errorCode=code):
        problems = await destination.ensure()

    made = [len(await database[signal.collection].index_information()) for signal in SIGNALS.values()]
    assert len(problems) == 1
    assert f"MongoDB error {code}" in problems[0]
    assert sum(made) == 3 + 5 - 1
    assert "lsid" not in problems[0]
    assert await destination.ensure() == []


async def test_ensure_refused_look_is_reported_and_indexes_are_made_all_the_same(
    destination: MongoDestination, database: Database, fail_point: FailPoint
) -> None:
    async with fail_point(command="listCollections", errorCode=13):
        problems = await destination.ensure()

    assert len(problems) == 4
    assert all("grant the user the role readWrite" in problem for problem in problems)
    assert "traceId_1" in await database.spans.index_information()


async def test_start_that_is_refused_does_not_say_unreachable(
    config: MongoConfig, database: Database, fail_point: FailPoint
) -> None:
    destination = MongoDestination(config, ExporterMetrics(CollectorRegistry()))
    with capture_logs() as logs:
        async with fail_point(command="listCollections", errorCode=18):
            await destination.start()
            await _until_logged(logs, "refuses us")
        await destination.stop()

    assert not any("cannot be reached" in line["event"] for line in logs)


async def test_ensure_without_retention_leaves_the_ttl_of_others_and_says_so(database: Database) -> None:
    await _expiring(database).ensure()

    changes = await _collections(database).ensure()

    assert await _expire(database) == [86_400] * 3
    assert (changes.made, changes.problems) == ([], [])
    assert len(changes.notes) == 3
    assert "set the retention of traces to off to keep them for ever" in changes.notes[0]


async def test_ensure_later_looks_do_not_fight_over_a_ttl_but_restore_it(database: Database) -> None:
    ours = _collections(database, traces=_DAY)
    await ours.ensure()
    await _collections(database, traces=2 * _DAY).ensure()

    changes = await ours.ensure()
    left = await _expiry(database, "spans")
    await database.spans.drop_index(TTL_INDEX)
    await ours.ensure()

    assert left == 172_800
    assert "somebody else has set" in changes.notes[0]
    assert await _expiry(database, "spans") == 86_400


@pytest.mark.parametrize("code", [13, 59, 238])
async def test_ensure_where_collmod_is_refused_makes_the_ttl_index_anew(
    destination: MongoDestination, database: Database, fail_point: FailPoint, code: int
) -> None:
    await _collections(database, traces=_DAY).ensure()

    async with fail_point(command="collMod", errorCode=code):
        changes = await _collections(destination.database, traces=2 * _DAY).ensure()

    assert await _expiry(database, "spans") == 172_800
    assert (changes.made, changes.problems) == (["documents in 'spans' are now kept for 2 days, 0:00:00"], [])


async def test_ensure_several_sidecars_at_once_change_a_ttl_without_a_problem(
    destination: MongoDestination, database: Database, fail_point: FailPoint
) -> None:
    await _collections(database, traces=_DAY).ensure()

    async with fail_point(command="collMod", errorCode=13):
        changes = await asyncio.gather(
            *(_collections(destination.database, traces=2 * _DAY).ensure() for _ in range(5))
        )

    assert await _expiry(database, "spans") == 172_800
    assert [change.problems for change in changes] == [[]] * 5


@pytest.mark.parametrize("key", [1, "a", None, {"a": 1}], ids=["int", "str", "ObjectId", "document"])
async def test_ensure_first_ttl_is_not_put_on_documents_of_others(database: Database, key: Any) -> None:
    foreign = {"time": datetime(2020, 1, 1, tzinfo=UTC), "text": "precious"}
    await database.logs.insert_one(foreign if key is None else {"_id": key, **foreign})

    changes = await _expiring(database).ensure()

    assert await _expire(database) == [86_400, 86_400, None]
    [problem] = changes.problems
    assert problem.startswith("'logs' holds documents of another program")
    assert "db.logs.createIndex({time: 1}, {name: 'otlp_mongo_ttl', expireAfterSeconds: 86400})" in problem


async def test_ensure_ttl_that_its_user_made_by_hand_is_taken_as_ours(database: Database) -> None:
    await database.logs.insert_one({"time": datetime.now(UTC), "text": "may go"})
    await database.logs.create_index({"time": 1}, name=TTL_INDEX, expireAfterSeconds=86_400)

    changes = await _collections(database, logs=2 * _DAY).ensure()

    assert changes.problems == []
    assert await _expiry(database, "logs") == 172_800


async def test_ensure_documents_of_others_that_would_not_expire_are_no_obstacle(database: Database) -> None:
    await database.logs.insert_many([{"_id": number, "time": "yesterday"} for number in range(50)])

    changes = await _collections(database, logs=_DAY).ensure()

    assert changes.problems == []
    assert await _expiry(database, "logs") == 86_400


async def test_ensure_ttl_index_of_a_user_is_left_and_told(database: Database) -> None:
    await database.logs.create_index("time", expireAfterSeconds=3600)

    changes = await _collections(database, logs=_DAY).ensure()

    [problem] = changes.problems
    assert "has a TTL index 'time_1' of somebody else" in problem
    assert "kept for 1:00:00" in problem


async def test_ensure_index_that_serves_as_well_under_another_name_is_enough(database: Database) -> None:
    await database.spans.create_index("traceId", name="mine")

    changes = await _collections(database).ensure()

    assert changes.problems == []
    assert "traceId_1" not in await database.spans.index_information()


async def test_ensure_index_build_that_takes_longer_than_a_command_may_is_waited_for(
    config: MongoConfig, database: Database, fail_point: FailPoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexes, "_TELL_SECONDS", 0.05)
    hasty = replace(config, timeout=timedelta(milliseconds=100))
    destination = MongoDestination(hasty, ExporterMetrics(CollectorRegistry()))
    await destination.connect()
    for signal in SIGNALS.values():
        await database.create_collection(signal.collection)
    with capture_logs() as logs:
        async with fail_point(times=1, command="createIndexes", blockConnection=True, blockTimeMS=1500):
            problems = await destination.ensure()
    await destination.stop()

    assert problems == []
    assert any("is being built, which goes on in MongoDB" in line["event"] for line in logs)
    assert "traceId_1" in await database.spans.index_information()


async def test_running_database_dropped_makes_all_again(running: MongoDestination, database: Database) -> None:
    await _until_all_expire(database)

    await database.client.drop_database(database.name)

    await _until_all_expire(database)
    assert "traceId_1" in await database.spans.index_information()


async def test_running_database_dropped_between_inserts_makes_indexes_again(
    running: MongoDestination, database: Database
) -> None:
    await _until_all_expire(database)
    await database.client.drop_database(database.name)
    await running.insert("spans", numbered([1]))

    await _until_all_expire(database)


async def test_running_tells_what_is_in_the_way_once_and_that_it_is_gone(
    config: MongoConfig, database: Database
) -> None:
    await database.spans.create_index("startTime")
    quick = replace(config, retention=_ALL, between_looks=timedelta(milliseconds=20))
    destination = MongoDestination(quick, ExporterMetrics(CollectorRegistry()))
    with capture_logs() as logs:
        await destination.start()
        await _until_logged(logs, "could not be made")
        await asyncio.sleep(0.3)  # for several looks, which tell nothing
        await database.spans.drop_index("startTime_1")
        await _until_logged(logs, "as they should be")
        await destination.stop()

    assert ["could not be made" in line["event"] for line in logs].count(True) == 1


async def test_running_insert_that_fails_has_collections_looked_at_at_once(
    config: MongoConfig, database: Database, fail_point: FailPoint
) -> None:
    patient = replace(config, retention=_ALL, between_looks=timedelta(hours=1))
    destination = MongoDestination(patient, ExporterMetrics(CollectorRegistry()))
    await destination.start()
    await _until_all_expire(database)
    await database.client.drop_database(database.name)

    async with fail_point(times=1, errorCode=26):  # NamespaceNotFound, of a service that makes no collection by itself
        with pytest.raises(DestinationUnavailable):
            await destination.insert("spans", numbered([1]))

    await _until_all_expire(database)
    await destination.stop()


@pytest.mark.parametrize("silent", [True, False])
async def test_start_that_is_still_connecting_logs_no_error(config: MongoConfig, silent: bool) -> None:
    # A server that accepts and says nothing is what a slow machine looks like; one that is not there is another thing.
    accepted: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _reader, writer: accepted.append(writer), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    if not silent:
        server.close()
        await server.wait_closed()
    late = replace(
        config, uri=f"mongodb://127.0.0.1:{port}/?serverSelectionTimeoutMS=100", connect_timeout=timedelta(seconds=60)
    )
    destination = MongoDestination(late, ExporterMetrics(CollectorRegistry()))
    with capture_logs() as logs:
        await destination.start()
        await _until_logged(logs, "still connecting" if silent else "cannot be reached")
        await destination.stop()
    server.close()
    for writer in accepted:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    assert ("error" in {line["log_level"] for line in logs}) is not silent
