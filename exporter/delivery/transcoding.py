"""The backlog's batches as documents, within the memory there is for them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from exporter.errors import Unavailable
from exporter.interfaces import Documents, LargerThanAsked, StoredBatch, Transcoder


@dataclass(frozen=True, slots=True)
class TooLarge:
    """Its documents take more than there is room for."""


@dataclass(frozen=True, slots=True)
class Untranscodable:
    """The transcoder does not take it, now or later."""

    reason: str


Outcome = Documents | TooLarge | Untranscodable


async def transcode(transcoder: Transcoder, items: Sequence[StoredBatch], room: int | None) -> Sequence[Outcome]:
    """Of the first of these batches, as many as have room together. `room`: in bytes; None: whatever they take.

    Raises:
        Unavailable: the machine has no memory or thread for it now.
    """

    def work() -> list[Outcome]:
        outcomes, left = list[Outcome](), room
        for item in items:
            outcome = _transcode(transcoder, item, left)
            if outcomes and isinstance(outcome, TooLarge):
                break
            outcomes.append(outcome)
            if left is not None and isinstance(outcome, Documents):
                left -= outcome.size
        return outcomes

    try:
        return await asyncio.to_thread(work)
    except (MemoryError, RuntimeError) as error:
        raise Unavailable(f"a batch cannot be transcoded now: {error!r}") from error


def _transcode(transcoder: Transcoder, item: StoredBatch, within: int | None) -> Outcome:
    try:
        documents = transcoder.transcode(item.batch, within)
    except LargerThanAsked:
        return TooLarge()
    except MemoryError:
        raise
    except Exception as error:
        # Whatever it is, the batches behind this one must not wait for it.
        return Untranscodable(repr(error))
    return documents if within is None or documents.size <= within else TooLarge()
