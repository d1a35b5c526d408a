"""From parsed JSON to Protocol Buffers, without message objects.

A writer is compiled, once, for each message type: a table from the keys that JSON may have to functions that write
the field with that key. The fields stand in the output in the order in which the JSON has them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from receiver.otlp_json.scalars import Encode, encoder, varint
from receiver.otlp_json.schema import LENGTH, Field, Kind, Message
from receiver.otlp_json.wrong import Wrong

Write = Callable[[object, int], bytes]
"""Writes a value that stands so many messages deep. Raises Wrong."""

MAX_DEPTH = 100
"""Of messages in messages, the outermost counted, as in the parsers of Protocol Buffers."""
_SHORT = 128
"""Lengths below it take one byte."""
_DEFAULTS: Mapping[Kind, object] = {Kind.ID: "", Kind.BYTES: "", Kind.BOOL: False, Kind.DOUBLE: 0.0}
"""As in JSON. Of all other kinds: 0."""


def compile_writer(message: Message) -> Write:
    """A writer of messages of a type, that gives their bytes without tag and length."""
    return _Compiler().writer(message)


class _Compiler:
    def __init__(self) -> None:
        self._tables: dict[Message, dict[str, Write]] = {}

    def writer(self, message: Message) -> Write:
        known = self._tables.get(message)
        table = self._tables.setdefault(message, {})
        if known is None:
            table.update((field.name, self._field(field)) for field in message.fields)
        return _message(message, table)

    def _field(self, field: Field) -> Write:
        if field.message is not None:
            inner = self.writer(field.message)
            return _messages(field, inner) if field.repeated else _one_message(field, inner)
        if field.repeated:
            return _packed(field) if field.packed else _repeated(field)
        return _string(field) if field.kind is Kind.STRING else _scalar(field)


def _message(message: Message, table: Mapping[str, Write]) -> Write:
    names = {field.original_name: field.name for field in message.fields}
    oneofs = _oneofs(message)

    def write(document: object, depth: int) -> bytes:
        if type(document) is not dict:
            raise Wrong("an object", document)
        if depth > MAX_DEPTH:
            raise Wrong(
                f"nested at most {MAX_DEPTH} messages deep (31 maps or 47 arrays in each other, for a value)", document
            )
        if oneofs and len(document) > 1:
            _check_oneofs(document, oneofs)
        parts = []
        key = ""
        try:
            for key, value in document.items():
                write_field = table.get(key)
                if write_field is None and (name := names.get(key)) is not None:
                    _check_given_once(document, key, name)
                    write_field = table[name]
                if write_field is not None and value is not None:
                    parts.append(write_field(value, depth + 1))
        except Wrong as wrong:
            wrong.within(key)
            raise
        return b"".join(parts)

    return write


def _one_message(field: Field, inner: Write) -> Write:
    delimit = _delimiter(field)

    def write(value: object, depth: int) -> bytes:
        return delimit(inner(value, depth))

    return write


def _messages(field: Field, inner: Write) -> Write:
    tag, short = _tag(field), _short_prefixes(field)

    def write(values: object, depth: int) -> bytes:
        if type(values) is not list:
            raise Wrong("an array", values)
        parts: list[bytes] = []
        for index, value in enumerate(values):
            try:
                body = inner(value, depth)
            except Wrong as wrong:
                wrong.within(index)
                raise
            size = len(body)
            parts.append(short[size] if size < _SHORT else tag + varint(size))
            parts.append(body)
        return b"".join(parts)

    return write


def _string(field: Field) -> Write:
    tag, short, presence = _tag(field), _short_prefixes(field), field.presence

    def write(value: object, _depth: int) -> bytes:
        if type(value) is not str:
            raise Wrong("a string", value)
        if not value and not presence:
            return b""
        body = value.encode()
        size = len(body)
        return short[size] + body if size < _SHORT else tag + varint(size) + body

    return write


def _scalar(field: Field) -> Write:
    tag, presence = _tag(field), field.presence
    encode = _delimited(field)
    default = encode(_DEFAULTS.get(field.kind, 0))

    def write(value: object, _depth: int) -> bytes:
        body = encode(value)
        if body is None or (body == default and not presence):
            return b""
        return tag + body

    return write


def _repeated(field: Field) -> Write:
    tag, encode = _tag(field), _delimited(field)
    return _elements(encode, lambda parts: b"".join([tag + part for part in parts]))


def _packed(field: Field) -> Write:
    delimit = _delimiter(field)
    return _elements(encoder(field), lambda parts: delimit(b"".join(parts)) if parts else b"")


def _elements(encode: Encode, join: Callable[[list[bytes]], bytes]) -> Write:
    def write(values: object, _depth: int) -> bytes:
        if type(values) is not list:
            raise Wrong("an array", values)
        parts: list[bytes] = []
        for index, value in enumerate(values):
            try:
                body = encode(value)
            except Wrong as wrong:
                wrong.within(index)
                raise
            if body is not None:
                parts.append(body)
        return join(parts)

    return write


def _delimited(field: Field) -> Encode:
    """The encoder of a value with what follows the tag: its length where the type has one."""
    encode = encoder(field)
    if field.wire_type != LENGTH:
        return encode

    def delimited(value: object) -> bytes | None:
        body = encode(value)
        return None if body is None else varint(len(body)) + body

    return delimited


def _delimiter(field: Field) -> Callable[[bytes], bytes]:
    tag, short = _tag(field, LENGTH), _short_prefixes(field)

    def delimit(body: bytes) -> bytes:
        size = len(body)
        return short[size] + body if size < _SHORT else tag + varint(size) + body

    return delimit


def _tag(field: Field, wire_type: int | None = None) -> bytes:
    return varint(field.number << 3 | (field.wire_type if wire_type is None else wire_type))


def _short_prefixes(field: Field) -> list[bytes]:
    return [_tag(field, LENGTH) + varint(size) for size in range(_SHORT)]


def _oneofs(message: Message) -> Mapping[str, str]:
    """The group of each field that is in one, by both of its names."""
    return {name: field.oneof for field in message.fields if field.oneof for name in (field.name, field.original_name)}


def _check_oneofs(document: Mapping[str, object], oneofs: Mapping[str, str]) -> None:
    chosen: dict[str, str] = {}
    for key, value in document.items():
        if value is not None and (oneof := oneofs.get(key)) is not None:
            other = chosen.setdefault(oneof, key)
            if other != key:
                wrong = Wrong(f"absent where {other} is given, as they exclude each other", value)
                wrong.within(key)
                raise wrong


def _check_given_once(document: Mapping[str, object], key: str, name: str) -> None:
    if document[key] is not None and document.get(name) is not None:
        raise Wrong(f"absent where {name} is given, as they are the same field", document[key])
