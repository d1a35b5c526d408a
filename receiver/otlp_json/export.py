"""From an export request to its JSON, for people who look at what is stored: it need not be fast."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import orjson
from google.protobuf import json_format
from google.protobuf.message import DecodeError

from exporter import MalformedPayload, Signal
from receiver.otlp_json.schema import Kind, Message, schema_of


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
    _rewrite_ids(document, schema_of(message.DESCRIPTOR))
    return orjson.dumps(document)


def _rewrite_ids(document: dict[str, Any], schema: Message) -> None:
    """The stock writer has ids in base64."""
    for field in schema.fields:
        value = document.get(field.name)
        if value is None:
            continue
        if field.kind is Kind.ID:
            document[field.name] = b64decode(value).hex()
        elif field.message is not None:
            for inner in value if field.repeated else [value]:
                _rewrite_ids(inner, field.message)
