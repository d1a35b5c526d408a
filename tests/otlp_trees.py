"""The canonical form in which tests compare records with their documents.

A message is a `dict` of those of its fields that are set, by their OTLP names; doubles are their eight bytes, strings
are bytes. Two forms are equal exactly when docs/documents.md gives them the same document, which it does for
- a message that is there but empty, and one that is not there (but for elements of arrays, and a log's body);
- a string that is not valid UTF-8, and the same bytes as `bytes` (in an `AnyValue`);
- an `AnyValue` without a value, and one that refers to a profile's string table;
- attributes that nest on the dots of their keys, and maps that hold the same.

Attribute lists are nested here by a model of the page's rules that has nothing in common with the transcoders: it
compares whole paths.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

Tree = dict[str, Any]
Path = tuple[str, ...]

_DEEPEST = 64
_LEVELS = {
    "Span": 1,
    "LogRecord": 1,
    "Resource": 2,
    "InstrumentationScope": 2,
    "Metric": 2,
    "Event": 3,
    "Link": 3,
    "Exemplar": 3,
}
_DATA_POINT_LEVEL = 1


class Map(NamedTuple):
    """An attribute list, a map, or a sub-document that came of nesting."""

    fields: tuple[tuple[str, Any], ...]
    unplaced: tuple[tuple[bytes, Any], ...] = ()


def double(value: float) -> bytes:
    return struct.pack("<d", value)


def string(raw: bytes) -> tuple[str, bytes]:
    """A string as a value of an attribute."""
    try:
        raw.decode()
    except UnicodeDecodeError:
        return ("bytes", raw)
    return ("string", raw)


def records(request: Any) -> Iterator[Tree]:
    """The records of a request (of `REQUESTS`), each with all that its document should tell."""
    for resource in _only_list(request):
        shared = {"resource": _owner(resource, "resource")}
        for scope in _only_list(resource):
            for record in _only_list(scope):
                both = shared | {"scope": _owner(scope, "scope")}
                if record.DESCRIPTOR.name == "Metric":
                    yield from (both | point for point in _points(record))
                else:
                    yield both | {"record": _tree(record)}


def _only_list(message: Any) -> Any:
    """What a request, a resource's or a scope's group holds: its one repeated field."""
    (name,) = (field.name for field in message.DESCRIPTOR.fields if field.is_repeated)
    return getattr(message, name)


def _owner(group: Any, name: str) -> Tree:
    tree = _tree(getattr(group, name))
    return tree | ({"schema_url": group.schema_url} if group.schema_url else {})


def _points(metric: Any) -> Iterator[Tree]:
    kind = metric.WhichOneof("data")
    if kind is None:
        return
    data = getattr(metric, kind)
    head = {name: value for name, value in _tree(metric).items() if name != kind}
    head[kind] = {name: value for name, value in _tree(data).items() if name != "data_points"}
    for point in data.data_points:
        yield {"metric": head, "record": _tree(point)}


def _tree(message: Any) -> Tree:
    tree: Tree = {}
    for field, value in message.ListFields():
        kind = field.message_type.name if field.message_type else None
        if kind == "KeyValue":
            level = _LEVELS.get(message.DESCRIPTOR.name, _DATA_POINT_LEVEL)
            tree[field.name] = _nested(value, level, level + 2)
        elif kind == "AnyValue":
            tree[field.name] = _value(value, 1)
        elif kind and field.is_repeated:
            tree[field.name] = [_tree(element) for element in value]
        elif kind:
            if inner := _tree(value):
                tree[field.name] = inner
        elif field.is_repeated:
            tree[field.name] = [_scalar(element) for element in value]
        else:
            tree[field.name] = _scalar(value)
    return tree


def _scalar(value: Any) -> Any:
    return double(value) if isinstance(value, float) else value


def _value(message: Any, level: int) -> Any:
    kind = message.WhichOneof("value")
    if kind in {None, "string_value_strindex"}:
        return ("null",)
    value = getattr(message, kind)
    match kind:
        case "string_value":
            return string(value)
        case "array_value":
            return ("array", tuple(_value(element, level + 1) for element in value.values))
        case "kvlist_value":
            return _nested(value.values, level, level + 3)
        case _:
            return (kind.removesuffix("_value"), _scalar(value))


def _nested(pairs: Iterable[Any], level: int, unplaced_level: int) -> Map:
    placed: dict[Path, Any] = {}
    unplaced = []
    for pair in pairs:
        path = _path(pair.key)
        if path is None or level + len(path) > _DEEPEST or any(_clash(path, other) for other in placed):
            unplaced.append((pair.key, _value(pair.value, unplaced_level)))
        else:
            placed[path] = _value(pair.value, level + len(path))
    return Map(_grouped(list(placed.items())), tuple(unplaced))


def _path(key: bytes) -> Path | None:
    try:
        path = tuple(key.decode().split("."))
    except UnicodeDecodeError:
        return None
    bad = b"\0" in key or "" in path or "attributesUnnested" in path or any(name.startswith("$") for name in path)
    return None if bad else path


def _clash(path: Path, other: Path) -> bool:
    shorter = min(len(path), len(other))
    return path[:shorter] == other[:shorter]


def _grouped(entries: list[tuple[Path, Any]]) -> tuple[tuple[str, Any], ...]:
    fields = []
    for name in dict.fromkeys(path[0] for path, _ in entries):
        below = [(path[1:], value) for path, value in entries if path[0] == name]
        fields.append((name, Map(_grouped(below)) if below[0][0] else below[0][1]))
    return tuple(fields)
