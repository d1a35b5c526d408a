"""What OTLP's descriptors say about its messages in JSON, as far as writing them as Protocol Buffers needs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import cache
from itertools import takewhile

from google.protobuf.descriptor import Descriptor, FieldDescriptor

_ID_FIELDS = frozenset({"trace_id", "span_id", "parent_span_id"})

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
"""Wire types (protobuf.dev, "Encoding")."""


class Kind(Enum):
    """How a value looks in JSON and on the wire."""

    MESSAGE = auto()
    STRING = auto()
    ID = auto()
    """Bytes in hexadecimal digits."""
    BYTES = auto()
    """Bytes in base64."""
    BOOL = auto()
    ENUM = auto()
    DOUBLE = auto()
    INTEGER = auto()
    """As a varint."""
    ZIGZAG = auto()
    FIXED = auto()
    """An integer of 4 or 8 bytes, as the wire type says."""


@dataclass(frozen=True, slots=True)
class Integers:
    """The numbers that an integer type holds, both ends included."""

    low: int
    high: int


_INT32, _UINT32 = Integers(-(2**31), 2**31 - 1), Integers(0, 2**32 - 1)
_INT64, _UINT64 = Integers(-(2**63), 2**63 - 1), Integers(0, 2**64 - 1)

_TYPES: dict[int, tuple[Kind, int, Integers]] = {
    FieldDescriptor.TYPE_MESSAGE: (Kind.MESSAGE, LENGTH, _UINT64),
    FieldDescriptor.TYPE_STRING: (Kind.STRING, LENGTH, _UINT64),
    FieldDescriptor.TYPE_BYTES: (Kind.BYTES, LENGTH, _UINT64),
    FieldDescriptor.TYPE_BOOL: (Kind.BOOL, VARINT, _UINT64),
    FieldDescriptor.TYPE_ENUM: (Kind.ENUM, VARINT, _INT32),
    FieldDescriptor.TYPE_DOUBLE: (Kind.DOUBLE, FIXED64, _UINT64),
    FieldDescriptor.TYPE_INT32: (Kind.INTEGER, VARINT, _INT32),
    FieldDescriptor.TYPE_INT64: (Kind.INTEGER, VARINT, _INT64),
    FieldDescriptor.TYPE_UINT32: (Kind.INTEGER, VARINT, _UINT32),
    FieldDescriptor.TYPE_UINT64: (Kind.INTEGER, VARINT, _UINT64),
    FieldDescriptor.TYPE_SINT32: (Kind.ZIGZAG, VARINT, _INT32),
    FieldDescriptor.TYPE_SINT64: (Kind.ZIGZAG, VARINT, _INT64),
    FieldDescriptor.TYPE_FIXED32: (Kind.FIXED, FIXED32, _UINT32),
    FieldDescriptor.TYPE_FIXED64: (Kind.FIXED, FIXED64, _UINT64),
    FieldDescriptor.TYPE_SFIXED32: (Kind.FIXED, FIXED32, _INT32),
    FieldDescriptor.TYPE_SFIXED64: (Kind.FIXED, FIXED64, _INT64),
}
"""All types but `float` and `group`, which OTLP has not: a version of it with them fails on start, in `schema_of`."""


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """A field of a message."""

    name: str
    """As in JSON, in lowerCamelCase."""
    original_name: str
    """As in the .proto file, which JSON may have too."""
    number: int
    kind: Kind
    wire_type: int
    """Of one value."""
    integers: Integers
    repeated: bool
    packed: bool
    presence: bool
    """Whether a value at its default is told from none, and so written."""
    oneof: str | None
    """The group of fields of which a message has one at most."""
    message: Message | None
    enum_numbers: dict[str, int]
    """By the values' names, and by their `plain` ones, whole and without the words that they have in common."""


@dataclass(slots=True, eq=False)
class Message:
    """A message type. They refer to each other in circles, as values hold values."""

    name: str
    fields: Sequence[Field] = field(default=())


@cache
def schema_of(descriptor: Descriptor) -> Message:
    """The schema of a message and of all that it can hold."""
    return _message(descriptor, {})


def _message(descriptor: Descriptor, known: dict[str, Message]) -> Message:
    if (message := known.get(descriptor.full_name)) is None:
        message = known[descriptor.full_name] = Message(descriptor.name)
        message.fields = [_field(field, known) for field in descriptor.fields]
    return message


def _field(descriptor: FieldDescriptor, known: dict[str, Message]) -> Field:
    kind, wire_type, integers = _TYPES[descriptor.type]
    # OTLP specification 1.10, "JSON Protobuf Encoding": ids are hexadecimal, other bytes base64.
    if kind is Kind.BYTES and descriptor.name in _ID_FIELDS:
        kind = Kind.ID
    enum, oneof, message = descriptor.enum_type, descriptor.containing_oneof, descriptor.message_type
    return Field(
        name=descriptor.json_name,
        original_name=descriptor.name,
        number=descriptor.number,
        kind=kind,
        wire_type=wire_type,
        integers=integers,
        repeated=descriptor.is_repeated,
        packed=descriptor.is_packed,
        presence=descriptor.has_presence,
        # A group of one, as protobuf makes of an `optional` field, excludes nothing.
        oneof=oneof.name if oneof is not None and len(oneof.fields) > 1 else None,
        message=_message(message, known) if message is not None else None,
        enum_numbers=_spellings({value.name: value.number for value in enum.values}) if enum is not None else {},
    )


def plain(name: str) -> str:
    """An enum's name without case and separators: SDKs write SPAN_KIND_SERVER, Server, and what is between."""
    return "".join(letter for letter in name if letter.isascii() and letter.isalnum()).lower()


def _spellings(numbers: dict[str, int]) -> dict[str, int]:
    words = {name: name.split("_") for name in numbers}
    shared = sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, zip(*words.values(), strict=False)))
    short = {plain("_".join(words[name][shared:])): number for name, number in numbers.items()}
    short.pop("", None)
    return {**short, **{plain(name): number for name, number in numbers.items()}, **numbers}
