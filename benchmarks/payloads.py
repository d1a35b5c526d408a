"""Export requests to send, serialised once, with the places that each sending overwrites."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from benchmarks.telemetry import EPOCH, REQUESTS

_IDS = frozenset({"trace_id", "span_id", "parent_span_id"})
_WORD = 8
_VARIETY = 512
"""Records among all templates of a kind, at least: enough that no receiver sees the same few over and over."""

Encoding = Literal["protobuf", "json"]


@dataclass(frozen=True, slots=True)
class Template:
    """A serialised request, and the offsets at which the load generator overwrites it (loadgen/plan.go)."""

    payload: bytes
    records: int
    text: bool
    times: tuple[int, ...]
    ids: tuple[int, ...]

    def plan(self) -> dict[str, Any]:
        """As the load generator reads it."""
        return {
            "payload": base64.b64encode(self.payload).decode(),
            "records": self.records,
            "text": self.text,
            "times": self.times,
            "ids": self.ids,
            "epoch": EPOCH,
        }


def templates(signal: str, records: int, encoding: Encoding = "protobuf", seed: int = 1) -> list[Template]:
    """Requests of `records` records each, the same for the same seed. `signal`: `traces`, `logs` or `metrics`."""
    rng = random.Random(seed)
    make = REQUESTS[signal]
    count = max(1, _VARIETY // records)
    return [template(make(rng, records), records, encoding) for _ in range(count)]


def template(request: Message, records: int, encoding: Encoding) -> Template:
    """Serialise a request and find in it what is to be overwritten."""
    if encoding == "json":
        message = _otlp_json(MessageToDict(request, use_integers_for_enums=True))
        payload = json.dumps(message, separators=(",", ":")).encode()
    else:
        payload = request.SerializeToString()
    times: list[int] = []
    ids: list[int] = []
    position = 0
    for value in _volatile(request):
        is_time = isinstance(value, int)
        needle = _needle(value, encoding)
        position = payload.index(needle, position)
        if is_time:
            times.append(position)
        else:
            size = _WORD if encoding == "protobuf" else 2 * _WORD
            ids.extend(range(position, position + len(needle), size))
        position += len(needle)
    return Template(payload, records, encoding == "json", tuple(times), tuple(ids))


def _needle(value: int | bytes, encoding: Encoding) -> bytes:
    if isinstance(value, int):
        return str(value).encode() if encoding == "json" else value.to_bytes(_WORD, "little")
    return value.hex().encode() if encoding == "json" else value


def _volatile(message: Message) -> Iterator[int | bytes]:
    """Times and ids in the order in which they are serialised."""
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            for child in value if field.is_repeated else (value,):
                yield from _volatile(child)
        elif field.name in _IDS or field.name.endswith("time_unix_nano"):
            yield value


def _otlp_json(value: Any) -> Any:
    """OTLP's JSON has ids in hex where protobuf's has base64 (OTLP specification, JSON Protobuf Encoding)."""
    if isinstance(value, list):
        return [_otlp_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: base64.b64decode(item).hex() if key in {"traceId", "spanId", "parentSpanId"} else _otlp_json(item)
        for key, item in value.items()
    }
