"""What one collection or one batch needs stops no other: with a real MongoDB."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pymongo.asynchronous.database import AsyncDatabase

from exporter.delivery import DeliveryConfig
from tests.exporter.delivery.rig import QUICK, Rig, rig, until

pytestmark = pytest.mark.integration
Database = AsyncDatabase[dict[str, Any]]


@pytest.fixture
async def setup(tmp_path: Path, mongodb_uri: str, database: Database) -> AsyncIterator[Rig]:
    async with rig(tmp_path, mongodb_uri, database) as found:
        yield found


@asynccontextmanager
async def fail_point(database: Database, mode: Any = "alwaysOn", **data: Any) -> AsyncIterator[None]:
    """Inserts of this test's destination fail."""
    data = {"failCommands": ["insert"], "appName": database.name, **data}
    await database.client.admin.command("configureFailPoint", "failCommand", mode=mode, data=data)
    try:
        yield
    finally:
        await database.client.admin.command("configureFailPoint", "failCommand", mode="off")


def watch(setup: Rig) -> list[bool]:
    """Every change of the server's breaker from now on: whether it closed."""
    changes: list[bool] = []
    breaker = setup.pipeline.breaker
    on_change = breaker._on_change

    def note(closed: bool, reason: str) -> None:
        changes.append(closed)
        on_change(closed, reason)

    breaker._on_change = note
    return changes


async def counts(database: Database) -> dict[str, int]:
    return {name: await database[name].count_documents({}) for name in ("spans", "logs", "metrics", "dead_letters")}


async def test_collection_that_is_a_view_blocks_its_signal_only_until_it_is_gone(
    setup: Rig, database: Database
) -> None:
    await database.create_collection("spans", viewOn="other", pipeline=[])

    await setup.send(setup.spans("a"), setup.logs("b"), setup.metrics())
    await setup.send(setup.spans("c"), setup.logs("d"), setup.metrics())
    stored, waiting = await counts(database), setup.waiting
    server_is_up = setup.pipeline.breaker.closed
    problems = list(setup.pipeline.problems())
    await database.spans.drop()
    await setup.drained()

    assert (stored["logs"], stored["metrics"], waiting) == (2, 2, 2)
    assert server_is_up
    assert len(problems) == 1
    assert problems[0].startswith("traces go to the retry buffer")
    assert "view" in problems[0]
    assert (await counts(database))["spans"] == 2
    assert list(setup.pipeline.problems()) == []


async def test_no_privilege_on_one_collection_blocks_its_signal_only(setup: Rig, database: Database) -> None:
    async with fail_point(database, errorCode=13, namespace=f"{database.name}.logs"):
        await setup.send(setup.spans("a"), setup.logs("b"), setup.metrics(), setup.logs("c"), setup.spans("d"))
        stored, waiting = await counts(database), setup.waiting

    await setup.drained()
    assert (stored["spans"], stored["metrics"], stored["logs"], waiting) == (2, 1, 0, 2)
    assert (await counts(database))["logs"] == 2


async def make_view(database: Database) -> None:
    await database.create_collection("dead_letters", viewOn="other", pipeline=[])


async def make_validator(database: Database) -> None:
    await database.create_collection("dead_letters", validator={"never": True})


async def make_unique_index(database: Database) -> None:
    await database.dead_letters.create_index("signal", unique=True)
    await database.dead_letters.insert_one({"signal": "traces"})


@pytest.mark.parametrize("spoil", [make_view, make_validator, make_unique_index])
async def test_dead_letters_that_cannot_be_written_hold_up_nothing(setup: Rig, database: Database, spoil: Any) -> None:
    await database.create_collection("spans", validator={"name": {"$ne": "bad"}})
    await spoil(database)

    for _ in range(3):
        await setup.send(setup.spans("good", "bad", "good"), setup.spans("good"), setup.logs("a"))
    await until(lambda: len(next(iter(setup.pipeline.lanes.values())).aside) == 3)
    stored, waiting, problems = await counts(database), setup.waiting, list(setup.pipeline.problems())
    live_goes_directly = all(lane.direct for lane in setup.pipeline.lanes.values()) and setup.pipeline.breaker.closed
    await database.dead_letters.drop()
    await setup.drained()

    assert (stored["spans"], stored["logs"], waiting) == (9, 3, 3)
    assert live_goes_directly
    assert problems[0].startswith("3 batches of traces are set aside: its dead letters cannot be written")
    assert await database.dead_letters.count_documents({"code": 121}) == 3
    assert (await counts(database))["spans"] == 9


async def test_batches_set_aside_show_in_the_metrics(tmp_path: Path, mongodb_uri: str, database: Database) -> None:
    registry = CollectorRegistry()
    labels = {"destination": "local", "signal": "traces"}
    await database.create_collection("spans", validator={"name": {"$ne": "bad"}})
    await make_view(database)

    async with rig(tmp_path, mongodb_uri, database, registry=registry) as setup:
        await setup.send(setup.spans("bad"))
        await until(lambda: registry.get_sample_value("otlp_mongo_exporter_batches_set_aside", labels) == 1)
        await database.dead_letters.drop()
        await setup.drained()

        assert registry.get_sample_value("otlp_mongo_exporter_batches_set_aside", labels) == 0


async def test_very_many_records_at_once_go_in_pieces_beside_others(
    tmp_path: Path, mongodb_uri: str, database: Database
) -> None:
    config = DeliveryConfig(insert_timeout=2, replay_document_bytes=1 << 20, backoff=QUICK)
    count = 100_000

    async with rig(tmp_path, mongodb_uri, database, config) as setup:
        many = setup.empty_spans(count)
        changes = watch(setup)
        slowest = 0.0
        sending = asyncio.create_task(setup.send(many))
        while await database.spans.estimated_document_count() < count:
            started = asyncio.get_running_loop().time()
            await setup.send(setup.spans("live"), setup.logs("live"))
            slowest = max(slowest, asyncio.get_running_loop().time() - started)
        await sending
        await setup.drained()
        records = await database.spans.count_documents({"name": {"$ne": "live"}})

    assert changes == []
    assert records == count
    assert slowest < config.insert_timeout + 1


async def test_insert_that_fails_in_the_middle_goes_on_where_it_was(
    tmp_path: Path, mongodb_uri: str, database: Database
) -> None:
    registry = CollectorRegistry()
    config = DeliveryConfig(backoff=QUICK)
    async with rig(tmp_path, mongodb_uri, database, config, registry=registry) as setup:
        async with fail_point(database, mode={"skip": 3}, errorCode=14031):
            await setup.send(setup.empty_spans(20_000))
            half_way = await database.spans.count_documents({})
        await setup.drained()

        assert 0 < half_way < 20_000
        assert await database.spans.count_documents({}) == 20_000
        duplicates = registry.get_sample_value(
            "otlp_mongo_exporter_duplicate_documents_total", {"destination": "local", "collection": "spans"}
        )
        # Those of the probe, which may be of any batch.
        assert duplicates is not None
        assert duplicates <= 1000


async def test_write_concern_that_is_not_met_opens_and_is_not_closed_by_a_ping(setup: Rig, database: Database) -> None:
    failure = {"code": 64, "errmsg": "waiting for replication timed out"}
    closed = watch(setup)

    async with fail_point(database, writeConcernError=failure):
        for name in "abc":
            await setup.send(setup.spans(name))
        await until(lambda: setup.pipeline.breaker.failures > 2)
        while_not_met = list(closed)
    await setup.drained()

    assert while_not_met == [False]
    assert setup.pipeline.breaker.closed
    assert (await counts(database))["spans"] == 3


# PyMongo leaves a socket to the garbage collector when it is cancelled while it connects.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_mongodb_that_hangs_on_inserts_but_answers_pings_stays_open(
    tmp_path: Path, mongodb_uri: str, database: Database
) -> None:
    config = DeliveryConfig(insert_timeout=0.2, backoff=QUICK)
    async with rig(tmp_path, mongodb_uri, database, config) as setup:
        await setup.send(setup.spans("first"))
        async with fail_point(database, blockConnection=True, blockTimeMS=3000):
            loop = asyncio.get_running_loop()
            waits = []
            for name in "abcdef":
                started = loop.time()
                await setup.send(setup.spans(name))
                waits.append(loop.time() - started)
            stays_open = not setup.pipeline.breaker.closed
        await setup.drained()

    assert stays_open
    assert sum(wait > 0.2 for wait in waits) == 1
    assert (await database.spans.count_documents({})) == 7


async def test_paused_during_an_outage_live_batches_go_directly_once_it_is_over(setup: Rig, database: Database) -> None:
    setup.replayer.pause()
    async with fail_point(database, closeConnection=True):
        await setup.send(setup.spans("a"), setup.logs("b"))
    await until(lambda: setup.pipeline.wants(next(iter(setup.pipeline.lanes))))

    await setup.send(setup.spans("c"))
    waiting = setup.waiting
    stored = await counts(database)
    setup.replayer.resume()
    await setup.drained()

    assert waiting == 2
    assert (stored["spans"], stored["logs"]) == (1, 0)
