"""Requests with one record, and their documents."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from exporter.batch import Batch
from exporter.interfaces import Transcoder
from exporter.signals import SIGNALS
from tests.inverse import decode
from tests.otlp_strategies import REQUESTS

RECEIVED = 1_763_928_574_123_456_789
BASE_ID = 0x019AB2C4D5E6_8123_8123456789ABCDEF

Pairs = Iterable[tuple[str | bytes, Any]]


class Text(bytes):
    """The bytes of a `string_value`, for those that are not UTF-8."""


def set_value(message: Any, value: Any) -> None:
    """Set an `AnyValue` to a Python value. A list of pairs is a map, a tuple an array."""
    match value:
        case None:
            pass
        case bool():
            message.bool_value = value
        case int():
            message.int_value = value
        case float():
            message.double_value = value
        case str():
            message.string_value = value.encode()
        case Text():
            message.string_value = bytes(value)
        case bytes():
            message.bytes_value = value
        case tuple():
            message.array_value.SetInParent()
            for element in value:
                set_value(message.array_value.values.add(), element)
        case _:
            message.kvlist_value.SetInParent()
            add(message.kvlist_value.values, value)


def add(attributes: Any, pairs: Pairs) -> None:
    for key, value in pairs:
        pair = attributes.add(key=key.encode() if isinstance(key, str) else key)
        pair.value.SetInParent()
        set_value(pair.value, value)


def span_request() -> tuple[Any, Any]:
    """A request of the tolerant classes, and the one span in it."""
    request = REQUESTS["traces"]()
    return request, request.resource_spans.add().scope_spans.add().spans.add()


def log_request() -> tuple[Any, Any]:
    """A request, and the one log record in it."""
    request = REQUESTS["logs"]()
    return request, request.resource_logs.add().scope_logs.add().log_records.add()


def metric_request() -> tuple[Any, Any]:
    """A request, and the one metric in it."""
    request = REQUESTS["metrics"]()
    return request, request.resource_metrics.add().scope_metrics.add().metrics.add()


def documents(transcoder: Transcoder, signal_name: str, request: Any) -> list[dict[str, Any]]:
    """The documents of a request, decoded with nothing converted."""
    signal = SIGNALS[signal_name]
    payload = request.SerializeToString()
    records = transcoder.inspect(signal, payload).records
    return [decode(document) for document in transcoder.transcode(Batch(signal, payload, BASE_ID, RECEIVED, records))]


def document(transcoder: Transcoder, signal_name: str, request: Any) -> dict[str, Any]:
    """The only document of a request."""
    (only,) = documents(transcoder, signal_name, request)
    return only


def span_with(transcoder: Transcoder, pairs: Pairs) -> dict[str, Any]:
    """The document of a span with these attributes."""
    request, span = span_request()
    add(span.attributes, pairs)
    return document(transcoder, "traces", request)
