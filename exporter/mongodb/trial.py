"""Trying whether a MongoDB lets us do all that storing needs, without leaving anything behind.

Privileges are found out by trying, since roles differ between products and versions:

- In a collection of our own, `COLLECTION`, everything is done for real and the collection is dropped.
- In the collections of the records, only what cannot change anything: an insert of a document that MongoDB refuses
  (its `_id` is an array) after it has looked at the privileges and the write concern; a search and a deletion for an
  `_id` that nobody has; an index that is there already.
- A user that may use the records' collections only gets the second part alone. What cannot be tried there without
  changing something, making a collection or an index that is not there, is read from the list of its privileges.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bson import encode
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions
from pymongo import IndexModel, WriteConcern
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure

from exporter.interfaces import Documents, InsertResult
from exporter.mongodb import failures
from exporter.mongodb.explain import Step, explain
from exporter.signals import DEAD_LETTERS, SIGNALS

COLLECTION = "otlp_mongo_check"
_MARK = "otlpMongoCheck"
_RECORDS = tuple(signal.collection for signal in SIGNALS.values())
_ALL = (*_RECORDS, DEAD_LETTERS)
_NOBODY = "otlp-mongo check"
"""An `_id` that no document has."""
_MAX_TIME = 5000
"""Milliseconds for one command."""
_UNAUTHORISED = 13
_NO_COLLECTION, _INDEX_NOT_FOUND, _COLLECTION_EXISTS = 26, 27, 48
_CODEC = CodecOptions[dict[str, Any]](uuid_representation=UuidRepresentation.STANDARD)

Insert = Callable[[str, Documents], Awaitable[InsertResult]]


class Unfit(Exception):
    """Nothing can be stored there; there is no use in trying the rest. The text says why."""


@dataclass(slots=True)
class Findings:
    """What came of a trial."""

    tried: str = ""
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    missing: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Actions that the user may not do, by collection; empty name: the database."""


class Trial:
    """Tries one database, once."""

    def __init__(self, database: AsyncDatabase[Any], insert: Insert, *, make_collections: bool) -> None:
        """`insert`: as records are inserted. `make_collections`: whether collections and indexes are ours to make."""
        self._database = database
        self._insert = insert
        self._make_collections = make_collections
        self._findings = Findings()
        self._types: Mapping[str, str] = {}

    async def run(self) -> Findings:
        """Try all.

        Raises:
            Unfit: MongoDB refuses everything.
            PyMongoError, DestinationUnavailable: it does not answer.
        """
        self._types = await self._look()
        for name in _ALL:
            await self._try_records(name)
        if self._findings.missing:
            return self._findings  # the rest would only say the same
        privileges = await self._privileges()
        if privileges is None or _covers(privileges, self._database.name, COLLECTION):
            await self._try_for_real()
            self._findings.tried = f"insert, search, deletion and what else is needed were tried in {COLLECTION}"
        else:
            await self._try_harmlessly(privileges)
            self._findings.tried = "its user may use our collections only: tried there what changes nothing"
        return self._findings

    async def _look(self) -> Mapping[str, str]:
        """The types of the collections there are, as far as the user may know."""
        found: dict[str, str] = {}
        try:
            cursor = await self._database.list_collections(nameOnly=True, authorizedCollections=True)
            async for details in cursor:
                found[details["name"]] = details.get("type", "collection")
        except OperationFailure as error:
            self._judge("listing collections", "listCollections", "", error, needed=self._make_collections)
        for name in _ALL:
            if (kind := found.get(name, "collection")) not in ("collection", "timeseries"):
                self._findings.problems.append(f"{name!r} is a {kind}, which takes no documents: rename it")
        return found

    async def _try_records(self, name: str) -> None:
        await self._attempt(f"inserting into {name}", "insert", name, self._refused_insert(name))
        await self._attempt(f"reading {name}", "find", name, self._database[name].find_one({"_id": _NOBODY}))
        if name == DEAD_LETTERS:
            await self._attempt(
                f"deleting from {name}", "remove", name, self._database[name].delete_one({"_id": _NOBODY}), needed=False
            )

    async def _refused_insert(self, name: str) -> None:
        """MongoDB looks at privileges and write concern, and takes no document whose `_id` is an array."""
        reply = await self._database.command(
            {
                "insert": name,
                "documents": [{"_id": [_NOBODY]}],
                "ordered": False,
                "writeConcern": self._database.write_concern.document,
                "maxTimeMS": _MAX_TIME,
            }
        )
        if error := reply.get("writeConcernError"):
            problem = str(failures.from_write_concern_error(error).error)
            text = f"{problem}; look at w, journal and wTimeoutMS in its URI"
            if text not in self._findings.problems:
                self._findings.problems.append(text)

    async def _try_for_real(self) -> None:
        if await self._is_somebody_elses():
            self._findings.warnings.append(f"{COLLECTION!r} holds documents of somebody else: nothing was tried in it")
            return
        if self._findings.problems:
            return  # with a write concern that cannot be met, whatever is made may not be removed again
        collection = self._database[COLLECTION]
        key = uuid.uuid4()
        try:
            if self._make_collections:
                await self._attempt("making a collection", "createCollection", "", self._create())
                await self._try_indexes()
            await self._attempt(f"inserting into {COLLECTION}", "insert", "", self._insert_marked(key))
            found = collection.with_options(_CODEC).find_one({"_id": key})
            await self._attempt(f"reading {COLLECTION}", "find", "", found)
            deletion = collection.with_options(_CODEC).delete_one({"_id": key})
            await self._attempt(f"deleting from {COLLECTION}", "remove", "", deletion, needed=False)
        finally:
            await self._remove()

    async def _is_somebody_elses(self) -> bool:
        try:
            return await self._database[COLLECTION].find_one({_MARK: {"$exists": False}}) is not None
        except OperationFailure:
            return False

    async def _create(self) -> None:
        await self._tolerant(self._database.create_collection(COLLECTION, check_exists=False), _COLLECTION_EXISTS)

    async def _insert_marked(self, key: uuid.UUID) -> None:
        content = encode({"_id": key, _MARK: True, "time": datetime.now(UTC)}, codec_options=_CODEC)
        result = await self._insert(COLLECTION, Documents(content, (0, len(content))))
        if result.refusals:
            self._findings.problems.append(f"inserting into {COLLECTION}: {result.refusals[0].reason}")

    async def _try_indexes(self) -> None:
        collection = self._database[COLLECTION]
        models = [IndexModel([("name", 1), ("time", -1)]), IndexModel([("time", 1)], name="ttl", expireAfterSeconds=60)]
        await self._attempt("making an index", "createIndex", "", collection.create_indexes(models))
        await self._attempt("listing indexes", "listIndexes", "", collection.index_information())
        await self._try_expiry(COLLECTION, {"index": {"name": "ttl", "expireAfterSeconds": 120}}, "ttl")

    async def _try_expiry(self, name: str, change: Mapping[str, Any], index: str) -> None:
        """A retention is changed in place, or, as `readWrite` has no collMod, by making its index anew."""
        try:
            await self._database.command({"collMod": name, **change})
        except OperationFailure as error:
            if error.code != _UNAUTHORISED:
                self._judge("changing a retention", "collMod", "", error)
                return
            drop = self._tolerant(self._database[name].drop_index(index), _INDEX_NOT_FOUND)
            await self._attempt("changing a retention", "dropIndex", name if name in _ALL else "", drop)

    async def _remove(self) -> None:
        """Without waiting for anybody but the primary: the write concern may be one that cannot be met."""
        hasty = self._database.with_options(write_concern=WriteConcern(w=1))
        try:
            await hasty[COLLECTION].drop()
        except OperationFailure as error:
            self._findings.warnings.append(f"{COLLECTION!r} could not be dropped again ({explain(error).reason})")

    async def _try_harmlessly(self, privileges: Iterable[Mapping[str, Any]]) -> None:
        if not self._make_collections:
            return
        for name in _RECORDS:
            if name not in self._types:
                actions = _actions(privileges, self._database.name, name)
                self._findings.missing[name] |= {"createCollection", "createIndex", "listIndexes"} - actions
                continue
            same = self._tolerant(self._database.create_collection(name, check_exists=False), _COLLECTION_EXISTS)
            await self._attempt(f"making {name}", "createCollection", name, same)
            if self._types[name] == "collection":
                known = {"createIndexes": name, "indexes": [{"key": {"_id": 1}, "name": "_id_"}]}
                await self._attempt(f"making an index of {name}", "createIndex", name, self._database.command(known))
                await self._try_expiry(name, {}, _NOBODY)
            listing = self._database[name].index_information()
            await self._attempt(f"listing the indexes of {name}", "listIndexes", name, listing)
        for name in [name for name, actions in self._findings.missing.items() if not actions]:
            del self._findings.missing[name]

    async def _tolerant(self, work: Awaitable[Any], *codes: int) -> None:
        try:
            await work
        except OperationFailure as error:
            if error.code not in (*codes, _NO_COLLECTION):
                raise

    async def _attempt(self, what: str, action: str, name: str, work: Awaitable[Any], *, needed: bool = True) -> None:
        try:
            await work
        except OperationFailure as error:
            self._judge(what, action, name, error, needed=needed)

    def _judge(self, what: str, action: str, name: str, error: OperationFailure, *, needed: bool = True) -> None:
        if error.code == _NO_COLLECTION:
            return  # another check has just dropped the one that both try
        explanation = explain(error)
        if explanation.step in (Step.AUTHENTICATION, Step.SETTINGS):
            raise Unfit(str(explanation)) from error
        if error.code == _UNAUTHORISED and needed:
            self._findings.missing[name].add(action)
        elif error.code == _UNAUTHORISED:
            self._findings.warnings.append(f"its user may not {action}: {what} is refused")
        else:
            self._findings.problems.append(f"{what}: {explanation}")

    async def _privileges(self) -> Iterable[Mapping[str, Any]] | None:
        """Those of the user; None where nobody has to be one."""
        try:
            status = await self._database.client.admin.command({"connectionStatus": 1, "showPrivileges": True})
        except OperationFailure:
            return None
        authentication = status["authInfo"]
        if not authentication["authenticatedUsers"]:
            return None
        privileges: Iterable[Mapping[str, Any]] = authentication["authenticatedUserPrivileges"]
        return privileges


def _covers(privileges: Iterable[Mapping[str, Any]], database: str, collection: str) -> bool:
    """Whether a collection of our own can be made, filled and removed."""
    return _actions(privileges, database, collection) >= {"insert", "find", "remove", "dropCollection"}


def _actions(privileges: Iterable[Mapping[str, Any]], database: str, collection: str) -> set[str]:
    """What the user may do with a collection (MongoDB manual, Resource Document)."""
    actions: set[str] = set()
    for privilege in privileges:
        resource = privilege["resource"]
        covers = resource.get("anyResource") or (
            resource.get("db") in ("", database) and resource.get("collection") in ("", collection)
        )
        if covers:
            actions.update(privilege["actions"])
    return actions
