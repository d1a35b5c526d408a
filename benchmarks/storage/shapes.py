"""The documents as they are, and as they might be instead."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping
from typing import Any, Protocol

import bson
from blake3 import blake3
from bson import Binary, ObjectId

SERVICE = "resource.attributes.service.name"
_BEFORE_ID = 4
_AFTER_ID = 30
"""Where a UUID `_id` begins and ends when it is the first field (bsonspec.org)."""
_BINARY_ID, _OBJECT_ID = b"\x05_id\0\x10\0\0\0\x04", b"\x07_id\0"
_IDS = ("traceId", "spanId", "parentSpanId")


class Shape(Protocol):
    """Makes of a document as the sidecar stores it another one with the same content. One for each measurement."""

    def __call__(self, document: bytes) -> bytes: ...

    def of_service(self, name: str) -> Mapping[str, Any]:
        """The filter for the documents of a service."""
        ...


class AsStored:
    """The document as it is."""

    def __call__(self, document: bytes) -> bytes:
        return document

    def of_service(self, name: str) -> Mapping[str, Any]:
        return {SERVICE: name}


class RandomId(AsStored):
    """`_id` is a random UUID (version 4)."""

    def __init__(self) -> None:
        self._rng = random.Random(4)

    def __call__(self, document: bytes) -> bytes:
        number = self._rng.getrandbits(128) & ~(0xF << 76 | 3 << 62) | 4 << 76 | 2 << 62
        return document[:_BEFORE_ID] + _BINARY_ID + number.to_bytes(16) + document[_AFTER_ID:]


class ObjectIdId(AsStored):
    """`_id` is an ObjectId as a driver makes it: a time, a random part of the process's, a counter."""

    def __init__(self) -> None:
        self._process = ObjectId().binary[:9]
        self._counter = itertools.count()

    def __call__(self, document: bytes) -> bytes:
        field = _OBJECT_ID + self._process + next(self._counter).to_bytes(3)
        size = _BEFORE_ID + len(field) + len(document) - _AFTER_ID
        return size.to_bytes(4, "little") + field + document[_AFTER_ID:]


class BinaryIds(AsStored):
    """Trace and span ids are binary (subtype 0) instead of hex."""

    def __call__(self, document: bytes) -> bytes:
        fields = bson.decode(document)
        for name in _IDS:
            if name in fields:
                fields[name] = Binary(bytes.fromhex(fields[name]))
        return bson.encode(fields)


class ResourceReference:
    """`resource` is the hash of a resource that is stored once, elsewhere."""

    def __init__(self) -> None:
        self._hashes: dict[str, set[Binary]] = {}

    def __call__(self, document: bytes) -> bytes:
        fields = bson.decode(document)
        resource = fields["resource"]
        fields["resource"] = key = Binary(blake3(bson.encode(resource)).digest(length=16))
        self._hashes.setdefault(resource["attributes"]["service"]["name"], set()).add(key)
        return bson.encode(fields)

    def of_service(self, name: str) -> Mapping[str, Any]:
        """As the second of two queries; the first, for the hashes, is left out."""
        return {"resource": {"$in": sorted(self._hashes[name])}}


class NoTrace(AsStored):
    """As logs are that were written outside of any span."""

    def __call__(self, document: bytes) -> bytes:
        fields = bson.decode(document)
        return bson.encode({name: value for name, value in fields.items() if name not in _IDS})
