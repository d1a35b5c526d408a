from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from exporter.errors import DestinationMisconfigured, DestinationUnavailable, Scope
from exporter.interfaces import Documents, InsertResult, Refusal
from exporter.mongodb.pace import Pace
from exporter.mongodb.pieces import insert_in_pieces
from exporter.progress import Progress
from tests.exporter.mongodb.documents import numbered


class Server:
    """Answers each command as it is told, and takes down what it was sent."""

    def __init__(self, documents: Documents) -> None:
        self._numbers = {raw: number for number, raw in enumerate(documents)}
        self.commands: list[list[int]] = []
        self.answer: Callable[[list[int]], InsertResult] = lambda sent: InsertResult(len(sent), 0)

    async def insert(self, documents: Documents) -> InsertResult:
        await asyncio.sleep(0)
        sent = [self._numbers[raw] for raw in documents]
        self.commands.append(sent)
        return self.answer(sent)


def small_pieces(count: int) -> Pace:
    pace = Pace()
    pace.documents = count
    return pace


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between tries, which take no time here."""
    taken: list[float] = []

    async def sleep(seconds: float) -> None:
        if seconds:
            taken.append(seconds)

    monkeypatch.setattr("asyncio.sleep", sleep)
    return taken


def postpone(code: int, *numbers: int, reason: str = "later") -> Callable[[list[int]], InsertResult]:
    def answer(sent: list[int]) -> InsertResult:
        postponed = tuple(Refusal(at, code, reason) for at, number in enumerate(sent) if number in numbers)
        return InsertResult(len(sent) - len(postponed), 0, (), postponed)

    return answer


async def test_insert_goes_in_pieces_of_the_pace_in_order() -> None:
    documents = numbered(range(10))
    server = Server(documents)

    result = await insert_in_pieces(server.insert, documents, Progress(), small_pieces(4))

    assert server.commands == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert result == InsertResult(10, 0)


async def test_insert_piece_has_no_more_bytes_than_the_pace_but_one_document() -> None:
    documents = numbered(range(6))
    server, pace = Server(documents), small_pieces(100)
    pace.bytes = 2 * len(documents[0]) + 1

    await insert_in_pieces(server.insert, documents, Progress(), pace)
    pace.bytes = 1
    await insert_in_pieces(server.insert, documents, Progress(), pace)

    assert server.commands == [[0, 1], [2, 3], [4, 5], [0], [1], [2], [3], [4], [5]]


async def test_insert_after_a_failure_goes_on_behind_what_was_answered() -> None:
    documents = numbered(range(6))
    server, progress = Server(documents), Progress()

    def fail_third(sent: list[int]) -> InsertResult:
        if 4 in sent:
            raise DestinationUnavailable("gone")
        return InsertResult(len(sent) - 1, 1, (Refusal(0, 121, "validation"),) if 0 in sent else ())

    server.answer = fail_third
    with pytest.raises(DestinationUnavailable):
        await insert_in_pieces(server.insert, documents, progress, small_pieces(2))
    server.answer = lambda sent: InsertResult(len(sent), 0)
    server.commands.clear()
    result = await insert_in_pieces(server.insert, documents, progress, small_pieces(2))

    assert server.commands == [[4, 5]]
    assert result == InsertResult(3, 2, (Refusal(0, 121, "validation"),))


async def test_insert_throttled_documents_are_sent_again_alone_after_the_pause_asked_for(pauses: list[float]) -> None:
    documents = numbered(range(6))
    server, pace = Server(documents), small_pieces(6)
    reason = "Error=16500, RetryAfterMs=340, Details='TooManyRequests'"
    answers = iter([postpone(16500, 1, 3, 5, reason=reason), postpone(16500, 5, reason=reason)])
    server.answer = lambda sent: next(answers, postpone(16500))(sent)

    result = await insert_in_pieces(server.insert, documents, Progress(), pace)

    assert server.commands[:2] == [[0, 1, 2, 3, 4, 5], [1, 3, 5]]
    assert sorted({number for sent in server.commands[2:] for number in sent}) == [5]
    assert result == InsertResult(6, 0)
    assert pauses == [0.34, 0.34]
    assert pace.documents < 6


async def test_insert_throttled_for_long_goes_on_trying() -> None:
    documents = numbered(range(2))
    server = Server(documents)
    answered = 0

    def answer(sent: list[int]) -> InsertResult:
        nonlocal answered
        answered += 1
        return postpone(16500, 0, 1)(sent) if answered < 50 else InsertResult(len(sent), 0)

    server.answer = answer

    result = await insert_in_pieces(server.insert, documents, Progress(), small_pieces(2))

    assert result.inserted == 2


async def test_insert_one_document_that_never_passes_is_the_batchs_own_failure() -> None:
    documents = numbered(range(5))
    server, progress = Server(documents), Progress()
    server.answer = postpone(12501, 2)

    with pytest.raises(DestinationUnavailable, match="12501") as raised:
        await insert_in_pieces(server.insert, documents, progress, small_pieces(5))

    assert raised.value.scope is Scope.BATCH
    assert (progress.reached, list(progress.left)) == (5, [2])


async def test_insert_none_of_which_passes_is_the_collections_failure_at_once_where_somebody_has_to_act() -> None:
    documents = numbered(range(5))
    server = Server(documents)
    server.answer = postpone(166, *range(5))

    with pytest.raises(DestinationMisconfigured) as raised:
        await insert_in_pieces(server.insert, documents, Progress(), small_pieces(5))

    assert raised.value.scope is Scope.COLLECTION
    assert len(server.commands) == 1


async def test_insert_tells_of_each_advance() -> None:
    documents = numbered(range(6))
    server = Server(documents)
    advances: list[int] = []
    progress = Progress()
    progress.on_advance = lambda: advances.append(progress.reached)

    await insert_in_pieces(server.insert, documents, progress, small_pieces(2))

    assert advances == [2, 4, 6]
