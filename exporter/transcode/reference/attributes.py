"""Attribute lists and `AnyValue` (docs/documents.md, Attributes)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from bson import Int64

from exporter.transcode.reference.messages import Proto
from exporter.transcode.reference.values import Document, text

MAX_LEVEL = 64
UNNESTED = "attributesUnnested"

_CACHED_KEY_BYTES = 128
_MISSING = object()

Path = tuple[str, ...]


class Map(dict[str, Any]):
    """A sub-document that came as a value. One that came of nesting is a plain `dict`, which later keys may enter."""


def put_attributes(document: Document, name: str, pairs: Iterable[Proto], level: int) -> None:
    """Write an attribute list to the fields `<name>` and `<name>Unnested`.

    `level`: how deep these two fields stand; a field of the whole document stands at level 1.
    """
    placed: Document = {}
    unplaced = _place(pairs, placed, level, level)
    if placed:
        document[name] = placed
    if unplaced:
        document[f"{name}Unnested"] = unplaced


def any_value(value: Proto, level: int) -> Any:
    """What an `AnyValue` that stands at a level becomes."""
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return text(value.string_value)
    if kind == "int_value":
        return Int64(value.int_value)
    if kind == "array_value":
        return [any_value(element, level + 1) for element in value.array_value.values]
    if kind == "kvlist_value":
        return _map(value.kvlist_value.values, level)
    if kind is None or kind == "string_value_strindex":
        return None
    return getattr(value, kind)


def _map(pairs: Iterable[Proto], level: int) -> Map:
    document = Map()
    if unplaced := _place(pairs, document, level, level + 1):
        document[UNNESTED] = unplaced
    return document


def _place(pairs: Iterable[Proto], root: Document, level: int, unplaced_level: int) -> list[Document]:
    """Write what can be placed to `root`, which stands at `level`, and return the rest."""
    unplaced: list[Document] = []
    for pair in pairs:
        key = pair.key
        path = _cached_path(key) if len(key) <= _CACHED_KEY_BYTES else _path(key)
        holder = _holder(root, path) if path and level + len(path) <= MAX_LEVEL else None
        if holder is None:
            unplaced.append({"k": text(key), "v": any_value(pair.value, unplaced_level + 2)})
        else:
            holder[path[-1]] = any_value(pair.value, level + len(path))
    return unplaced


def _path(key: bytes) -> Path:
    """The segments of a key; none when it cannot be placed anywhere."""
    try:
        path = tuple(key.decode().split("."))
    except UnicodeDecodeError:
        return ()
    if b"\0" in key or any(not segment or segment[0] == "$" or segment == UNNESTED for segment in path):
        return ()
    return path


_cached_path = lru_cache(maxsize=8192)(_path)
"""The same keys come again and again. Long ones are not worth their memory."""


def _holder(root: Document, path: Path) -> Document | None:
    """The sub-document for the last segment of a path, made on the way; None when a field of before is in the way.

    What is made is made only where nothing was, so nothing more can be in the way: a key that fails leaves no trace.
    """
    holder = root
    for segment in path[:-1]:
        field = holder.get(segment, _MISSING)
        if field is _MISSING:
            field = holder[segment] = {}
        elif type(field) is not dict:
            return None
        holder = field
    return None if path[-1] in holder else holder
