"""Has MongoDB delete what is older than the retention: by a TTL index, in a time-series collection by its option.

- A retention that is not set leaves what is there: another sidecar may have set it. Only one that is explicitly off
  takes our TTL away.
- A TTL that differs from the setting is changed once, at the start: two sidecars that disagree shall not undo each
  other's change for ever.
- On a collection that holds documents of others with a date in our time field, none is put: they would be deleted.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from bson.binary import UUID_SUBTYPE, Binary
from bson.codec_options import CodecOptions
from pymongo import IndexModel
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure

from exporter.mongodb.changes import Changes, is_not_offered
from exporter.mongodb.indexes import CONFLICTS, Indexes, Information, conflict
from exporter.signals import Signal

TTL_INDEX = "otlp_mongo_ttl"
"""The name by which a TTL index is known to be ours: no other is changed or dropped."""

Retention = Mapping[str, timedelta | None]
"""How long records are kept, by signal name. None: for ever. No entry: as MongoDB has it."""

_INDEX_NOT_FOUND = 27
_UNAUTHORIZED = 13
_RAW = CodecOptions[dict[str, Any]](tz_aware=False)
_FIRST_DATE = datetime(1, 1, 1)
_LOOKED_AT = 20
"""Documents at each end of the index on `_id`, where those of others stand: MongoDB sorts values of other types before
or behind our UUIDs, and most UUIDs behind ours, which begin with the time."""
_UUID_VERSION = 8


class Expiry:
    """Of the collections of one database."""

    def __init__(self, database: AsyncDatabase[Any], retention: Retention, indexes: Indexes) -> None:
        self._database = database
        self._retention = retention
        self._indexes = indexes
        self._settled: set[str] = set()
        """Names of the signals whose TTL was once as it is set."""

    async def ensure_index(self, signal: Signal, there: Information, changes: Changes) -> None:
        """Make, change or drop the TTL index of a regular collection."""
        present = there.get(TTL_INDEX)
        if present is not None and list(present["key"]) != [(signal.time_field, 1)]:
            changes.problems.append(
                f"the index {TTL_INDEX!r} on {signal.collection!r} has other keys than ours and stays as it is: drop "
                "it to have ours"
            )
            return
        seconds = None if present is None else _whole(present.get("expireAfterSeconds"))
        wanted = self._wanted(signal, seconds, changes)
        if wanted == seconds:
            return
        try:
            if seconds is None:
                await self._create(signal, wanted, changes)
            elif wanted is None:
                await self._drop(signal)
                changes.made.append(_changed(signal, wanted))
            else:
                await self._change(signal, wanted, changes)
        except OperationFailure as error:
            if error.code in CONFLICTS:
                changes.problems.append(_in_the_way(signal, there))
            else:
                changes.failed(f"documents in {signal.collection!r} are not kept {_until(wanted)}", error)
            return
        self._settled.add(signal.name)

    async def ensure_option(self, signal: Signal, options: Mapping[str, Any], changes: Changes) -> None:
        """Set how long a time-series collection keeps its documents (MongoDB manual, "Set up Automatic Removal for
        Time Series Collections").
        """
        seconds = _whole(options.get("expireAfterSeconds"))
        wanted = self._wanted(signal, seconds, changes)
        if wanted == seconds:
            return
        if seconds is None and await self._holds_others(signal, wanted, changes, by_id=False):
            return
        try:
            await self._database.command("collMod", signal.collection, expireAfterSeconds=wanted or "off")
        except OperationFailure as error:
            what = f"documents in {signal.collection!r} are not kept {_until(wanted)}"
            if error.code == _UNAUTHORIZED:
                # The role readWrite does not have it, and a time series knows no other way.
                todo = "grant the user the action collMod, as in the role dbAdmin, or run collMod yourself"
                changes.problems.append(f"{what}: its expiry is changed by collMod, which the user may not run; {todo}")
            else:
                changes.failed(what, error)
            return
        changes.made.append(_changed(signal, wanted))
        self._settled.add(signal.name)

    def _wanted(self, signal: Signal, present: int | None, changes: Changes) -> int | None:
        """Seconds to keep documents from now on, None for ever; `present` where nothing is to be changed."""
        if signal.name not in self._retention:
            if present is not None:
                changes.notes.append(
                    f"documents in {signal.collection!r} are kept {_until(present)}, as was set before, and no setting "
                    f"asks for it: set the retention of {signal.name} to off to keep them for ever"
                )
            return present
        retention = self._retention[signal.name]
        wanted = None if retention is None else int(retention.total_seconds())
        if wanted == present:
            self._settled.add(signal.name)
        elif present is not None and signal.name in self._settled:
            changes.notes.append(
                f"documents in {signal.collection!r} are kept {_until(present)}, which somebody else has set: it is "
                "changed at the next start only"
            )
            return present
        return wanted

    async def _create(self, signal: Signal, seconds: int | None, changes: Changes) -> None:
        if not await self._holds_others(signal, seconds, changes, by_id=True):
            await self._make(signal, seconds)
            changes.made.append(_changed(signal, seconds))

    async def _make(self, signal: Signal, seconds: int | None) -> None:
        model = IndexModel([(signal.time_field, 1)], name=TTL_INDEX, expireAfterSeconds=seconds)
        await self._indexes.create(self._database[signal.collection], model)

    async def _drop(self, signal: Signal) -> None:
        try:
            await self._database[signal.collection].drop_index(TTL_INDEX)
        except OperationFailure as error:
            if error.code != _INDEX_NOT_FOUND:  # another sidecar was faster
                raise

    async def _change(self, signal: Signal, seconds: int, changes: Changes) -> None:
        change = {"name": TTL_INDEX, "expireAfterSeconds": seconds}
        try:
            await self._database.command("collMod", signal.collection, index=change)
        except OperationFailure as error:
            if error.code not in (_UNAUTHORIZED, _INDEX_NOT_FOUND) and not is_not_offered(error):
                raise
            # The role readWrite may make and drop indexes, but not change them. Two with the same key there cannot be.
            await self._drop(signal)
            await self._make(signal, seconds)
        changes.made.append(_changed(signal, seconds))

    async def _holds_others(self, signal: Signal, seconds: int | None, changes: Changes, *, by_id: bool) -> bool:
        """Whether a first TTL would delete documents that are not ours. `by_id`: there is an index on `_id`."""
        collection = self._database.get_collection(signal.collection, _RAW)
        dated = {signal.time_field: {"$gt": _FIRST_DATE}}
        for direction in (1, -1) if by_id else (None,):
            found = collection.find(dated, {"_id": True}).limit(_LOOKED_AT)
            async for document in found.sort("_id", direction) if direction else found:
                if not _is_ours(document.get("_id")):
                    changes.problems.append(_others(signal, seconds, document.get("_id")))
                    return True
        return False


def _is_ours(key: Any) -> bool:
    """Ours are UUIDs of version 8 (docs/documents.md)."""
    return isinstance(key, Binary) and key.subtype == UUID_SUBTYPE and key[6] >> 4 == _UUID_VERSION


def _others(signal: Signal, seconds: int | None, key: Any) -> str:
    name, field = signal.collection, signal.time_field
    return (
        f"{name!r} holds documents of another program (as the one with the _id {key!r}), which would be deleted with "
        f"ours, so that nothing of it expires: move them, choose another database, or say that they may go by making "
        f"the index: db.{name}.createIndex({{{field}: 1}}, {{name: '{TTL_INDEX}', expireAfterSeconds: {seconds}}})"
    )


def _in_the_way(signal: Signal, there: Information) -> str:
    for name, found in there.items():
        if list(found["key"]) == [(signal.time_field, 1)] and (seconds := _whole(found.get("expireAfterSeconds"))):
            return (
                f"{signal.collection!r} has a TTL index {name!r} of somebody else, which stays: documents are kept "
                f"{_until(seconds)}, whatever the retention is set to; drop it to have ours"
            )
    return f"{conflict(signal, [signal.time_field])}; until then nothing of it expires"


def _whole(seconds: Any) -> int | None:
    return None if seconds is None else int(seconds)


def _changed(signal: Signal, seconds: int | None) -> str:
    return f"documents in {signal.collection!r} are now kept {_until(seconds)}"


def _until(seconds: int | None) -> str:
    return "for ever" if seconds is None else f"for {timedelta(seconds=seconds)}"
