"""Tells whether a request is another signal's than that of the path or service it was sent to.

The three requests are built alike, and what a parser does not know it skips: logs sent as traces become spans without
anything in them. A request is another's where its records have nothing of their own. Which it is shows in the fields
that its own records always have.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from google.protobuf.message import DecodeError

from exporter import SIGNALS, MalformedPayload, Signal
from receiver.otlp_json.schema import schema_of

_LOOK_AT_BYTES = 256 * 1024
_LOOK_AT_RECORDS = 1000
_INLINE_BYTES = 8 * 1024
_TRACE_ID_BYTES, _SPAN_ID_BYTES = 16, 8


async def refuse_if_other(signal: Signal, payload: bytes) -> None:
    """For what looks odd already: it is parsed, which takes time and memory. Only the beginning is looked at.

    Raises:
        MalformedPayload: it is another signal's.
    """
    if len(payload) <= _INLINE_BYTES:
        _refuse_if_other(signal, payload)
    else:
        await asyncio.to_thread(_refuse_if_other, signal, payload)


def refuse_if_other_json(signal: Signal, body: bytes) -> None:
    """The same for a body in JSON in which there was nothing of the signal's."""
    for other in SIGNALS.values():
        if other is not signal and any(f'"{name}"'.encode() in body for name in _outermost(other)):
            raise _looks_like(signal, other)


def _refuse_if_other(signal: Signal, payload: bytes) -> None:
    beginning = _whole_groups(payload)
    if not beginning or _has_own(signal, beginning):
        return
    for other in SIGNALS.values():
        if other is not signal and _has_own(other, beginning):
            raise _looks_like(signal, other)
    if signal is SIGNALS["traces"] and len(beginning) == len(payload) and _has_records(signal, payload):
        raise MalformedPayload(
            "no span of the request has a valid trace id and span id (16 and 8 bytes, not all zeros): it looks like "
            "another signal's"
        )


def _looks_like(signal: Signal, other: Signal) -> MalformedPayload:
    return MalformedPayload(
        f"the request looks like {other.name}, not like {signal.name}: send it to {other.http_path} (over gRPC, "
        f"to {other.service})"
    )


def _outermost(signal: Signal) -> Sequence[str]:
    return [name for field in schema_of(signal.request.DESCRIPTOR).fields for name in (field.name, field.original_name)]


def _whole_groups(payload: bytes) -> bytes:
    """The resources at its beginning that together are not too much. The payload is known to be valid."""
    at = end = 0
    while at < len(payload) and payload[at] == 0x0A:
        size, at = _varint(payload, at + 1)
        at += size
        if at > _LOOK_AT_BYTES:
            break
        end = at
    return payload[:end]


def _varint(payload: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = payload[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at


def _has_own(signal: Signal, payload: bytes) -> bool:
    try:
        request = signal.request.FromString(payload)
    except DecodeError:
        return False
    records = _records(request, signal.record_path[:3])
    return any(map(_TELLING[signal.name], islice(records, _LOOK_AT_RECORDS)))


def _has_records(signal: Signal, payload: bytes) -> bool:
    return any(True for _ in _records(signal.request.FromString(payload), signal.record_path[:3]))


def _records(message: Any, path: Sequence[str]) -> Iterator[Any]:
    for inner in getattr(message, path[0]):
        if len(path) == 1:
            yield inner
        else:
            yield from _records(inner, path[1:])


def _is_span(span: Any) -> bool:
    return (
        len(span.trace_id) == _TRACE_ID_BYTES
        and len(span.span_id) == _SPAN_ID_BYTES
        and any(span.trace_id)
        and any(span.span_id)
    )


def _is_log(log: Any) -> bool:
    return bool(log.time_unix_nano or log.observed_time_unix_nano)


def _is_metric(metric: Any) -> bool:
    kind = metric.WhichOneof("data")
    return kind is not None and any(
        point.time_unix_nano for point in islice(getattr(metric, kind).data_points, _LOOK_AT_RECORDS)
    )


_TELLING: dict[str, Callable[[Any], bool]] = {"traces": _is_span, "logs": _is_log, "metrics": _is_metric}
