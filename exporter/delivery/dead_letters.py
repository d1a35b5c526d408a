"""Dead letters: records that a destination can never take, kept with the reason and their OTLP bytes.

A dead letter is a document of the collection `dead_letters` of the destination that refused the record:

- `_id`: the record's own, so that a retry makes no second one
  (of a batch that could not even be transcoded: {batch: the `_id` of its first record})
- `signal`, `records`, `time` (when it was refused), `code` and `reason` (MongoDB's)
- `payload`: an OTLP export request, binary, that holds the record with its resource and scope. What does not fit
  into one document goes on in further ones, `_id` {letter, part}, and `parts` says how many there are in all.
- `keptBy`: "otlp-mongo", in parts as well. The collection may hold documents of others, which are none of our business.
  Earlier versions did not write it.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import bson
import structlog
from bson.binary import Binary, UuidRepresentation
from bson.int64 import Int64

from exporter.batch import Batch
from exporter.delivery.telemetry import DeliveryMetrics
from exporter.errors import DestinationUnavailable, Scope
from exporter.interfaces import Destination, Documents, Refusal
from exporter.signals import DEAD_LETTERS
from exporter.transcode.extract import extract

KEPT_BY = {"keptBy": "otlp-mongo"}
"""What tells our documents from those of others."""
_PART_BYTES = 15 << 20
"""Payload bytes in one document: under MongoDB's 16 MiB with room for the other fields."""
_GROUP_BYTES = 8 << 20
"""Letters that are in memory at a time, about."""
_REASON_CHARACTERS = 4_000
_REASONS_SHOWN = 3

_log = structlog.get_logger(__name__)


class DeadLetters:
    """Keeps the records that a destination refused."""

    def __init__(self, metrics: DeliveryMetrics) -> None:
        self._metrics = metrics

    async def keep(self, destination: Destination, batch: Batch, refusals: Sequence[Refusal]) -> str:
        """Store a dead letter for each refused record of a batch.

        Returns a warning for the client.

        Raises:
            DestinationUnavailable: some are not stored.
        """
        await _store(destination, _letters(batch, refusals))
        self._metrics.dead_letters(destination.name, batch, len(refusals))
        reasons = _summary(refusals)
        _log.error(
            "records refused by MongoDB were kept as dead letters",
            destination=destination.name,
            signal=batch.signal.name,
            records=len(refusals),
            reasons=reasons,
        )
        return f"{len(refusals)} of {batch.records} records kept in {DEAD_LETTERS} of {destination.name}: {reasons}"

    async def keep_whole(self, destination: Destination, batch: Batch, reason: str) -> None:
        """Store one dead letter for a batch none of whose records can be delivered.

        Raises:
            DestinationUnavailable: it is not stored.
        """
        await _store(destination, _whole_letter(batch, reason))
        self._metrics.dead_letters(destination.name, batch, batch.records)
        _log.error(
            "a batch that cannot be delivered was kept as a dead letter",
            destination=destination.name,
            signal=batch.signal.name,
            records=batch.records,
            reason=reason,
        )


async def _store(destination: Destination, letters: Iterator[Mapping[str, Any]]) -> None:
    """As many at a time as have room in memory: each holds its resource, which may be large."""
    while documents := await asyncio.to_thread(_next_documents, letters):
        result = await destination.insert(DEAD_LETTERS, documents)
        if result.refusals:
            raise DestinationUnavailable(
                f"the collection {DEAD_LETTERS} refused a dead letter: {result.refusals[0].reason}; "
                "remove the validator or unique index that it has",
                Scope.BATCH,
            )


def _letters(batch: Batch, refusals: Sequence[Refusal]) -> Iterator[Mapping[str, Any]]:
    by_index = {refusal.index: refusal for refusal in refusals}
    payloads = extract(batch.signal, batch.payload, by_index)
    for (_, refusal), payload in zip(sorted(by_index.items()), payloads, strict=True):
        yield from _letter(_uuid(batch.base_id + refusal.index), batch, 1, payload, refusal)


def _whole_letter(batch: Batch, reason: str) -> Iterator[Mapping[str, Any]]:
    letter_id = {"batch": _uuid(batch.base_id)}
    return _letter(letter_id, batch, batch.records, batch.payload, Refusal(0, 0, reason))


def _letter(
    letter_id: Binary | dict[str, Binary], batch: Batch, records: int, payload: bytes, refusal: Refusal
) -> Iterator[dict[str, Any]]:
    """The documents of one letter, the main one last: it is there only when its parts are."""
    parts = [payload[start : start + _PART_BYTES] for start in range(0, len(payload), _PART_BYTES)] or [b""]
    for number, part in enumerate(parts[1:], start=1):
        yield {"_id": {"letter": letter_id, "part": number}, "payload": Binary(part), **KEPT_BY}
    yield {
        "_id": letter_id,
        "signal": batch.signal.name,
        "records": records,
        "time": datetime.now(UTC),
        "receivedUnixNano": Int64(batch.received_unix_nano),
        "code": refusal.code,
        "reason": refusal.reason[:_REASON_CHARACTERS],
        "parts": len(parts),
        "payload": Binary(parts[0]),
        **KEPT_BY,
    }


def _uuid(number: int) -> Binary:
    return Binary.from_uuid(uuid.UUID(int=number), UuidRepresentation.STANDARD)


def _next_documents(letters: Iterator[Mapping[str, Any]]) -> Documents | None:
    buffer = bytearray()
    offsets = [0]
    for letter in letters:
        buffer += bson.encode(letter)
        offsets.append(len(buffer))
        if len(buffer) >= _GROUP_BYTES:
            break
    return Documents(bytes(buffer), offsets) if buffer else None


def _summary(refusals: Sequence[Refusal]) -> str:
    """The first few distinct reasons."""
    distinct = list(dict.fromkeys(refusal.reason[:200] for refusal in refusals))
    more = f" (and {len(distinct) - _REASONS_SHOWN} other reasons)" if len(distinct) > _REASONS_SHOWN else ""
    return "; ".join(distinct[:_REASONS_SHOWN]) + more
