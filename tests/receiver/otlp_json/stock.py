"""The reading of OTLP/JSON that Protocol Buffers' own JSON parser gives: the oracle of the direct way.

It reads ids as base64, so they are rewritten before. Where it is laxer than the mapping that it implements
(protobuf.dev, "ProtoJSON Format"), `deliberate_differences` says so.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import orjson
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from exporter import Signal
from tests.descriptors import descriptor_of

IDS = {"trace_id", "span_id", "parent_span_id"}
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
ENUM = re.compile(r"-?[0-9]+|[A-Za-z_][A-Za-z0-9_]*")
BASE64 = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")
INTEGERS = {FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64} | {
    FieldDescriptor.CPPTYPE_UINT32,
    FieldDescriptor.CPPTYPE_UINT64,
}


def read(signal: Signal, body: bytes) -> Message | None:
    """The request, or None where it is refused."""
    message = signal.request()
    try:
        document = orjson.loads(body)
        _rewrite_ids(document, descriptor_of(signal.request))
        return json_format.ParseDict(document, message, ignore_unknown_fields=True, max_recursion_depth=100)
    # The stock parser lets more than its own errors out when a value is of another kind than it expects.
    except (json_format.ParseError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return None


def deliberate_differences(document: object, descriptor: Descriptor) -> Iterator[str]:
    """Why the direct way may judge otherwise. It refuses what the stock parser takes, but for the first."""
    if not isinstance(document, dict):
        yield "a message that is no object: the stock parser takes [] and strings for empty ones"
        return
    fields = dict(_fields(document, descriptor))
    for key in document:
        if key.startswith("["):
            yield "an unknown field with the name of an extension: the stock parser does not ignore it"
    for field in descriptor.fields:
        if field.name != field.json_name and {field.name, field.json_name} <= document.keys():
            yield "a field under both of its names: the stock parser merges"
    for key, field in fields.items():
        values = document[key] if isinstance(document[key], list) and field.is_repeated else [document[key]]
        for value in values:
            if field.message_type is not None:
                yield from deliberate_differences(value, field.message_type)
            elif value is not None and (difference := _difference(value, field)):
                yield difference


def _difference(value: object, field: FieldDescriptor) -> str | None:
    if field.cpp_type == field.CPPTYPE_ENUM and isinstance(value, bool | float):
        return "an enum that is a boolean or a fraction: the stock parser takes what int() makes of it"
    if field.cpp_type == field.CPPTYPE_ENUM and _is_past_32_bits(value):
        return "an enum past 32 bits: the stock parser keeps the lower ones"
    if field.cpp_type == field.CPPTYPE_ENUM and isinstance(value, str) and not ENUM.fullmatch(value):
        return "an enum in a string that no name can be: the stock parser ignores it or takes what int() makes of it"
    if field.cpp_type == field.CPPTYPE_DOUBLE and isinstance(value, bool):
        return "a double that is a boolean: the stock parser takes it for 0 or 1"
    if field.cpp_type == field.CPPTYPE_DOUBLE and isinstance(value, str) and not _is_finite_number(value):
        return "a double spelled as Python does (1_0, inf, +1) or past the largest: the stock parser takes it"
    if field.cpp_type in INTEGERS and isinstance(value, str) and not NUMBER.fullmatch(value):
        return "an integer spelled as Python does (1_0, +1): the stock parser takes it"
    if field.cpp_type in INTEGERS and value == -(2.0**63) and isinstance(value, float):
        return "an integer below the smallest, which orjson rounds to it"
    if field.type == field.TYPE_BYTES and field.name not in IDS and isinstance(value, str):
        return None if BASE64.fullmatch(value) else "base64 with other characters: the stock parser skips them"
    return None


def _is_past_32_bits(value: object) -> bool:
    if isinstance(value, int) or (isinstance(value, str) and re.fullmatch("-?[0-9]+", value)):
        return not -(2**31) <= int(value) < 2**31
    return False


def _is_finite_number(text: str) -> bool:
    return bool(NUMBER.fullmatch(text)) and abs(float(text)) != float("inf")


def _fields(document: dict[str, Any], descriptor: Descriptor) -> Iterator[tuple[str, FieldDescriptor]]:
    for field in descriptor.fields:
        for key in {field.name, field.json_name} & document.keys():
            yield key, field


def _rewrite_ids(document: object, descriptor: Descriptor) -> None:
    if not isinstance(document, dict):
        return
    for key, field in _fields(document, descriptor):
        value = document[key]
        if field.type == field.TYPE_BYTES and field.name in IDS and value is not None:
            document[key] = _base64(value)
        elif field.message_type is not None:
            for inner in value if isinstance(value, list) else [value]:
                _rewrite_ids(inner, field.message_type)


def _base64(digits: Any) -> str:
    decoded = bytes.fromhex(digits)
    if len(decoded) * 2 != len(digits):  # `fromhex` skips spaces
        raise ValueError(digits)
    return b64encode(decoded).decode()
