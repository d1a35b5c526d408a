"""The encodings of OTLP/HTTP bodies: OTLP's own two, and JSON in lines, as the Collector's file exporter writes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import orjson
from google.protobuf import json_format
from google.protobuf.message import Message

from exporter import Signal
from receiver.other_signal import refuse_if_other_json
from receiver.otlp_json import Converted, Converter

_EMPTY_BYTES = 32
"""Of a JSON body that says nothing: `{}`, or the signal's one field with an empty list."""
_ALSO = {"application/protobuf": "application/x-protobuf"}
"""Other names of the same."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How payloads are read and answers are written."""

    content_type: str
    encode: Callable[[Message], bytes]
    converter: Converter | None = None
    """None: payloads are protobuf already."""
    lines: bool = False
    """Whether a body has several requests, one a line."""

    @property
    def memory_factor(self) -> int:
        """Bytes of memory that reading takes, for each byte of the body."""
        return 1 if self.converter is None else self.converter.memory_factor

    async def convert(self, signal: Signal, body: bytes) -> Converted:
        """The payload that a body stands for. Raises MalformedPayload."""
        if self.converter is None:
            return Converted(body)
        convert = self.converter.convert_lines_async if self.lines else self.converter.convert_async
        converted = await convert(signal, body)
        if converted.payload or converted.rejected or len(body) <= _EMPTY_BYTES:
            return converted
        refuse_if_other_json(signal, body)
        return replace(converted, nothing=True)


class Encodings:
    """Those that there are."""

    def __init__(self, converter: Converter) -> None:
        """`converter`: of JSON to protobuf."""
        self.json = Encoding("application/json", _json, converter)
        protobuf = Encoding("application/x-protobuf", _protobuf)
        lines = Encoding("application/x-ndjson", _json, converter, lines=True)
        self._by_type = {encoding.content_type: encoding for encoding in (protobuf, self.json, lines)}

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
