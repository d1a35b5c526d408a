"""Single values: from OTLP's types to BSON's (docs/documents.md, Values)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from bson import Decimal128, Int64
from bson.datetime_ms import DatetimeMS
from google.protobuf.descriptor import EnumDescriptor

Document = dict[str, Any]

_MAX_INT64 = 2**63 - 1
_MIN_INT64 = -(2**63)


def text(raw: bytes) -> str | bytes:
    """A string; its bytes when they are not valid UTF-8."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def integer(value: int) -> Int64 | Decimal128:
    """A 64-bit integer of either sign, and the difference of two."""
    return Int64(value) if _MIN_INT64 <= value <= _MAX_INT64 else Decimal128(str(value))


def date(unix_nano: int) -> DatetimeMS:
    """Unix nanoseconds as a date, rounded down to its milliseconds."""
    return DatetimeMS(unix_nano // 1_000_000)


def put_time(document: Document, name: str, unix_nano: int) -> None:
    """Write a time both ways, unless there is none."""
    if unix_nano:
        document[name] = date(unix_nano)
        document[f"{name}UnixNano"] = integer(unix_nano)


def put_id(document: Document, name: str, raw: bytes) -> None:
    """Write the id of a trace or a span, unless there is none."""
    if raw:
        document[name] = raw.hex()


def put_text(document: Document, name: str, raw: bytes) -> None:
    """Write a string, unless it is empty."""
    if raw:
        document[name] = text(raw)


def put_number(document: Document, name: str, value: int) -> None:
    """Write a 32-bit integer, unless it is 0. BSON gives a `uint32` that is no int32 the int64 it needs."""
    if value:
        document[name] = value


def is_default(value: float) -> bool:
    """Whether protobuf would leave out this double: 0.0 it does, -0.0 not."""
    return value == 0 and math.copysign(1, value) > 0


def short_names(enum: EnumDescriptor, prefix: str) -> Mapping[int, str]:
    """From the numbers of an enum to its names without their prefix."""
    return {value.number: value.name.removeprefix(prefix) for value in enum.values}
