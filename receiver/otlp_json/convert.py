"""From the JSON of an export request to its protobuf form."""

from __future__ import annotations

from functools import cache

import orjson

from exporter import MalformedPayload, Signal
from receiver.otlp_json.schema import schema_of
from receiver.otlp_json.writer import Write, compile_writer
from receiver.otlp_json.wrong import Wrong


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
    try:
        return _writer(signal)(document, 1)
    except Wrong as wrong:
        name = signal.request.DESCRIPTOR.name
        raise MalformedPayload(f"the JSON is no {name}: {wrong}") from None


@cache
def _writer(signal: Signal) -> Write:
    return compile_writer(schema_of(signal.request.DESCRIPTOR))
