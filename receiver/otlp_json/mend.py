"""What clients write into JSON though the mapping of Protocol Buffers has it otherwise, as far as its meaning is sure.

A document that the converters refuse is looked at once more, value by value: what is known to be meant is written as it
should be, and a record that cannot be read for all that is left out, so that the others are stored.
"""

from __future__ import annotations

import binascii
import math
from dataclasses import dataclass
from functools import cache
from typing import Any

from receiver.otlp_json.schema import Field, Kind, Message
from receiver.otlp_json.writer import MAX_DEPTH, compile_writer
from receiver.otlp_json.wrong import Wrong

_RECORDS = frozenset(
    {
        "Span",
        "LogRecord",
        "NumberDataPoint",
        "HistogramDataPoint",
        "ExponentialHistogramDataPoint",
        "SummaryDataPoint",
    }
)
_METRIC = "Metric"
_INT_TO_DOUBLE = {"intValue": "doubleValue", "int_value": "doubleValue", "asInt": "asDouble", "as_int": "asDouble"}
_INT64 = range(-(2**63), 2**63)
_ID_BYTES = {24: 16, 12: 8}
"""Of an id in base64, by the length of its text, which ends in padding and so is no hexadecimal number."""
_DOUBLES = {
    **dict.fromkeys(("inf", "+inf", "infinity", "+infinity"), "Infinity"),
    **dict.fromkeys(("-inf", "-infinity"), "-Infinity"),
    **dict.fromkeys(("nan", "+nan", "-nan"), "NaN"),
}

Place = tuple[str | int, ...]


@dataclass(slots=True)
class Mending:
    """What was done to a document."""

    rejected: int = 0
    """Records that were left out."""
    reason: str = ""
    """Of the first of them."""
    base64_ids: int = 0


def mend(document: Any, schema: Message) -> Mending:
    """Mend an export request in place."""
    mending = Mending()
    _spell(document, schema, mending, 1)
    _sift(document, schema, mending, 1, ())
    return mending


def _spell(document: Any, message: Message, mending: Mending, depth: int) -> None:
    """Write values as they should be written."""
    if type(document) is not dict or depth > MAX_DEPTH:
        return
    for key, value in list(document.items()):
        field = _fields(message).get(key)
        if field is None or value is None:
            continue
        if field.message is not None:
            for inner in value if type(value) is list else (value,):
                _spell(inner, field.message, mending, depth + 1)
        elif key in _INT_TO_DOUBLE:
            _spell_integer(document, key, value)
        elif field.kind is Kind.DOUBLE and type(value) is str:
            document[key] = _DOUBLES.get(value.lower(), value)
        elif field.kind is Kind.ID and type(value) is str:
            _spell_id(document, key, value, mending)


def _spell_integer(document: dict[str, Any], key: str, value: object) -> None:
    """A number that is no 64-bit integer was a double where it comes from: JavaScript writes both alike."""
    if _fits_64_bits(value):
        return
    try:
        number = float(value) if type(value) in (int, float, str) else math.nan  # type: ignore[arg-type]
    except (ValueError, OverflowError):
        return
    if math.isfinite(number):
        del document[key]
        document.setdefault(_INT_TO_DOUBLE[key], number)


def _fits_64_bits(value: object) -> bool:
    if type(value) is float:  # also an integer below -2^63, of which orjson makes the nearest float
        return value.is_integer() and -(2.0**63) < value < 2.0**63
    try:
        return type(value) in (int, str) and int(value) in _INT64  # type: ignore[call-overload]
    except ValueError:
        return False


def _spell_id(document: dict[str, Any], key: str, value: str, mending: Mending) -> None:
    size = _ID_BYTES.get(len(value))
    if size is None or not value.endswith("="):
        return
    try:
        identity = binascii.a2b_base64(value.replace("-", "+").replace("_", "/"), strict_mode=True)
    except binascii.Error:
        return
    if len(identity) == size:
        document[key] = identity.hex()
        mending.base64_ids += 1


def _sift(document: Any, message: Message, mending: Mending, depth: int, place: Place) -> None:
    """Leave out the records that cannot be read."""
    if type(document) is not dict:
        return
    for key, value in document.items():
        field = _fields(message).get(key)
        if field is None or field.message is None or not _holds_records(field.message):
            continue
        if not field.repeated:
            _sift(value, field.message, mending, depth + 1, (*place, key))
        elif type(value) is list:
            kept = []
            for index, item in enumerate(value):
                here = (*place, key, index)
                _sift(item, field.message, mending, depth + 1, here)
                count = max(1, _points(item)) if field.message.name == _METRIC else 1
                if _fits(item, field.message, mending, depth + 1, here, count):
                    kept.append(item)
            value[:] = kept


def _fits(item: Any, message: Message, mending: Mending, depth: int, place: Place, count: int) -> bool:
    """Whether a record can be read; counted where it cannot. Whatever holds records is judged as a whole, later."""
    if message.name not in _RECORDS and message.name != _METRIC:
        return True
    try:
        _writer(message)(item, depth)
    except Wrong as wrong:
        for step in reversed(place):
            wrong.within(step)
        mending.reason = mending.reason or str(wrong)
        mending.rejected += count
        return False
    return True


def _points(metric: Any) -> int:
    """Data points of a metric that cannot be read."""
    if type(metric) is not dict:
        return 0
    return sum(
        len(data[key])
        for data in metric.values()
        if type(data) is dict
        for key in ("dataPoints", "data_points")
        if type(data.get(key)) is list
    )


@cache
def _fields(message: Message) -> dict[str, Field]:
    return {name: field for field in message.fields for name in (field.original_name, field.name)}


@cache
def _holds_records(message: Message) -> bool:
    if message.name in _RECORDS:
        return True
    inner = {field.message for field in message.fields if field.message is not None and field.message is not message}
    # Values hold each other in circles, and never a record.
    return message.name not in {"AnyValue", "KeyValue", "Resource", "InstrumentationScope"} and any(
        map(_holds_records, inner)
    )


_writer = cache(compile_writer)
