from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo.asynchronous.database import AsyncDatabase

from exporter.interfaces import InsertResult
from exporter.mongodb import MongoDestination
from exporter.mongodb.collections import TTL_INDEX, Collections
from exporter.signals import SIGNALS
from tests.exporter.mongodb.conftest import FailPoint
from tests.exporter.mongodb.documents import documents, of_size

pytestmark = pytest.mark.integration
Database = AsyncDatabase[dict[str, Any]]
_DAY = timedelta(days=1)


def _collections(database: Database, *, timeseries: bool = False, **retention: timedelta | None) -> Collections:
    return Collections(database, retention, metrics_timeseries=timeseries)


async def _expiry(database: Database, collection: str) -> int | None:
    index = (await database[collection].index_information()).get(TTL_INDEX, {})
    seconds: int | None = index.get("expireAfterSeconds")
    return seconds


async def _options(database: Database, collection: str) -> dict[str, Any]:
    [details] = await (await database.list_collections(filter={"name": collection})).to_list()
    return {"type": details["type"], **details["options"]}


async def test_ensure_empty_database_makes_all_collections_and_indexes(database: Database) -> None:
    changes = await _collections(database).ensure()

    assert changes.problems == []
    for signal in SIGNALS.values():
        indexes = (await database[signal.collection].index_information()).values()
        assert [index["key"] for index in indexes] == [[("_id", 1)], *map(list, (i.keys for i in signal.indexes))]
    logs = await database.logs.index_information()
    assert logs["traceId_1"]["sparse"] is True


async def test_ensure_compresses_documents_in_large_pages(database: Database) -> None:
    await _collections(database).ensure()

    for signal in SIGNALS.values():
        statistics = await database.command("collStats", signal.collection)
        settings = statistics["wiredTiger"]["creationString"].split(",")
        assert {"block_compressor=zstd", "leaf_page_max=64KB"} <= set(settings)


async def test_ensure_compressor_refused_makes_the_collection_without(
    destination: MongoDestination, database: Database, fail_point: FailPoint
) -> None:
    async with fail_point(times=1, command="create", errorCode=72):  # InvalidOptions: an engine that is not WiredTiger
        problems = await destination.ensure()

    assert problems == []
    options = [await _options(database, signal.collection) for signal in SIGNALS.values()]
    assert ["storageEngine" in option for option in options].count(False) == 1


async def test_ensure_users_own_collection_keeps_its_compressor(database: Database) -> None:
    await database.create_collection("spans")

    changes = await _collections(database).ensure()

    assert changes.problems == []
    assert "storageEngine" not in await _options(database, "spans")


async def test_ensure_again_changes_nothing(database: Database) -> None:
    collections = _collections(database, traces=_DAY, metrics=_DAY)
    await collections.ensure()

    changes = await collections.ensure()

    assert (changes.made, changes.problems) == ([], [])


async def test_ensure_retention_set_changed_and_removed_follows(database: Database) -> None:
    await _collections(database, traces=_DAY).ensure()
    set_ = await _expiry(database, "spans")

    await _collections(database, traces=2 * _DAY).ensure()
    changed = await _expiry(database, "spans")
    last = await _collections(database, traces=None).ensure()
    removed = await _expiry(database, "spans")

    assert (set_, changed, removed) == (86_400, 172_800, None)
    assert last.made == ["documents in 'spans' are now kept for ever"]


async def test_ensure_users_index_in_the_way_is_reported_and_left(database: Database) -> None:
    await database.logs.create_index("traceId")
    await database.logs.create_index("time")

    changes = await _collections(database, logs=_DAY).ensure()

    assert len(changes.problems) == 2
    assert "an index on traceId" in changes.problems[0]
    assert "an index on time" in changes.problems[1]
    assert "sparse" not in (await database.logs.index_information())["traceId_1"]
    assert "created index 'traceId_1' on 'spans'" in changes.made


async def test_ensure_view_in_the_way_is_reported(database: Database) -> None:
    await database.create_collection("spans", viewOn="other", pipeline=[])

    changes = await _collections(database).ensure()

    assert changes.problems == [
        "'spans' is a view, which takes no documents: rename it, or choose another database",
    ]


async def test_ensure_timeseries_makes_one_and_its_retention_follows(database: Database) -> None:
    await _collections(database, timeseries=True, metrics=_DAY).ensure()
    made = await _options(database, "metrics")

    await _collections(database, timeseries=True, metrics=None).ensure()
    for_ever = await _options(database, "metrics")
    await _collections(database, timeseries=True, metrics=2 * _DAY).ensure()
    again = await _options(database, "metrics")

    assert made["type"] == "timeseries"
    assert (made["timeseries"]["timeField"], made["timeseries"]["metaField"]) == ("time", "metric")
    assert made["expireAfterSeconds"] == 86_400
    assert "expireAfterSeconds" not in for_ever
    assert again["expireAfterSeconds"] == 172_800


@pytest.mark.parametrize("timeseries", [True, False])
async def test_ensure_metrics_of_the_other_type_is_reported_and_used(database: Database, timeseries: bool) -> None:
    await _collections(database, timeseries=not timeseries).ensure()

    changes = await _collections(database, timeseries=timeseries, metrics=_DAY).ensure()

    [problem] = changes.problems
    assert problem.startswith("'metrics' exists as a ")
    assert "rename or drop 'metrics'" in problem
    assert changes.made == ["documents in 'metrics' are now kept for 1 day, 0:00:00"]


async def test_insert_into_timeseries_stores_and_cannot_recognise_copies(
    destination: MongoDestination, database: Database
) -> None:
    await _collections(database, timeseries=True).ensure()
    point = {"_id": 1, "metric": {"name": "a"}, "time": datetime.now(UTC), "value": 1.5}

    first = await destination.insert("metrics", documents(point))
    second = await destination.insert("metrics", documents(point))

    assert first == second == InsertResult(1, 0)
    assert await database.metrics.count_documents({}) == 2


async def test_insert_into_timeseries_refuses_only_what_it_cannot_take(
    destination: MongoDestination, database: Database
) -> None:
    await _collections(database, timeseries=True).ensure()
    good = {"metric": {"name": "a"}, "time": datetime.now(UTC)}

    result = await destination.insert(
        "metrics",
        documents({"_id": 1, **good}, {"_id": 2, "metric": {"name": "a"}}, of_size(3, 16 << 20), {"_id": 4, **good}),
    )

    assert result.inserted == 2
    assert [refusal.index for refusal in result.refusals] == [1, 2]
    assert "time" in result.refusals[0].reason
