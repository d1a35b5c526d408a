"""What becomes of dead letters: somebody looks at them, has them inserted again, or deletes them.

Their documents are described in `exporter.delivery.dead_letters`.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError

from exporter.batch import Batch
from exporter.delivery.dead_letters import KEPT_BY
from exporter.errors import DestinationUnavailable
from exporter.interfaces import Destination, Transcoder
from exporter.signals import DEAD_LETTERS, SIGNALS

_CODEC = CodecOptions[dict[str, Any]](tz_aware=True, uuid_representation=UuidRepresentation.STANDARD)
_WHOLE_BATCH = "batch:"
"""How the id of a letter that holds a whole batch begins."""
_OLD_LETTER: Mapping[str, Any] = {
    "signal": {"$in": list(SIGNALS)},
    "records": {"$type": "number"},
    "time": {"$type": "date"},
    "receivedUnixNano": {"$type": "long"},
    "code": {"$type": "number"},
    "reason": {"$type": "string"},
    "parts": {"$type": "number"},
    "payload": {"$type": "binData"},
    "$or": [{"_id": {"$type": "binData"}}, {"_id.batch": {"$type": "binData"}}],
}
_OLD_PART: Mapping[str, Any] = {
    "_id.letter": {"$exists": True},
    "_id.part": {"$type": "number"},
    "payload": {"$type": "binData"},
    "signal": {"$exists": False},
}
"""What versions wrote that did not say so."""
_LETTERS: Mapping[str, Any] = {"$or": [{**KEPT_BY, "signal": {"$exists": True}}, _OLD_LETTER]}
"""The main documents: parts have no signal."""
_MARKED_PARTS: Mapping[str, Any] = {**KEPT_BY, "_id.letter": {"$exists": True}}
_OTHERS: Mapping[str, Any] = {"$nor": [_LETTERS, _MARKED_PARTS, _OLD_PART]}
"""Documents of other programs."""
_OTHERS_COUNTED = 10_000
_DELETED_AT_ONCE = 1_000


class UnknownLetter(Exception):
    """There is no dead letter with this id."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter."""

    id: str
    signal: str
    records: int
    time: datetime
    """When it was refused."""
    received_unix_nano: int
    code: int
    reason: str
    payload: bytes
    """An OTLP export request; empty in a list."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of letters that were inserted again, in letters."""

    stored: int
    refused: int


class LetterBox:
    """The dead letters in one destination's database.

    Documents that are not ours are not seen, but by `others`. All methods raise DestinationUnavailable when MongoDB
    does not answer.
    """

    def __init__(self, database: AsyncDatabase[Any], destination: Destination, transcoder: Transcoder) -> None:
        self._letters: AsyncCollection[dict[str, Any]] = database.get_collection(DEAD_LETTERS, _CODEC)
        self._destination = destination
        self._transcoder = transcoder

    async def list(self, limit: int) -> AsyncIterator[Letter]:
        """The newest letters, without their payloads."""
        found = self._letters.find(_LETTERS, {"payload": False}).sort({"time": -1, "_id": 1}).limit(limit)
        try:
            async for document in found:
                yield _letter(document, b"")
        except PyMongoError as error:
            raise DestinationUnavailable(str(error)) from error

    async def get(self, letter_id: str) -> Letter:
        """One letter, with its payload.

        Raises:
            UnknownLetter: there is none.
        """
        try:
            key = _key(letter_id)
            document = await self._letters.find_one({"$and": [{"_id": key}, _LETTERS]})
            if document is None:
                raise UnknownLetter(letter_id)
            payload = bytes(document["payload"])
            for part in range(1, document["parts"]):
                found = await self._letters.find_one({"_id": {"letter": key, "part": part}})
                if found is None:
                    raise UnknownLetter(f"{letter_id}, part {part}")
                payload += found["payload"]
        except PyMongoError as error:
            raise DestinationUnavailable(str(error)) from error
        return _letter(document, payload)

    async def replay(self, ids: Sequence[str]) -> Replayed:
        """Insert the records of letters again, of all without ids. Those that are stored now leave the letters."""
        stored = refused = 0
        for letter_id in ids or await self._all():
            if await self._insert(await self.get(letter_id)):
                await self.purge([letter_id])
                stored += 1
            else:
                refused += 1
        return Replayed(stored, refused)

    async def purge(self, ids: Sequence[str]) -> int:
        """Delete letters for good, all without ids. Returns how many there were."""
        keys = [_key(letter_id) for letter_id in (ids or await self._all())]
        deleted = 0
        try:
            for first in range(0, len(keys), _DELETED_AT_ONCE):
                chosen = {"$in": keys[first : first + _DELETED_AT_ONCE]}
                result = await self._letters.delete_many({"$and": [{"_id": chosen}, _LETTERS]})
                deleted += result.deleted_count
                await self._letters.delete_many({"$and": [{"_id.letter": chosen}, {"$or": [_MARKED_PARTS, _OLD_PART]}]})
            if not ids:
                # Of letters whose main document never came.
                await self._letters.delete_many(_MARKED_PARTS)
        except PyMongoError as error:
            raise DestinationUnavailable(str(error)) from error
        return deleted

    async def others(self) -> int:
        """How many documents of other programs the collection holds; of more than 10,000, 10,000."""
        try:
            found = self._letters.find(_OTHERS, {"_id": True}).limit(_OTHERS_COUNTED)
            return sum([1 async for _ in found])
        except PyMongoError as error:
            raise DestinationUnavailable(str(error)) from error

    async def _all(self) -> Sequence[str]:
        try:
            return [_text_id(document["_id"]) async for document in self._letters.find(_LETTERS, {"_id": True})]
        except PyMongoError as error:
            raise DestinationUnavailable(str(error)) from error

    async def _insert(self, letter: Letter) -> bool:
        """Whether every record of the letter is stored now."""
        signal = SIGNALS.get(letter.signal)
        if signal is None:
            return False
        base_id = uuid.UUID(letter.id.removeprefix(_WHOLE_BATCH)).int
        batch = Batch(signal, letter.payload, base_id, letter.received_unix_nano, letter.records)
        try:
            documents = await asyncio.to_thread(self._transcoder.transcode, batch)
        except Exception:
            # Why it is a letter: no transcoder takes it, and none of its errors is special.
            return False
        result = await self._destination.insert(signal.collection, documents)
        return not result.refusals


def _letter(document: Mapping[str, Any], payload: bytes) -> Letter:
    return Letter(
        id=_text_id(document["_id"]),
        signal=document["signal"],
        records=document["records"],
        time=document["time"],
        received_unix_nano=document["receivedUnixNano"],
        code=document["code"],
        reason=document["reason"],
        payload=payload,
    )


def _text_id(key: Any) -> str:
    return f"{_WHOLE_BATCH}{key['batch']}" if isinstance(key, Mapping) else str(key)


def _key(letter_id: str) -> uuid.UUID | dict[str, uuid.UUID]:
    """The `_id` for an id as it is shown.

    Raises:
        UnknownLetter: no letter can have this id.
    """
    try:
        number = uuid.UUID(letter_id.removeprefix(_WHOLE_BATCH))
    except ValueError:
        raise UnknownLetter(letter_id) from None
    return {"batch": number} if letter_id.startswith(_WHOLE_BATCH) else number
