"""OTLP/JSON to OTLP protobuf, and back.

OTLP/JSON is the JSON mapping of Protocol Buffers but for trace and span ids, which are hexadecimal there (OTLP
specification 1.10, "JSON Protobuf Encoding"). So the ids are rewritten to base64, wherever the schema has them and
nowhere else, and the stock parser does the rest.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError

from exporter import MalformedPayload, Signal

_ID_FIELDS = frozenset({"trace_id", "span_id", "parent_span_id"})
_COMMON = "opentelemetry.proto.common.v1"
"""Attributes and values: recursive, and without ids whatever their keys are called."""
_MAX_DEPTH = 100
"""Of messages in messages, as in the binary parsers of Protocol Buffers."""


def to_protobuf(signal: Signal, body: bytes) -> bytes:
    """The protobuf form of an export request in JSON.

    Takes CPU time in proportion to the body: call it in a thread for more than a few KiB.

    Raises:
        MalformedPayload: it is no JSON, or not that of the signal's export request.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedPayload(f"the body is no valid JSON: {error}") from error
    if not isinstance(document, dict):
        raise MalformedPayload(f"the body must be a JSON object, not {_kind(document)}")
    message = signal.request()
    if (plan := _plan(message.DESCRIPTOR)) is not None:
        _rewrite_ids(document, plan, "", _base64)
    try:
        json_format.ParseDict(document, message, ignore_unknown_fields=True, max_recursion_depth=_MAX_DEPTH)
        return message.SerializeToString()
    # The stock parser lets more than its own errors out when a value is of another kind than it expects.
    except (json_format.ParseError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise MalformedPayload(f"the JSON is no {signal.request.__name__}: {error}") from error


def from_protobuf(signal: Signal, payload: bytes) -> bytes:
    """The JSON form of an export request, on one line.

    Raises:
        MalformedPayload: it is none, or has strings that are not UTF-8, which JSON cannot hold.
    """
    try:
        message = signal.request.FromString(payload)
    except DecodeError as error:
        raise MalformedPayload(f"not every string of the payload is valid UTF-8: {error}") from error
    document = json_format.MessageToDict(message, use_integers_for_enums=True)
    if (plan := _plan(message.DESCRIPTOR)) is not None:
        _rewrite_ids(document, plan, "", _hexadecimal)
    return orjson.dumps(document)


@dataclass(slots=True)
class _Plan:
    """Where in a message, and in the messages in it, ids are, by the keys that JSON may have."""

    ids: frozenset[str]
    messages: Mapping[str, _Plan]


@cache
def _plan(descriptor: Descriptor) -> _Plan | None:
    """None: there are no ids in such a message. No type with ids in it contains itself, which ends the recursion."""
    ids: set[str] = set()
    messages: dict[str, _Plan] = {}
    for field in descriptor.fields:
        keys = (field.name, field.json_name)
        if field.type == field.TYPE_BYTES and field.name in _ID_FIELDS:
            ids.update(keys)
        elif field.message_type is None or field.message_type.file.package == _COMMON:
            continue
        elif (inner := _plan(field.message_type)) is not None:
            messages.update(dict.fromkeys(keys, inner))
    return _Plan(frozenset(ids), messages) if ids or messages else None


def _rewrite_ids(document: dict[str, Any], plan: _Plan, path: str, rewrite: Callable[[object, str], str]) -> None:
    for key in plan.ids & document.keys():
        if document[key] is not None:
            document[key] = rewrite(document[key], path + key)
    for key in plan.messages.keys() & document.keys():
        inner, value = plan.messages[key], document[key]
        if isinstance(value, dict):
            _rewrite_ids(value, inner, f"{path}{key}.", rewrite)
        elif isinstance(value, list):
            for index, element in enumerate(value):
                if isinstance(element, dict):
                    _rewrite_ids(element, inner, f"{path}{key}[{index}].", rewrite)


def _base64(value: object, path: str) -> str:
    if not isinstance(value, str):
        raise MalformedPayload(f"{path} must be a string of hexadecimal digits, not {_kind(value)}")
    try:
        return b64encode(_unhex(value)).decode()
    except ValueError as error:
        raise MalformedPayload(f"{path} must be hexadecimal digits, two for each byte, not {value[:64]!r}") from error


def _hexadecimal(value: object, _path: str) -> str:
    return b64decode(str(value)).hex()


def _unhex(value: str) -> bytes:
    decoded = bytes.fromhex(value)
    if len(decoded) * 2 != len(value):  # `fromhex` skips spaces
        raise ValueError(value)
    return decoded


def _kind(value: object) -> str:
    return {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}.get(
        type(value), "a number"
    )
