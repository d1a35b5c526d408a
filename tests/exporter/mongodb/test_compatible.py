"""Errors of a real MongoDB in the place of those of other services; these themselves are in `test_services`."""

from __future__ import annotations

from typing import Any

import pytest
from pymongo.asynchronous.database import AsyncDatabase

from exporter.errors import DestinationUnavailable
from exporter.interfaces import InsertResult
from exporter.mongodb import MongoDestination
from exporter.signals import DEAD_LETTERS
from tests.exporter.mongodb.conftest import FailPoint
from tests.exporter.mongodb.documents import documents, numbered

# Of the codes for a duplicate, fail points take those only that MongoDB has no name for.
pytestmark = pytest.mark.integration
Database = AsyncDatabase[dict[str, Any]]


@pytest.mark.parametrize("code", [1, 2, 8, 20, 96, 125, 318, 462, 12501, 16500, 40415, 987654])
@pytest.mark.parametrize("count", [1, 3])
async def test_insert_command_with_passing_code_is_unavailable_and_refuses_nothing(
    destination: MongoDestination, fail_point: FailPoint, code: int, count: int
) -> None:
    async with fail_point(errorCode=code):
        with pytest.raises(DestinationUnavailable, match=f"MongoDB error {code}"):
            await destination.insert("spans", numbered(range(count)))

    assert await destination.insert("spans", numbered(range(count))) == InsertResult(count, 0)


@pytest.mark.parametrize("code", [10334, 17280, 16755])
async def test_insert_command_with_final_code_is_like_that_of_a_document(
    destination: MongoDestination, fail_point: FailPoint, code: int
) -> None:
    async with fail_point(times=2, errorCode=code):  # the command of two, then that of the first alone
        result = await destination.insert("spans", numbered([1, 2]))

    assert [(refusal.index, refusal.code) for refusal in result.refusals] == [(0, code)]
    assert result.inserted == 1


@pytest.mark.parametrize("code", [11001, 12582])
async def test_insert_command_with_duplicate_key_stores_what_is_missing(
    destination: MongoDestination, database: Database, fail_point: FailPoint, code: int
) -> None:
    await destination.insert("spans", numbered([2, 3, 5]))

    async with fail_point(times=1, errorCode=code):
        result = await destination.insert("spans", numbered(range(7)))

    assert result == InsertResult(4, 3)
    assert await database.spans.count_documents({}) == 7


async def test_insert_command_with_duplicate_key_for_a_single_copy_counts_a_duplicate(
    destination: MongoDestination, fail_point: FailPoint
) -> None:
    await destination.insert("spans", numbered([1]))

    async with fail_point(errorCode=11001):
        result = await destination.insert("spans", numbered([1]))

    assert result == InsertResult(0, 1)


async def test_insert_command_with_duplicate_key_for_what_is_not_stored_is_refused(
    destination: MongoDestination, fail_point: FailPoint
) -> None:
    async with fail_point(errorCode=11001):
        result = await destination.insert("spans", numbered([1, 2]))

    assert (result.inserted, result.duplicates) == (0, 0)
    assert [(refusal.index, refusal.code) for refusal in result.refusals] == [(0, 11001), (1, 11001)]


async def test_insert_command_with_duplicate_key_for_a_dead_letter_means_it_is_kept(
    destination: MongoDestination, fail_point: FailPoint
) -> None:
    async with fail_point(errorCode=11001):
        result = await destination.insert(DEAD_LETTERS, documents({"_id": {"letter": 1, "part": 1}}, {"_id": 1}))

    assert result == InsertResult(0, 2)


async def test_insert_duplicate_key_that_cannot_be_looked_up_says_why(
    destination: MongoDestination, fail_point: FailPoint
) -> None:
    async with fail_point(failCommands=["insert", "find"], errorCode=11001):
        with pytest.raises(DestinationUnavailable, match=r"could not be looked up \(the user needs the action find\)"):
            await destination.insert("spans", numbered([1]))
