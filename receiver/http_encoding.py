"""The two encodings of OTLP/HTTP bodies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import orjson
from google.protobuf import json_format
from google.protobuf.message import Message

from exporter import Signal
from receiver.otlp_json import to_protobuf

_INLINE_BYTES = 8 * 1024
"""JSON up to here is read on the event loop: a hop to a thread would cost more than it saves."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How payloads are read and answers are written."""

    content_type: str
    encode: Callable[[Message], bytes]
    to_protobuf: Callable[[Signal, bytes], bytes] | None = None
    """None: payloads are protobuf already."""
    memory_factor: int = 1
    """Bytes of memory that reading takes, for each byte of the body."""

    async def payload(self, signal: Signal, body: bytes) -> bytes:
        """The payload that a body stands for. Raises MalformedPayload."""
        if self.to_protobuf is None:
            return body
        if len(body) <= _INLINE_BYTES:
            return self.to_protobuf(signal, body)
        return await asyncio.to_thread(self.to_protobuf, signal, body)


def _json(message: Message) -> bytes:
    return orjson.dumps(json_format.MessageToDict(message))


def _protobuf(message: Message) -> bytes:
    return message.SerializeToString()


PROTOBUF = Encoding("application/x-protobuf", _protobuf)
# Measured with spans, logs and metrics: 9 to 10 as dicts and lists, and the body itself.
JSON = Encoding("application/json", _json, to_protobuf, memory_factor=11)
_ENCODINGS = {encoding.content_type: encoding for encoding in (PROTOBUF, JSON)}


def encoding_of(content_type: str) -> Encoding | None:
    """The encoding of a content type, which may have parameters (`; charset=utf-8`)."""
    return _ENCODINGS.get(content_type.partition(";")[0].strip().lower())


def content_types() -> str:
    """All that there are, for messages and headers."""
    return ", ".join(_ENCODINGS)
