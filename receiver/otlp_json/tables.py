"""A schema as flat tables for the native converter, which reads them as they lie in memory (`native/schema.pxd`)."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from receiver.otlp_json.schema import FIXED32, LENGTH, Field, Kind, Message

_KINDS = {kind: number for number, kind in enumerate(Kind)}
_REPEATED, _PACKED, _PRESENCE = 1, 2, 4
_NONE = 2**32 - 1
_KEY_SIZES = 64
_MOST_FIELDS = 64
"""Of a message: each has a bit in a word."""
_FIELD = struct.Struct("=qQQ8I")
_KEY = struct.Struct("=4I")
_MESSAGE = struct.Struct(f"={_KEY_SIZES}I")


@dataclass(frozen=True, slots=True)
class Tables:
    """What a message type, and all that it can hold, consists of."""

    messages: bytes
    """A row each, the outermost first: for each length of a key, the first of those in `keys`."""
    fields: bytes
    keys: bytes
    """Lists of names, chained: of fields, by length, and of the values of enums."""
    text: bytes
    """The names, one after the other."""
    names: tuple[str, ...]
    """As in `keys`."""


def tables_of(message: Message) -> Tables:
    """The tables of a message type.

    Raises:
        ValueError: a future version of OTLP has a message that they have no room for.
    """
    builder = _Builder()
    builder.message(message)
    return builder.tables()


class _Builder:
    def __init__(self) -> None:
        self._numbers: dict[Message, int] = {}
        self._messages: dict[int, bytes] = {}
        self._fields: list[bytes] = []
        self._keys: list[bytes] = []
        self._names: list[str] = []
        self._text = bytearray()

    def tables(self) -> Tables:
        messages = b"".join(self._messages[number] for number in range(len(self._messages)))
        return Tables(messages, b"".join(self._fields), b"".join(self._keys), bytes(self._text), tuple(self._names))

    def message(self, message: Message) -> int:
        if (number := self._numbers.get(message)) is None:
            number = self._numbers[message] = len(self._numbers)
            self._messages[number] = self._message(message)
        return number

    def _message(self, message: Message) -> bytes:
        if len(message.fields) > _MOST_FIELDS:
            raise ValueError(f"{message.name} has more than {_MOST_FIELDS} fields")
        oneofs = sorted({field.oneof for field in message.fields if field.oneof})
        first = [_NONE] * _KEY_SIZES
        for position, field in enumerate(message.fields):
            oneof = 1 << oneofs.index(field.oneof) if field.oneof else 0
            row, name = len(self._fields), len(self._keys)
            self._fields.append(b"")  # keeps its place: what is in it comes behind
            for key in dict.fromkeys((field.name, field.original_name)):
                if len(key) >= _KEY_SIZES:
                    raise ValueError(f"the name {key} in {message.name} is longer than {_KEY_SIZES - 1} letters")
                first[len(key)] = self._key(key, row, first[len(key)])
            self._fields[row] = self._field(field, position, oneof, name)
        return _MESSAGE.pack(*first)

    def _field(self, field: Field, position: int, oneof: int, name: int) -> bytes:
        return _FIELD.pack(
            field.integers.low,
            field.integers.high,
            oneof,
            field.number << 3 | (LENGTH if field.packed else field.wire_type),
            _KINDS[field.kind],
            field.repeated * _REPEATED | field.packed * _PACKED | field.presence * _PRESENCE,
            4 if field.wire_type == FIXED32 else 8,
            self.message(field.message) if field.message is not None else 0,
            self._enum(field.enum_numbers.items()),
            position,
            name,
        )

    def _enum(self, values: Iterable[tuple[str, int]]) -> int:
        following = _NONE
        for name, number in values:
            following = self._key(name, number & 0xFFFFFFFF, following)
        return following

    def _key(self, name: str, value: int, following: int) -> int:
        self._keys.append(_KEY.pack(len(self._text), len(name), value, following))
        self._names.append(name)
        self._text += name.encode()
        return len(self._keys) - 1
