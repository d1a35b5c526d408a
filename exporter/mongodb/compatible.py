"""Replies of services that answer otherwise than MongoDB: made into the reply that MongoDB would have given.

- A duplicate key error that does not say which index it is about (FerretDB, DocumentDB, Cosmos DB). The documents'
  `_id`s are looked up: one that is there makes the document a copy, one that is not makes it refused by another unique
  index. In the collection of dead letters, each such error means that the letter is kept already.
- A service that stops at the first document it refuses, whatever `ordered` says: the command is continued behind it.
- A duplicate key as the error of the whole command, which names no document: the copies are found by their `_id`s.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import bson
from bson.codec_options import CodecOptions
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from pymongo import ReadPreference
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern

from exporter.mongodb import failures
from exporter.mongodb.chunks import Chunk
from exporter.signals import DEAD_LETTERS

Reply = Mapping[str, Any]
Send = Callable[[str, Chunk], Awaitable[Reply]]

_CODEC = CodecOptions[dict[str, Any]]()
_LOOK_AGAIN = 0.5
"""Seconds until an `_id` that was not found is looked for once more: some services read what is not quite up to date,
and what follows from a document that is not there is final."""


class LookupFailed(Exception):
    """Nobody knows whether documents are stored: a duplicate key error did not say it, nor did the look at them."""

    def __init__(self, cause: PyMongoError) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Compatible:
    """Completes replies to inserts into one database."""

    def __init__(self, database: AsyncDatabase[Any]) -> None:
        self._database = database

    async def insert(self, collection: str, chunk: Chunk, send: Send) -> Reply:
        """Insert a chunk's documents. Every duplicate key error in the reply names its index.

        `send` inserts documents with one command. What it raises is raised, but for a command that failed because of
        its only document, or of copies.

        Raises:
            LookupFailed: the `_id`s could not be looked up.
        """
        try:
            reply = await send(collection, chunk)
        except OperationFailure as error:
            if not failures.is_about_content(error):
                raise
            reply = await self._about_content(collection, chunk, error, send)
        if "writeErrors" not in reply:
            return reply
        if (tried := _tried(reply, len(chunk))) < len(chunk):
            reply = await self._go_on(collection, chunk, reply, tried, send)
        return await self._name_indexes(collection, chunk, reply)

    async def _about_content(self, collection: str, chunk: Chunk, error: OperationFailure, send: Send) -> Reply:
        """The reply that names the documents for which a whole command failed. Raises `error` when nobody knows."""
        if len(chunk) == 1:
            return _write_error(error)
        merged = _Merged()
        everything = range(len(chunk))
        stored = await self._copies(collection, chunk, everything, error.code or 0)
        if not stored:
            raise error
        merged.add_copies(stored)
        await self._send_all(collection, chunk, _gaps(everything, stored), send, merged)
        return merged.reply()

    async def _go_on(self, collection: str, chunk: Chunk, reply: Reply, tried: int, send: Send) -> Reply:
        """Insert what is behind the document at which a service stopped."""
        merged = _Merged()
        merged.add(0, reply)
        last, rest = _errors(reply)[-1], range(tried, len(chunk))
        if failures.is_passing(failures.code_of(last)):
            merged.add_untried(last, rest)
            return merged.reply()
        # It would stop at each of the copies, of which a batch that comes again may have thousands.
        stored = await self._copies(collection, chunk, rest, failures.code_of(last))
        merged.add_copies(stored)
        await self._send_all(collection, chunk, _gaps(rest, stored), send, merged)
        return merged.reply()

    async def _name_indexes(self, collection: str, chunk: Chunk, reply: Reply) -> Reply:
        errors = _errors(reply)
        unclear = [error["index"] for error in errors if failures.is_copy(error) is None]
        if not unclear:
            return reply
        copies = set(unclear) if collection == DEAD_LETTERS else await self._find_surely(collection, chunk, unclear)
        return {**reply, "writeErrors": [_name_index(error, copies) for error in errors]}

    async def _send_all(
        self, collection: str, chunk: Chunk, runs: Iterator[range], send: Send, merged: _Merged
    ) -> None:
        waiting = deque(runs)
        while waiting:
            run = waiting.popleft()
            reply = await send(collection, chunk.part(run.start, run.stop))
            merged.add(run.start, reply)
            if (tried := _tried(reply, len(run))) == len(run):
                continue
            last, rest = _errors(reply)[-1], range(run.start + tried, run.stop)
            if failures.is_passing(failures.code_of(last)):
                merged.add_untried(last, rest)
            else:
                waiting.appendleft(rest)

    async def _find_surely(self, collection: str, chunk: Chunk, positions: Sequence[int]) -> set[int]:
        try:
            found = await self._find(collection, chunk, positions)
            missing = [position for position in positions if position not in found]
            if missing:
                await asyncio.sleep(_LOOK_AGAIN)
                found |= await self._find(collection, chunk, missing)
        except PyMongoError as error:
            raise LookupFailed(error) from error
        return found

    async def _copies(self, collection: str, chunk: Chunk, positions: Sequence[int], code: int) -> set[int]:
        """Those that are stored, where an error's code says that there are some.

        It only saves commands: where the look fails, they are sent.
        """
        if collection == DEAD_LETTERS or not failures.is_duplicate(code):
            return set()
        try:
            return await self._find(collection, chunk, positions)
        except PyMongoError:
            return set()

    async def _find(self, collection: str, chunk: Chunk, positions: Sequence[int]) -> set[int]:
        """The positions whose documents are stored, by their `_id`s."""
        documents = list(chunk)
        ids = {position: key for position in positions if (key := _id(documents[position]))}
        # The server that took the insert, whatever the URI says of reads. Its answer to the insert came with the write
        # concern, which holds for what was there already, too.
        where = self._database.get_collection(
            collection, _CODEC, read_preference=ReadPreference.PRIMARY, read_concern=ReadConcern()
        )
        wanted = {"_id": {"$in": [bson.decode(key)["_id"] for key in ids.values()]}}
        stored = {bson.encode(found) async for found in where.find(wanted, {"_id": 1}, batch_size=len(ids) + 1)}
        return {position for position, key in ids.items() if key in stored}


class _Merged:
    """The replies to several commands as one."""

    def __init__(self) -> None:
        self._inserted = 0
        self._errors: list[Reply] = []
        self._others: dict[str, Any] = {}

    def add(self, first: int, reply: Reply) -> None:
        """`first`: the position of the command's first document."""
        self._inserted += reply.get("n", 0)
        self._errors += ({**error, "index": first + error["index"]} for error in _errors(reply))
        if "writeConcernError" in reply:
            self._others["writeConcernError"] = reply["writeConcernError"]

    def add_copies(self, positions: Collection[int]) -> None:
        self._errors += ({"index": position, "code": 11000, "keyPattern": {"_id": 1}} for position in positions)

    def add_untried(self, error: Reply, positions: range) -> None:
        """What holds for the first document that a service did not take now, holds for those that it did not try."""
        self._errors += ({**error, "index": position} for position in positions)

    def reply(self) -> Reply:
        return {**self._others, "n": self._inserted, "writeErrors": self._errors}


def _errors(reply: Reply) -> Sequence[Reply]:
    return sorted(reply.get("writeErrors", ()), key=lambda error: int(error["index"]))


def _tried(reply: Reply, sent: int) -> int:
    """How many documents a service tried: up to the one at which it stopped, or all."""
    errors = _errors(reply)
    accounted = int(reply.get("n", 0)) + len(errors)
    stopped = errors and errors[-1]["index"] + 1 == accounted < sent
    return accounted if stopped else sent


def _gaps(positions: range, stored: Collection[int]) -> Iterator[range]:
    """The runs of positions that are not stored."""
    for is_stored, group in groupby(positions, stored.__contains__):
        if not is_stored:
            run = list(group)
            yield range(run[0], run[-1] + 1)


def _name_index(error: Reply, copies: Collection[int]) -> Reply:
    if failures.is_copy(error) is not None:
        return error
    return {**error, "keyPattern": {"_id": 1} if error["index"] in copies else {"": 1}}


def _id(document: bytes) -> bytes:
    """A document of the `_id` alone; empty when it has none that can be read."""
    try:
        return bson.encode({"_id": RawBSONDocument(document)["_id"]})
    except (BSONError, KeyError):
        return b""


def _write_error(error: OperationFailure) -> Reply:
    """The reply for a single document whose whole command failed."""
    details = error.details or {}
    message = details.get("errmsg") or failures.shorten(str(error))
    pattern = {"keyPattern": details["keyPattern"]} if "keyPattern" in details else {}
    return {"n": 0, "writeErrors": [{"index": 0, "code": error.code, "errmsg": message, **pattern}]}
