"""Collections in memory, with as much of MongoDB's commands as our product uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import bson
from bson.binary import Binary
from bson.int64 import Int64

Document = Mapping[str, Any]
_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "number": (int, float),
    "long": Int64,
    "string": str,
    "date": datetime,
    "binData": (bytes, Binary),
}


@dataclass(slots=True)
class Collection:
    """Its documents by their encoded `_id`, and its indexes by their name."""

    options: dict[str, Any] = field(default_factory=dict)
    documents: dict[bytes, dict[str, Any]] = field(default_factory=dict)
    indexes: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {"_id_": {"v": 2, "key": {"_id": 1}, "name": "_id_"}}
    )

    def insert(self, document: dict[str, Any]) -> bool:
        """False when a unique index holds its key already."""
        key = bson.encode({"_id": document["_id"]})
        if key in self.documents or any(self._holds(index, document) for index in self.indexes.values()):
            return False
        self.documents[key] = document
        return True

    def find(self, query: Document) -> list[dict[str, Any]]:
        if set(query) == {"_id"} and isinstance(query["_id"], Mapping) and set(query["_id"]) == {"$in"}:
            keys = (bson.encode({"_id": value}) for value in query["_id"]["$in"])
            return [self.documents[key] for key in keys if key in self.documents]
        return [document for document in self.documents.values() if matches(document, query)]

    def delete(self, query: Document) -> int:
        gone = [key for key, document in self.documents.items() if matches(document, query)]
        for key in gone:
            del self.documents[key]
        return len(gone)

    def _holds(self, index: Document, document: Document) -> bool:
        if not index.get("unique"):
            return False
        values = [_values(document, name) for name in index["key"]]
        return any([_values(other, name) for name in index["key"]] == values for other in self.documents.values())


def matches(document: Document, query: Document) -> bool:
    """As much of MongoDB's query language as is asked for."""
    return all(_matches(document, name, wanted) for name, wanted in query.items())


def _matches(document: Document, name: str, wanted: Any) -> bool:
    if name in ("$or", "$and", "$nor"):
        found = [matches(document, query) for query in wanted]
        return all(found) if name == "$and" else any(found) is (name == "$or")
    values = _values(document, name)
    if not (isinstance(wanted, Mapping) and next(iter(wanted), "").startswith("$")):
        return wanted in values
    for operator, operand in wanted.items():
        match operator:
            case "$exists":
                holds = bool(values) is bool(operand)
            case "$in":
                holds = any(value in operand for value in values)
            case "$ne":
                holds = operand not in values
            case "$type":
                holds = any(isinstance(value, _TYPES[operand]) for value in values)
            case "$gt":
                holds = any(isinstance(value, type(operand)) and value > operand for value in values)
            case _:
                raise NotImplementedError(operator)
        if not holds:
            return False
    return True


def _values(document: Any, path: str) -> list[Any]:
    name, _, rest = path.partition(".")
    if not isinstance(document, Mapping) or name not in document:
        return []
    return _values(document[name], rest) if rest else [document[name]]
