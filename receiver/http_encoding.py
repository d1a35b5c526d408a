"""The two encodings of OTLP/HTTP bodies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import orjson
from google.protobuf import json_format
from google.protobuf.message import Message

from exporter import Signal
from receiver.otlp_json import Converter

_ALSO = {"application/protobuf": "application/x-protobuf"}
"""Other names of the same."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How payloads are read and answers are written."""

    content_type: str
    encode: Callable[[Message], bytes]
    converter: Converter | None = None
    """None: payloads are protobuf already."""

    @property
    def memory_factor(self) -> int:
        """Bytes of memory that reading takes, for each byte of the body."""
        return 1 if self.converter is None else self.converter.memory_factor

    async def payload(self, signal: Signal, body: bytes) -> bytes:
        """The payload that a body stands for. Raises MalformedPayload."""
        return body if self.converter is None else await self.converter.to_protobuf_async(signal, body)


class Encodings:
    """The two that there are."""

    def __init__(self, converter: Converter) -> None:
        """`converter`: of JSON to protobuf."""
        self.json = Encoding("application/json", _json, converter)
        protobuf = Encoding("application/x-protobuf", _protobuf)
        self._by_type = {encoding.content_type: encoding for encoding in (protobuf, self.json)}

    def of(self, content_type: str) -> Encoding | None:
        """The encoding of a content type, which may have parameters (`; charset=utf-8`) or be there twice."""
        first = content_type.partition(",")[0].partition(";")[0].strip().lower()
        return self._by_type.get(_ALSO.get(first, first))

    @property
    def content_types(self) -> str:
        """All that there are, for messages and headers."""
        return ", ".join(self._by_type)


def _json(message: Message) -> bytes:
    return orjson.dumps(json_format.MessageToDict(message))


def _protobuf(message: Message) -> bytes:
    return message.SerializeToString()
