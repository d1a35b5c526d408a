"""Makes the signals' collections and their indexes, and keeps TTLs as they are set.

Each collection and each index is made on its own: what one is refused for keeps none of the others from being made.
Only a server that does not answer, or does not accept us, ends it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure

from exporter.mongodb.changes import Changes, is_not_offered, reason
from exporter.mongodb.expiry import TTL_INDEX, Expiry, Retention
from exporter.mongodb.indexes import Indexes, Tell
from exporter.signals import DEAD_LETTERS, METRICS, SIGNALS, Signal

__all__ = ["TTL_INDEX", "Changes", "Collections"]

_NAMESPACE_EXISTS = 48

_TIMESERIES = {"timeField": "time", "metaField": "metric", "granularity": "seconds"}

_FILES: Mapping[str, Any] = {
    "storageEngine": {"wiredTiger": {"configString": "block_compressor=zstd,leaf_page_max=64KB"}}
}
"""Half the disk that documents take with MongoDB's defaults (docs/storage.md). Time series have zstd by default."""

_UNKNOWN: Mapping[str, Any] = {"type": "collection", "options": {}}
"""Of a collection that we may not look at, or that is gone again."""

Details = Mapping[str, Any]


class Collections:
    """The collections of one database, as they should be."""

    def __init__(
        self,
        database: AsyncDatabase[Any],
        retention: Retention,
        *,
        metrics_timeseries: bool,
        tell: Tell = lambda _sentence: None,
    ) -> None:
        """`tell`: hears of what takes long."""
        self._database = database
        self._metrics_timeseries = metrics_timeseries
        self._indexes = Indexes(tell)
        self._expiry = Expiry(database, retention, self._indexes)
        self._no_timeseries = ""
        """Why this server makes none."""

    async def ensure(self) -> Changes:
        """Make what is missing, and the first time change what is set differently. Cheap when all is as it should be.

        Raises:
            PyMongoError: MongoDB does not answer, or does not accept us.
        """
        # One at a time finds a server: of several waits of the driver for one, a cancellation may leave its lock taken.
        await self._database.command("ping")
        parts = await asyncio.gather(
            *map(self._ensure, SIGNALS.values()), self._look_at_dead_letters(), return_exceptions=True
        )
        changes = Changes()
        for part in parts:
            if isinstance(part, BaseException):
                raise part
            changes.add(part)
        return changes

    async def _ensure(self, signal: Signal) -> Changes:
        changes = Changes()
        timeseries = signal is METRICS and self._metrics_timeseries
        details = await self._details(signal.collection, changes)
        if details is None:
            details = await self._create(signal, timeseries, changes)
        if details["type"] not in ("collection", "timeseries"):
            changes.problems.append(_no_collection(signal.collection, details))
            return changes
        is_timeseries = details["type"] == "timeseries"
        if timeseries and self._no_timeseries:
            changes.problems.append(_no_timeseries(signal, self._no_timeseries))
        elif is_timeseries != timeseries:
            changes.problems.append(_wrong_type(signal, is_timeseries=is_timeseries))
        try:
            there = await self._database[signal.collection].index_information()
        except OperationFailure as error:
            changes.failed(f"the indexes of {signal.collection!r} could not be looked at", error)
            there = {}
        await self._indexes.ensure(self._database[signal.collection], signal, there, changes)
        if is_timeseries:
            await self._expiry.ensure_option(signal, details["options"], changes)
        else:
            await self._expiry.ensure_index(signal, there, changes)
        return changes

    async def _look_at_dead_letters(self) -> Changes:
        """Made with the first of them, which is rare; but something else may have its name."""
        changes = Changes()
        details = await self._details(DEAD_LETTERS, changes)
        if details and details["type"] != "collection":
            changes.problems.append(_no_collection(DEAD_LETTERS, details))
        return changes

    async def _details(self, name: str, changes: Changes) -> Details | None:
        """What MongoDB says of a collection; None when there is none."""
        try:
            async for details in await self._database.list_collections(filter={"name": name}):
                return details
        except OperationFailure as error:
            changes.failed(f"whether there is a collection {name!r} could not be found out", error)
            return _UNKNOWN
        return None

    async def _create(self, signal: Signal, timeseries: bool, changes: Changes) -> Details:
        try:
            if not (timeseries and await self._create_timeseries(signal.collection)):
                await self._create_compressed(signal.collection)
        except OperationFailure as error:
            # An insert or another sidecar was faster.
            if error.code != _NAMESPACE_EXISTS:
                changes.failed(f"collection {signal.collection!r} could not be made", error)
        else:
            changes.made.append(f"created collection {signal.collection!r}")
        return await self._details(signal.collection, Changes()) or _UNKNOWN

    async def _create_timeseries(self, name: str) -> bool:
        """False when this server makes none, as MongoDB before 5.0."""
        try:
            await self._database.create_collection(name, check_exists=False, timeseries=_TIMESERIES)
        except OperationFailure as error:
            if not is_not_offered(error):
                raise
            self._no_timeseries = reason(error)
            return False
        return True

    async def _create_compressed(self, name: str) -> None:
        try:
            await self._database.create_collection(name, check_exists=False, **_FILES)
        except OperationFailure as error:
            if error.code == _NAMESPACE_EXISTS:
                raise
            # Another storage engine, or a service that leaves no choice. What these answer differs.
            await self._database.create_collection(name, check_exists=False)


def _no_collection(name: str, details: Details) -> str:
    return f"{name!r} is a {details['type']}, which takes no documents: rename it, or choose another database"


def _no_timeseries(signal: Signal, why: str) -> str:
    return (
        f"{signal.collection!r} is a regular collection, though a time-series one is set, since this server makes none "
        f"({why}): use MongoDB 5.0 or later, or change the setting"
    )


def _wrong_type(signal: Signal, *, is_timeseries: bool) -> str:
    name = repr(signal.collection)
    there, wanted = ("a time-series", "a regular") if is_timeseries else ("a regular", "a time-series")
    return (
        f"{name} exists as {there} collection and is used as it is, though {wanted} one is set: rename or drop {name}, "
        "or change the setting"
    )
