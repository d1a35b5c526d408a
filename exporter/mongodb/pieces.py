"""Inserts documents piece by piece, and those again that were postponed."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Sequence

from exporter.errors import DestinationMisconfigured, Scope
from exporter.interfaces import Documents, InsertResult, Refusal
from exporter.mongodb import failures
from exporter.mongodb.pace import Pace
from exporter.progress import Progress

_TRIES = 4
"""Of documents of which none is taken, without a word that it is for their number: then it is for themselves."""
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 5.0
"""Seconds between tries."""

Insert = Callable[[Documents], Awaitable[InsertResult]]


async def insert_in_pieces(insert: Insert, documents: Documents, progress: Progress, pace: Pace) -> InsertResult:
    """Insert what `progress` does not have yet. `insert`: one piece, beside those of others.

    Raises:
        DestinationUnavailable: `progress` has what was settled before.
    """
    count, tries = len(documents), 0
    while indexes := progress.next(count, pace.documents):
        sent = _within(documents, indexes, pace.bytes)
        piece = documents.part(sent[0], sent[-1] + 1) if isinstance(sent, range) else documents.pick(sent)
        result = await insert(piece)
        progress.settle(sent, result)
        if not result.postponed:
            tries = 0
            continue
        tries = tries + 1 if len(result.postponed) == len(sent) else 1
        pace.throttled(len(sent))
        none_passed = progress.reached == len(progress.left)
        await _pause(result.postponed, tries, Scope.COLLECTION if none_passed else Scope.BATCH)
    return progress.result(count)


def _within(documents: Documents, indexes: Sequence[int], size: int) -> Sequence[int]:
    """The first of these documents that have this size together, one at least."""
    offsets = documents.offsets
    if isinstance(indexes, range):
        fitting = bisect_right(offsets, offsets[indexes.start] + size, indexes.start, indexes.stop + 1) - 1
        return range(indexes.start, max(fitting, indexes.start + 1))
    total = 0
    for number, index in enumerate(indexes):
        total += offsets[index + 1] - offsets[index]
        if number and total > size:
            return indexes[:number]
    return indexes


async def _pause(postponed: Sequence[Refusal], tries: int, scope: Scope) -> None:
    """Wait as long as the server asks for, or longer with each try.

    Raises:
        DestinationUnavailable: it has been tried often enough, or somebody has to act.
    """
    first = postponed[0]
    asked = max((failures.retry_after(refusal.reason) for refusal in postponed), default=0.0)
    throttled = asked or failures.is_throttled(first.code)
    error = failures.from_code(first.code, first.reason).error
    if not throttled and (tries >= _TRIES or isinstance(error, DestinationMisconfigured)):
        raise type(error)(str(error), scope)
    await asyncio.sleep(min(max(asked, _FIRST_PAUSE * 2 ** min(tries - 1, 10)), _LONGEST_PAUSE))
