"""Messages of any type with fields of all kinds, and their JSON."""

from __future__ import annotations

import base64
import math
import random
from collections.abc import Sequence
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from tests.descriptors import descriptor_of

IDS = {"traceId", "spanId", "parentSpanId"}
EXTREMES: dict[str, Sequence[Any]] = {
    "int32": [0, 1, -(2**31), 2**31 - 1],
    "uint32": [1, 2**32 - 1],
    "int64": [0, -1, 2**53 + 1, -(2**63), 2**63 - 1],
    "uint64": [1, 2**53 + 1, 2**64 - 1],
    "double": [0.0, -0.0, 1.5, 5e-324, 1.7976931348623157e308, math.nan, math.inf, -math.inf],
    "bool": [False, True],
    "string": ["", "GET /", "ü\U0001f600", 'a"b\\c', "\0", "Infinity"],
    "bytes": [b"", b"\0", b"\xfb\xff\xfe", bytes(range(16))],
}
TYPES = {1: "double", 2: "double", 3: "int64", 4: "uint64", 5: "int32", 6: "uint64", 7: "uint32", 8: "bool"} | {
    9: "string", 12: "bytes", 13: "uint32", 14: "int32", 15: "int32", 16: "int64", 17: "int32", 18: "int64"
}  # fmt: skip


def any_message(kind: type[Message], rng: random.Random, depth: int = 0) -> Message:
    """A message of a type with fields of all kinds, enum numbers that nobody has named included.

    Drawn from a seed: a tree of Hypothesis' own strategies takes seconds for each message.
    """
    message = kind()
    for field in descriptor_of(kind).fields:
        # Down to the records nearly everything is there; values in values grow rare.
        if rng.random() > (0.9 if field.is_repeated and depth < 4 else 0.5 / max(1, depth - 4)):
            continue
        count = rng.choice([1, 1, 2]) if field.is_repeated else 1
        values: list[Any]
        if field.message_type is not None:
            values = [any_message(GetMessageClass(field.message_type), rng, depth + 1) for _ in range(count)]
        else:
            values = [rng.choice(EXTREMES[TYPES[field.type]]) for _ in range(count)]
        if field.is_repeated:
            getattr(message, field.name).extend(values)
        elif field.message_type is not None:
            getattr(message, field.name).CopyFrom(values[0])
        else:
            setattr(message, field.name, values[0])
    return message


def as_otlp(message: Message, rng: random.Random) -> dict[str, Any]:
    """A message as OTLP's specification wants it in JSON; written apart from the parser under test."""
    document: dict[str, Any] = {}
    for field, value in message.ListFields():
        if field.is_repeated:
            document[field.json_name] = [_value(field, element, rng) for element in value]
        else:
            document[field.json_name] = _value(field, value, rng)
    if rng.random() < 0.2:
        document["aFieldOfTheFuture"] = {"traceId": [1]}
    return document


def _value(field: FieldDescriptor, value: Any, rng: random.Random) -> Any:
    if field.message_type is not None:
        return as_otlp(value, rng)
    if field.type == field.TYPE_BYTES:
        if field.json_name in IDS:
            return rng.choice([value.hex(), value.hex().upper()])
        return base64.b64encode(value).decode()
    if field.cpp_type in (field.CPPTYPE_INT64, field.CPPTYPE_UINT64):
        return rng.choice([value, str(value)])
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
