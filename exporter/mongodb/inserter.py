"""Inserts ready BSON documents and sorts what MongoDB answers.

Of PyMongo's ways to insert, an `insert` command with sequences of raw documents (`raw`) took by far the least CPU time
in our process (docs/fast-path.md). What `insert_many` does beyond it is done here or not needed: `chunks` cuts
messages to size, and a repeated command needs no transaction number, since the documents' `_id`s make it
idempotent (but in a time-series collection, which knows no unique `_id`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from operator import attrgetter
from typing import Any, NamedTuple

import pymongo
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import ExecutionTimeout, NetworkTimeout, OperationFailure, PyMongoError

from exporter.errors import DestinationUnavailable, Scope
from exporter.interfaces import Documents, Refusal
from exporter.mongodb import failures
from exporter.mongodb.chunks import Chunk, cut
from exporter.mongodb.compatible import Compatible, LookupFailed
from exporter.mongodb.options import InsertOptions
from exporter.mongodb.pace import Pace
from exporter.mongodb.raw import choose_pack, pack_documents
from exporter.mongodb.secrets import Redactor
from exporter.telemetry import DestinationMetrics

_LARGE = 512 << 10
"""Bytes of a document from which on the speed of the link counts."""


class Written(NamedTuple):
    """What became of documents: those that are not named were inserted. All are ordered by index."""

    duplicates: Sequence[int]
    refusals: Sequence[Refusal]
    postponed: Sequence[Refusal] = ()
    """Not taken now; the others of the same command were."""


class Inserter:
    """Inserts into the collections of one database."""

    def __init__(
        self,
        database: AsyncDatabase[Any],
        timeout: timedelta,
        redact: Redactor,
        metrics: DestinationMetrics,
        pace: Pace,
    ) -> None:
        """`timeout`: for MongoDB to answer one command. `pace`: learns from what is answered and what is not."""
        self._database = database
        self._timeout = timeout.total_seconds()
        self._pace = pace
        self._redact = redact
        self._metrics = metrics
        self._options = InsertOptions(database.write_concern, timeout)
        self._compatible = Compatible(database)
        self._pack = choose_pack()
        self._repeat = database.client.options.retry_writes

    async def insert(self, collection: str, parts: Sequence[Documents]) -> Written:
        """Insert the documents of all parts, which are numbered through.

        Raises:
            DestinationUnavailable: some may be stored and some not.
        """
        duplicates: list[int] = []
        refusals: list[Refusal] = []
        postponed: list[Refusal] = []
        for piece in cut(parts):
            if isinstance(piece, Refusal):
                refusals.append(piece)
                continue
            written = await self._write(collection, piece)
            duplicates.extend(written.duplicates)
            refusals.extend(written.refusals)
            postponed.extend(written.postponed)
        return Written(duplicates, refusals, postponed)

    async def _write(self, collection: str, chunk: Chunk) -> Written:
        try:
            reply = await self._compatible.insert(collection, chunk, self._send)
        except BSONError as error:
            return await self._isolate(collection, chunk, error)
        except LookupFailed as error:
            raise self._failed(failures.from_lookup(error.cause)) from error
        except PyMongoError as error:
            if failures.is_about_content(error):
                return await self._isolate(collection, chunk, error)
            raise self._failed(failures.from_exception(error)) from error
        return self._sort(chunk, reply)

    async def _isolate(self, collection: str, chunk: Chunk, error: Exception) -> Written:
        """Find by halving the document that made a command fail, and insert the others."""
        if len(chunk) == 1:
            return Written((), [Refusal(chunk.first, 0, self._redact(failures.shorten(str(error))))])
        halves = [await self._write(collection, half) for half in chunk.halves()]
        return Written(
            [index for half in halves for index in half.duplicates],
            [refusal for half in halves for refusal in half.refusals],
            [refusal for half in halves for refusal in half.postponed],
        )

    async def _send(self, collection: str, chunk: Chunk) -> Mapping[str, Any]:
        # One that is alone may be there because it is damaged: then the driver shall look at it before MongoDB does.
        documents = self._pack(chunk) if len(chunk) > 1 else pack_documents(chunk)
        started = time.perf_counter()
        try:
            reply = await self._repeated(collection, documents, self._extra_seconds(chunk))
        except (NetworkTimeout, ExecutionTimeout, asyncio.CancelledError):
            self._pace.unanswered(len(chunk), chunk.size, time.perf_counter() - started)
            raise
        seconds = time.perf_counter() - started
        self._metrics.insert_done(collection, len(chunk), seconds)
        if "writeConcernError" not in reply:
            self._pace.answered(len(chunk), chunk.size, seconds)
        return reply

    def _extra_seconds(self, chunk: Chunk) -> float:
        """What a document that is large by itself may take beside the usual: it cannot be cut for a slow link."""
        if len(chunk) > 1 or (size := chunk.size) < _LARGE:
            return 0.0
        return self._pace.limit(size)

    async def _repeated(
        self, collection: str, documents: Sequence[RawBSONDocument], extra_seconds: float
    ) -> Mapping[str, Any]:
        """Send them, and at once again when it was a connection that died unnoticed or a primary that stepped down."""
        try:
            if extra_seconds:
                with pymongo.timeout(self._timeout + extra_seconds):
                    return await self._command(collection, documents)
            return await self._command(collection, documents)
        except PyMongoError as error:
            if not (self._repeat and failures.is_worth_repeating(error)):
                raise
            return await self._command(collection, documents)

    async def _command(self, collection: str, documents: Sequence[RawBSONDocument]) -> Mapping[str, Any]:
        try:
            # A new mapping each time: the driver adds to it and takes from it.
            reply = await self._database.command({"insert": collection, "documents": documents, **self._options.taken})
        except OperationFailure as error:
            if not self._options.drop(error):
                raise
            return await self._command(collection, documents)
        return reply

    def _sort(self, chunk: Chunk, reply: Mapping[str, Any]) -> Written:
        """Raises DestinationUnavailable when a later try may bring more than this one."""
        duplicates: list[int] = []
        refusals: list[Refusal] = []
        postponed: list[Refusal] = []
        errors: Sequence[Mapping[str, Any]] = reply.get("writeErrors", ())
        for error in errors:
            index, code = chunk.first + error["index"], failures.code_of(error)
            if failures.is_copy(error):
                duplicates.append(index)
            elif failures.is_passing(code):
                failure = failures.from_code(code, failures.message_of(error))
                if failure.error.scope is Scope.SERVER:
                    raise self._failed(failure)
                postponed.append(self._refusal(index, code, error))
            else:
                refusals.append(self._refusal(index, code, error))
        if "writeConcernError" in reply:
            raise self._failed(failures.from_write_concern_error(reply["writeConcernError"]))
        if (inserted := reply.get("n", 0)) + len(errors) != len(chunk):
            raise self._failed(failures.from_wrong_count(len(chunk), inserted, len(errors)))
        by_index = attrgetter("index")
        return Written(sorted(duplicates), sorted(refusals, key=by_index), sorted(postponed, key=by_index))

    def _refusal(self, index: int, code: int, error: Mapping[str, Any]) -> Refusal:
        return Refusal(index, code, self._redact(failures.shorten(failures.message_of(error))))

    def _failed(self, failure: failures.Failure) -> DestinationUnavailable:
        self._metrics.failed(failure.kind)
        return type(failure.error)(self._redact(str(failure.error)), failure.error.scope)
