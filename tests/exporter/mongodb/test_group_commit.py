from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from exporter.errors import DestinationUnavailable, Scope
from exporter.interfaces import Documents, InsertResult, Refusal
from exporter.mongodb.group_commit import GroupCommit
from exporter.mongodb.inserter import Written
from tests.exporter.mongodb.documents import numbered


@dataclass
class _Limits:
    documents: int = 4000
    bytes: int = 8 << 20


class _Gate:
    """A writer that answers when it is told to, and takes down what it was given."""

    def __init__(self) -> None:
        self.inserts: list[list[int]] = []
        self.second = asyncio.Event()
        self.answer: asyncio.Future[Written] = asyncio.get_running_loop().create_future()
        self.cancelled = 0

    async def write(self, parts: Sequence[Documents]) -> Written:
        self.inserts.append([len(part) for part in parts])
        if len(self.inserts) == 2:
            self.second.set()
        try:
            return await asyncio.shield(self.answer)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


async def _calls(group: GroupCommit, *counts: int) -> list[asyncio.Task[InsertResult]]:
    tasks = [asyncio.create_task(group.insert(numbered(range(count)))) for count in counts]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def test_insert_small_ones_while_one_is_in_flight_go_together_in_the_next() -> None:
    gate = _Gate()
    group = GroupCommit(gate.write, _Limits(), in_flight=2)

    tasks = await _calls(group, 1, 2, 3, 4, 5)
    before = list(gate.inserts)
    gate.answer.set_result(Written((), ()))
    results = await asyncio.gather(*tasks)

    assert before == [[1]]
    assert gate.inserts == [[1], [2, 3, 4, 5]]
    assert [result.inserted for result in results] == [1, 2, 3, 4, 5]


async def test_insert_half_of_the_documents_of_an_insert_go_beside_one_in_flight() -> None:
    gate = _Gate()
    group = GroupCommit(gate.write, _Limits(documents=10), in_flight=2)

    tasks = await _calls(group, 1, 4, 1, 9)
    before = list(gate.inserts)
    gate.answer.set_result(Written((), ()))
    await asyncio.gather(*tasks)

    assert before == [[1], [4, 1]]
    assert gate.inserts == [[1], [4, 1], [9]]


async def test_insert_half_of_the_bytes_of_an_insert_go_beside_one_in_flight() -> None:
    gate = _Gate()
    size = len(numbered([0]).buffer)
    group = GroupCommit(gate.write, _Limits(bytes=10 * size), in_flight=2)

    tasks = await _calls(group, 1, 4, 1)
    before = list(gate.inserts)
    gate.answer.set_result(Written((), ()))
    await asyncio.gather(*tasks)

    assert before == [[1], [4, 1]]


async def test_insert_cancelled_ones_no_longer_count_as_waiting() -> None:
    gate = _Gate()
    group = GroupCommit(gate.write, _Limits(documents=10), in_flight=2)
    head, cancelled = await _calls(group, 1, 4)
    cancelled.cancel()
    gate.answer.set_result(Written((), ()))
    await head
    gate.answer = asyncio.get_running_loop().create_future()

    tasks = await _calls(group, 1, 4)
    before = list(gate.inserts)
    gate.answer.set_result(Written((), ()))
    await asyncio.gather(*tasks)

    assert before == [[1], [1]]
    assert gate.inserts == [[1], [1], [4]]


async def test_insert_together_gives_each_caller_its_own_share() -> None:
    gate = _Gate()
    group = GroupCommit(gate.write, _Limits(), in_flight=1)
    [head] = await _calls(group, 9)
    tasks = await _calls(group, 2, 3, 4)

    gate.answer.set_result(Written([1, 2, 8], [Refusal(0, 121, "a"), Refusal(4, 121, "b"), Refusal(5, 121, "c")]))
    results = await asyncio.gather(*tasks)

    await head
    assert results == [
        InsertResult(0, 1, (Refusal(0, 121, "a"),)),
        InsertResult(1, 1, (Refusal(2, 121, "b"),)),
        InsertResult(2, 1, (Refusal(0, 121, "c"),)),
    ]


async def test_insert_more_than_the_limits_is_spread_over_inserts() -> None:
    gate = _Gate()
    group = GroupCommit(gate.write, _Limits(documents=5), in_flight=1)
    [head] = await _calls(group, 1)
    tasks = await _calls(group, 3, 2, 1, 9, 1)

    gate.answer.set_result(Written((), ()))
    await asyncio.gather(head, *tasks)

    assert gate.inserts == [[1], [3, 2], [1], [9], [1]]


async def test_insert_that_fails_fails_all_its_callers_and_no_other() -> None:
    gate = _Gate()
    group = GroupCommit(gate.write, _Limits(), in_flight=1)
    tasks = await _calls(group, 1, 2, 3)

    gate.answer.set_exception(DestinationUnavailable("no primary"))
    results = await asyncio.gather(*tasks, return_exceptions=True)
    gate.answer = asyncio.get_running_loop().create_future()
    gate.answer.set_result(Written((), ()))
    later = await group.insert(numbered([1]))

    assert [str(result) for result in results] == ["no primary"] * 3
    assert later == InsertResult(1, 0)


async def test_insert_cancelled_in_flight_leaves_the_others_their_results() -> None:
    gate = _Gate()
    group = GroupCommit(gate.write, _Limits(), in_flight=1)
    [head] = await _calls(group, 1)
    first, second = await _calls(group, 2, 3)
    gate.answer.set_result(Written([3], ()))
    gate.answer = asyncio.get_running_loop().create_future()
    await head
    await asyncio.sleep(0)
    assert gate.inserts == [[1], [2, 3]]

    first.cancel()
    gate.answer.set_result(Written([3], ()))
    result = await second

    assert first.cancelled()
    assert gate.cancelled == 0
    assert result == InsertResult(2, 1)


async def test_insert_whose_callers_are_all_cancelled_is_given_up_for_the_next() -> None:
    gate = _Gate()
    group = GroupCommit(gate.write, _Limits(), in_flight=1)
    head, waiting = await _calls(group, 1, 2)

    head.cancel()
    await gate.second.wait()
    gate.answer.set_result(Written((), ()))

    assert gate.cancelled == 1
    assert gate.inserts == [[1], [2]]
    assert await waiting == InsertResult(2, 0)


async def test_insert_cancelled_while_waiting_is_not_sent() -> None:
    gate = _Gate()
    group = GroupCommit(gate.write, _Limits(), in_flight=1)
    head, waiting, last = await _calls(group, 1, 2, 3)

    waiting.cancel()
    gate.answer.set_result(Written((), ()))
    await asyncio.gather(head, last)

    assert gate.inserts == [[1], [3]]


async def test_stop_waits_for_what_is_in_flight_and_fails_what_waits() -> None:
    gate = _Gate()
    group = GroupCommit(gate.write, _Limits(), in_flight=1)
    head, waiting = await _calls(group, 1, 2)

    stop = asyncio.create_task(group.stop(grace=30))
    with pytest.raises(DestinationUnavailable, match="stopping"):
        await waiting
    gate.answer.set_result(Written((), ()))
    await stop

    assert head.result() == InsertResult(1, 0)
    assert gate.inserts == [[1]]


async def test_stop_after_the_grace_cancels_and_fails_the_callers() -> None:
    gate = _Gate()
    group = GroupCommit(gate.write, _Limits(), in_flight=1)
    [head] = await _calls(group, 1)

    await group.stop(grace=0.01)

    assert gate.cancelled == 1
    with pytest.raises(DestinationUnavailable, match="stopped before MongoDB answered"):
        await head


async def test_insert_after_stop_is_refused() -> None:
    group = GroupCommit(_Gate().write, _Limits())
    await group.stop(grace=0)

    with pytest.raises(DestinationUnavailable, match="stopped"):
        await group.insert(numbered([1]))


class _Picky:
    """A writer that refuses every insert with one of these documents in it, as a whole."""

    def __init__(self, *poison: int, scope: Scope = Scope.COLLECTION) -> None:
        self.inserts: list[int] = []
        self.first = asyncio.Event()
        self._poison = set(numbered(poison))
        self._scope = scope

    async def write(self, parts: Sequence[Documents]) -> Written:
        self.inserts.append(len(parts))
        if len(self.inserts) == 1:
            await self.first.wait()
        await asyncio.sleep(0)
        if any(raw in self._poison for part in parts for raw in part):
            raise DestinationUnavailable("refused", self._scope)
        return Written((), ())


async def _share(writer: _Picky, calls: int) -> list[InsertResult | BaseException]:
    """What becomes of calls that go together in one insert."""
    group = GroupCommit(writer.write, _Limits(), in_flight=1)
    head = asyncio.create_task(group.insert(numbered([1000])))
    await asyncio.sleep(0)
    tasks = [asyncio.create_task(group.insert(numbered([number]))) for number in range(calls)]
    await asyncio.sleep(0)
    writer.first.set()
    await head
    return await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("poison", [0, 3, 7])
async def test_insert_refused_for_one_call_among_many_fails_that_call_only(poison: int) -> None:
    writer = _Picky(poison)

    results = await _share(writer, 8)

    failed = [number for number, result in enumerate(results) if isinstance(result, DestinationUnavailable)]
    assert failed == [poison]
    assert len(writer.inserts) <= 10


async def test_insert_refused_for_all_calls_is_not_tried_for_each() -> None:
    writer = _Picky(*range(64))

    results = await _share(writer, 64)

    assert all(isinstance(result, DestinationUnavailable) for result in results)
    assert len(writer.inserts) == 4


async def test_insert_that_fails_for_the_server_is_not_tried_in_halves() -> None:
    writer = _Picky(3, scope=Scope.SERVER)

    results = await _share(writer, 8)

    assert all(isinstance(result, DestinationUnavailable) for result in results)
    assert writer.inserts == [1, 8]
