from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from bson.int64 import Int64
from prometheus_client import CollectorRegistry
from pymongo.asynchronous.database import AsyncDatabase

from exporter.delivery import dead_letters
from exporter.delivery.dead_letters import DeadLetters
from exporter.delivery.letter_box import Letter, LetterBox, Replayed, UnknownLetter
from exporter.delivery.telemetry import DeliveryMetrics
from exporter.interfaces import Refusal
from exporter.mongodb import MongoConfig, MongoDestination
from exporter.telemetry import ExporterMetrics
from exporter.transcode.reference import ReferenceTranscoder
from tests.exporter.delivery.test_dead_letters import names_in, spans_batch

pytestmark = pytest.mark.integration
Database = AsyncDatabase[dict[str, Any]]


class Setup:
    def __init__(self, uri: str, database: Database) -> None:
        registry = CollectorRegistry()
        config = MongoConfig("local", uri, database.name)
        self.database = database
        self.destination = MongoDestination(config, ExporterMetrics(registry))
        self.dead_letters = DeadLetters(DeliveryMetrics(registry, ("local",)))
        self.box = LetterBox(database, self.destination, ReferenceTranscoder())

    async def letters(self) -> list[Letter]:
        return [letter async for letter in self.box.list(100)]


@pytest.fixture
async def setup(mongodb_uri: str, database: Database) -> Any:
    setup = Setup(mongodb_uri, database)
    await setup.destination.connect()
    yield setup
    await setup.destination.stop()


async def test_list_letters_shows_reason_without_payload(setup: Setup) -> None:
    batch = spans_batch("a", "b")
    await setup.dead_letters.keep(setup.destination, batch, [Refusal(1, 121, "validation")])

    (letter,) = await setup.letters()

    assert (letter.signal, letter.records, letter.code, letter.reason) == ("traces", 1, 121, "validation")
    assert letter.payload == b""


async def test_get_letter_in_parts_returns_it_whole(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "_PART_BYTES", 10)
    await setup.dead_letters.keep(setup.destination, spans_batch("a" * 25), [Refusal(0, 0, "too large")])
    (listed,) = await setup.letters()

    letter = await setup.box.get(listed.id)

    assert names_in(letter.payload) == ["a" * 25]


@pytest.mark.parametrize("letter_id", ["nonsense", "018bcfe5-6800-8343-8b76-7f428b8b2bda", ""])
async def test_get_unknown_id_raises_unknown_letter(setup: Setup, letter_id: str) -> None:
    with pytest.raises(UnknownLetter):
        await setup.box.get(letter_id)


async def test_replay_after_the_cause_is_gone_stores_the_record_under_its_own_id(setup: Setup) -> None:
    batch = spans_batch("a", "b")
    await setup.dead_letters.keep(setup.destination, batch, [Refusal(1, 121, "validation")])
    (letter,) = await setup.letters()

    replayed = await setup.box.replay([])

    stored = await setup.database.spans.find().to_list()
    assert replayed == Replayed(stored=1, refused=0)
    assert [(str(span["_id"]), span["name"]) for span in stored] == [(letter.id, "b")]
    assert await setup.letters() == []


async def test_replay_of_a_record_that_is_still_refused_keeps_its_letter(setup: Setup) -> None:
    await setup.database.create_collection("spans", validator={"name": {"$ne": "a"}})
    await setup.dead_letters.keep(setup.destination, spans_batch("a"), [Refusal(0, 121, "validation")])

    replayed = await setup.box.replay([])

    assert replayed == Replayed(stored=0, refused=1)
    assert len(await setup.letters()) == 1


async def test_replay_of_a_whole_batch_stores_all_its_records(setup: Setup) -> None:
    await setup.dead_letters.keep_whole(setup.destination, spans_batch("a", "b"), "a bug that is mended now")

    await setup.box.replay([])

    assert await setup.database.spans.distinct("name") == ["a", "b"]
    assert await setup.letters() == []


async def test_purge_chosen_letters_deletes_them_with_their_parts(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "_PART_BYTES", 10)
    refusals = [Refusal(0, 0, "too large"), Refusal(1, 0, "too large")]
    await setup.dead_letters.keep(setup.destination, spans_batch("a" * 25, "b" * 25), refusals)
    first, second = await setup.letters()

    deleted = await setup.box.purge([first.id])

    assert deleted == 1
    assert [letter.id for letter in await setup.letters()] == [second.id]
    assert len((await setup.box.get(second.id)).payload) > 25
    assert await setup.box.purge([]) == 1
    assert await setup.database.dead_letters.count_documents({}) == 0


def _old_letter(number: int, **changes: Any) -> dict[str, Any]:
    """As versions wrote it that did not mark theirs."""
    return {
        "_id": uuid.UUID(int=number),
        "signal": "traces",
        "records": 1,
        "time": datetime.now(UTC),
        "receivedUnixNano": Int64(1),
        "code": 121,
        "reason": "validation",
        "parts": 1,
        "payload": b"",
        **changes,
    }


_OF_OTHERS: list[dict[str, Any]] = [
    {"_id": 1, "signal": "traces", "reason": "mine"},
    {"_id": "queue", "payload": b"precious", "time": datetime(2026, 1, 1, tzinfo=UTC)},
    {"_id": {"letter": 1}, "text": "a letter of another kind"},
    _old_letter(1, signal="orders"),
    _old_letter(2, reason=5),
    {"_id": uuid.UUID(int=3), "keptBy": "somebody else", "signal": "traces"},
]


async def test_letters_of_others_are_neither_listed_nor_replayed_nor_deleted(setup: Setup) -> None:
    await setup.database.dead_letters.insert_many(_OF_OTHERS)
    await setup.dead_letters.keep(setup.destination, spans_batch("a"), [Refusal(0, 121, "validation")])

    listed = await setup.letters()
    others = await setup.box.others()
    with pytest.raises(UnknownLetter):
        await setup.box.get(str(uuid.UUID(int=3)))
    unknown = await setup.box.purge([str(uuid.UUID(int=3))])
    replayed = await setup.box.replay([])
    await setup.dead_letters.keep(setup.destination, spans_batch("b"), [Refusal(0, 121, "validation")])
    purged = await setup.box.purge([])

    assert (len(listed), others, unknown, purged) == (1, len(_OF_OTHERS), 0, 1)
    assert replayed == Replayed(stored=1, refused=0)
    assert await setup.database.dead_letters.count_documents({}) == len(_OF_OTHERS)


async def test_letters_of_earlier_versions_are_known_by_their_shape(setup: Setup) -> None:
    batch = {"batch": uuid.UUID(int=9)}
    await setup.database.dead_letters.insert_many(
        [
            _old_letter(1),
            _old_letter(2, _id=batch, parts=2, code=0),
            {"_id": {"letter": batch, "part": 1}, "payload": b"rest"},
            *_OF_OTHERS[:3],
        ]
    )

    listed = {letter.id for letter in await setup.letters()}
    whole = await setup.box.get(f"batch:{batch['batch']}")
    others = await setup.box.others()
    purged = await setup.box.purge([])

    assert listed == {str(uuid.UUID(int=1)), f"batch:{batch['batch']}"}
    assert whole.payload == b"rest"
    assert (others, purged) == (3, 2)
    assert await setup.database.dead_letters.count_documents({}) == 3
