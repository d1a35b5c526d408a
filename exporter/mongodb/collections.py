"""Makes the signals' collections and their indexes, and keeps TTLs as they are set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pymongo import IndexModel
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure

from exporter.signals import METRICS, SIGNALS, Signal

TTL_INDEX = "otlp_mongo_ttl"
"""The name by which a TTL index is known to be ours: no other is changed or dropped."""

_NAMESPACE_EXISTS = 48
_CONFLICTS = {85, 86}
"""IndexOptionsConflict and IndexKeySpecsConflict: an index with these keys, or this name, is there but different."""

_TIMESERIES = {"timeField": "time", "metaField": "metric", "granularity": "seconds"}

_FILES: Mapping[str, Any] = {
    "storageEngine": {"wiredTiger": {"configString": "block_compressor=zstd,leaf_page_max=64KB"}}
}
"""Half the disk that documents take with MongoDB's defaults (docs/storage.md). Time series have zstd by default."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What `Collections.ensure` did, and what it could not do."""

    made: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """Each names what is in the way and what to do. Records are stored all the same."""


class Collections:
    """The collections of one database, as they should be."""

    def __init__(
        self, database: AsyncDatabase[Any], retention: Mapping[str, timedelta], *, metrics_timeseries: bool
    ) -> None:
        """`retention`: by signal name; for ever where there is no entry."""
        self._database = database
        self._retention = retention
        self._metrics_timeseries = metrics_timeseries

    async def ensure(self) -> Changes:
        """Make what is missing and change what is set differently. Can be repeated.

        Raises:
            PyMongoError: MongoDB cannot be reached, or does not allow it.
        """
        changes = Changes()
        for signal in SIGNALS.values():
            await self._ensure(signal, changes)
        return changes

    async def _ensure(self, signal: Signal, changes: Changes) -> None:
        timeseries = signal is METRICS and self._metrics_timeseries
        details = await self._collection(signal.collection)
        if details is None:
            details = await self._create(signal, timeseries, changes)
        if details["type"] not in ("collection", "timeseries"):
            changes.problems.append(
                f"{signal.collection!r} is a {details['type']}, which takes no documents: rename it, or choose another "
                "database"
            )
            return
        is_timeseries = details["type"] == "timeseries"
        if is_timeseries != timeseries:
            changes.problems.append(_wrong_type(signal, is_timeseries=is_timeseries))
        await self._ensure_indexes(signal, changes)
        if is_timeseries:
            await self._ensure_expiry(signal, details["options"], changes)
        else:
            await self._ensure_ttl_index(signal, changes)

    async def _collection(self, name: str) -> Mapping[str, Any] | None:
        async for details in await self._database.list_collections(filter={"name": name}):
            return details
        return None

    async def _create(self, signal: Signal, timeseries: bool, changes: Changes) -> Mapping[str, Any]:
        try:
            if timeseries:
                await self._database.create_collection(signal.collection, check_exists=False, timeseries=_TIMESERIES)
            else:
                await self._create_compressed(signal.collection)
        except OperationFailure as error:
            # An insert or another sidecar was faster.
            if error.code != _NAMESPACE_EXISTS:
                raise
        else:
            changes.made.append(f"created collection {signal.collection!r}")
        details = await self._collection(signal.collection)
        return details or {"type": "timeseries" if timeseries else "collection", "options": {}}

    async def _create_compressed(self, name: str) -> None:
        try:
            await self._database.create_collection(name, check_exists=False, **_FILES)
        except OperationFailure as error:
            if error.code == _NAMESPACE_EXISTS:
                raise
            # Another storage engine, or a service that leaves no choice. What these answer differs.
            await self._database.create_collection(name, check_exists=False)

    async def _ensure_indexes(self, signal: Signal, changes: Changes) -> None:
        collection = self._database[signal.collection]
        before = await collection.index_information()
        for index in signal.indexes:
            options = {"sparse": True} if index.sparse else {}
            model = IndexModel(list(index.keys), **options)
            try:
                name = (await collection.create_indexes([model]))[0]
            except OperationFailure as error:
                if error.code not in _CONFLICTS:
                    raise
                changes.problems.append(_conflict(signal, list(index.keys)))
                continue
            if name not in before:
                changes.made.append(f"created index {name!r} on {signal.collection!r}")

    async def _ensure_expiry(self, signal: Signal, options: Mapping[str, Any], changes: Changes) -> None:
        """A time-series collection expires by itself (MongoDB manual, "Set up Automatic Removal for Time Series")."""
        wanted = self._seconds(signal)
        if options.get("expireAfterSeconds") == wanted:
            return
        await self._database.command("collMod", signal.collection, expireAfterSeconds=wanted or "off")
        changes.made.append(_retention_changed(signal, wanted))

    async def _ensure_ttl_index(self, signal: Signal, changes: Changes) -> None:
        collection = self._database[signal.collection]
        wanted = self._seconds(signal)
        present = (await collection.index_information()).get(TTL_INDEX)
        if present is None and wanted is None:
            return
        if present is None:
            try:
                await collection.create_index([(signal.time_field, 1)], name=TTL_INDEX, expireAfterSeconds=wanted)
            except OperationFailure as error:
                if error.code not in _CONFLICTS:
                    raise
                changes.problems.append(
                    f"{_conflict(signal, [(signal.time_field, 1)])}; until then nothing of it expires as set"
                )
                return
        elif wanted is None:
            await collection.drop_index(TTL_INDEX)
        elif present.get("expireAfterSeconds") == wanted:
            return
        else:
            change = {"name": TTL_INDEX, "expireAfterSeconds": wanted}
            await self._database.command("collMod", signal.collection, index=change)
        changes.made.append(_retention_changed(signal, wanted))

    def _seconds(self, signal: Signal) -> int | None:
        retention = self._retention.get(signal.name)
        return None if retention is None else int(retention.total_seconds())


def _retention_changed(signal: Signal, seconds: int | None) -> str:
    until = "for ever" if seconds is None else f"for {timedelta(seconds=seconds)}"
    return f"documents in {signal.collection!r} are now kept {until}"


def _conflict(signal: Signal, keys: list[tuple[str, int]]) -> str:
    fields = ", ".join(name for name, _ in keys)
    return (
        f"{signal.collection!r} has an index on {fields} that is unlike ours and stays as it is: drop it and start "
        "again to have ours"
    )


def _wrong_type(signal: Signal, *, is_timeseries: bool) -> str:
    name = repr(signal.collection)
    there, wanted = ("a time-series", "a regular") if is_timeseries else ("a regular", "a time-series")
    return (
        f"{name} exists as {there} collection and is used as it is, though {wanted} one is set: rename or drop {name} "
        "and start again, or change the setting"
    )
