"""Makes the indexes of a collection, each on its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pymongo
from pymongo import IndexModel
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import OperationFailure

from exporter.mongodb.changes import Changes, is_not_offered, reason
from exporter.signals import Index, Signal

CONFLICTS = frozenset({85, 86})
"""IndexOptionsConflict and IndexKeySpecsConflict: an index with these keys, or this name, is there but different."""

_BUILD_SECONDS = 14 * 24 * 3600.0
"""For MongoDB to build one index: over a large collection that takes hours, and it goes on without us."""
_TELL_SECONDS = 10.0
_CANNOT_CREATE = 67
_TOLD_APART = ("sparse", "unique", "partialFilterExpression", "hidden", "expireAfterSeconds")
"""Options that make an index with our keys another one than ours."""

Tell = Callable[[str], None]
"""Takes a sentence for people while something goes on."""
Collection = AsyncCollection[Any]
Information = Mapping[str, Mapping[str, Any]]


class Indexes:
    """Of the collections of one database."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    async def ensure(self, collection: Collection, signal: Signal, there: Information, changes: Changes) -> None:
        """Make those of a signal that are not there."""
        for index in signal.indexes:
            if not _is_there(index, there):
                await self._ensure(collection, signal, index, there, changes)

    async def create(self, collection: Collection, model: IndexModel) -> None:
        """Create one, however long that takes. Raises PyMongoError."""
        name = model.document["name"]
        what = f"index {name!r} on {collection.name!r} is being built, which goes on in MongoDB: it may take long"
        timer = asyncio.get_running_loop().call_later(_TELL_SECONDS, self._tell, what)
        try:
            with pymongo.timeout(_BUILD_SECONDS):
                await collection.create_indexes([model])
        except OperationFailure as error:
            if "maxTimeMS" not in str(error):
                raise
            # The driver sends its time limit along, and not every service knows the option.
            await collection.create_indexes([model])
        finally:
            timer.cancel()

    async def _ensure(
        self, collection: Collection, signal: Signal, index: Index, there: Information, changes: Changes
    ) -> None:
        options = {"sparse": True} if index.sparse else {}
        model = IndexModel(list(index.keys), **options)
        name = model.document["name"]
        what = f"index {name!r} on {collection.name!r}"
        try:
            try:
                await self.create(collection, model)
            except OperationFailure as error:
                if not (index.sparse and is_not_offered(error)):
                    raise
                changes.notes.append(f"{what} is made without the option sparse: {reason(error)}")
                if name not in there:
                    await self.create(collection, IndexModel(list(index.keys)))
        except OperationFailure as error:
            if error.code in CONFLICTS:
                changes.problems.append(conflict(signal, [key for key, _ in index.keys]))
            else:
                changes.failed(f"{what} could not be made", error, todo(error))
            return
        if name not in there:
            changes.made.append(f"created {what}")


def todo(error: OperationFailure) -> str:
    """What to do about an index that could not be made."""
    if error.code == _CANNOT_CREATE and "too many indexes" in str(error):
        return "drop an index that you do not need"
    return ""


def conflict(signal: Signal, keys: list[str]) -> str:
    return (
        f"{signal.collection!r} has an index on {', '.join(keys)} that is unlike ours and stays as it is: drop it to "
        "have ours, which is then made within a minute"
    )


def _is_there(index: Index, there: Information) -> bool:
    """Whether there is one that serves as well, under whatever name."""
    wanted = {"sparse": True} if index.sparse else {}
    return any(
        list(found["key"]) == list(index.keys)
        and {option: found[option] for option in _TOLD_APART if found.get(option)} == wanted
        for found in there.values()
    )
