"""From a document back to the record it came from, in the form of `tests.otlp_trees`.

It fails on what docs/documents.md does not allow: a field more, a wrong BSON type, a value where it should be absent.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import bson
from bson import Binary, CodecOptions, Decimal128, Int64
from bson.codec_options import DatetimeConversion
from bson.datetime_ms import DatetimeMS
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.otlp_trees import Map, Tree, double, string

_CODEC: CodecOptions[dict[str, Any]] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_MS)
_DATA = {
    "gauge": "gauge",
    "sum": "sum",
    "histogram": "histogram",
    "exponentialHistogram": "exponential_histogram",
    "summary": "summary",
}


def decode(document: bytes) -> dict[str, Any]:
    """The document with nothing converted that would lose something: dates as milliseconds, ids as binary."""
    return bson.decode(document, _CODEC)


def rebuild(signal_name: str, document: bytes, received_unix_nano: int) -> tuple[Binary, Tree]:
    """The `_id` of a document, and the record."""
    fields = _Fields(decode(document))
    record_id = fields.take("_id")
    tree = _BUILD[signal_name](fields, received_unix_nano)
    tree["resource"] = fields.message("resource", _resource)
    tree["scope"] = fields.message("scope", _scope)
    fields.end()
    return record_id, tree


class _Fields:
    """The fields of a (sub-)document, each of which is to be taken once. What is absent is None."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._left = dict(document)

    def take(self, name: str) -> Any:
        return self._left.pop(name, None)

    def end(self) -> None:
        assert not self._left, f"fields that should not be there: {self._left}"

    def text(self, name: str) -> bytes | None:
        value = self.take(name)
        assert value not in ("", b"")
        return None if value is None else _raw(value)

    def id(self, name: str) -> bytes | None:
        value = self.take(name)
        assert value is None or (value and value == value.lower())
        return None if value is None else bytes.fromhex(value)

    def nanos(self, name: str) -> int | None:
        date, nanos = self.take(name), self.integer(f"{name}UnixNano")
        if nanos is None:
            assert date is None
        else:
            assert nanos > 0
            assert date == DatetimeMS(nanos // 1_000_000)
        return nanos

    def integer(self, name: str) -> int | None:
        value = self.take(name)
        return None if value is None else _integer(value)

    def number(self, name: str) -> int | None:
        """A 32-bit integer, absent when 0."""
        value = self.take(name)
        assert value is None or (value and (type(value) is int or value > 2**31 - 1))
        return value

    def double(self, name: str) -> bytes | None:
        value = self.take(name)
        return None if value is None else _double(value)

    def enum(self, name: str, enum: Any, prefix: str) -> int | None:
        """None for the default, as everywhere; but the field has to be there."""
        value = self.take(name)
        assert value is not None
        if isinstance(value, str):
            return enum.Value(prefix + value) or None
        assert type(value) is int
        assert value not in enum.values()
        return value

    def elements(self, name: str, build: Callable[[Any], Any]) -> list[Any] | None:
        value = self.take(name)
        assert value != []
        return None if value is None else [build(element) for element in value]

    def messages(self, name: str, build: Callable[[_Fields], Tree]) -> list[Tree] | None:
        return self.elements(name, lambda element: _message(element, build))

    def message(self, name: str, build: Callable[[_Fields], Tree]) -> Tree:
        value = self.take(name)
        assert value != {}
        return _message(value or {}, build)

    def attributes(self, name: str = "attributes") -> Map | None:
        placed, unplaced = self.take(name), self.take(f"{name}Unnested")
        assert placed != {}
        assert unplaced != []
        return None if placed is None and unplaced is None else _map(placed or {}, unplaced or [])


def _message(document: dict[str, Any], build: Callable[[_Fields], Tree]) -> Tree:
    fields = _Fields(document)
    tree = build(fields)
    fields.end()
    return tree


def _set(**fields: Any) -> Tree:
    return {name: value for name, value in fields.items() if value is not None}


def _raw(value: str | bytes) -> bytes:
    if isinstance(value, str):
        return value.encode()
    assert type(value) is bytes
    assert string(value)[0] == "bytes"
    return value


def _integer(value: Int64 | Decimal128) -> int:
    if type(value) is Int64:
        return int(value)
    assert isinstance(value, Decimal128)
    decimal: Decimal = value.to_decimal()
    assert decimal.as_tuple().exponent == 0
    assert not -(2**63) <= decimal < 2**63
    return int(decimal)


def _double(value: float) -> bytes:
    assert type(value) is float
    return double(value)


def _value(value: Any) -> Any:
    match value:
        case None:
            return ("null",)
        case bool():
            return ("bool", value)
        case str():
            return ("string", value.encode())
        case Int64():
            return ("int", int(value))
        case float():
            return ("double", double(value))
        case list():
            return ("array", tuple(_value(element) for element in value))
        case dict():
            assert "attributesUnnested" not in list(value)[:-1]
            unplaced = value.pop("attributesUnnested", None)
            assert unplaced != []
            return _map(value, unplaced or [])
        case _:
            assert type(value) is bytes
            return ("bytes", value)


def _map(placed: dict[str, Any], unplaced: list[dict[str, Any]]) -> Map:
    assert all(list(pair) == ["k", "v"] for pair in unplaced)
    return Map(
        tuple((name, _value(value)) for name, value in placed.items()),
        tuple((_raw(pair["k"]), _value(pair["v"])) for pair in unplaced),
    )


def _resource(fields: _Fields) -> Tree:
    return _set(
        attributes=fields.attributes(),
        schema_url=fields.text("schemaUrl"),
        dropped_attributes_count=fields.number("droppedAttributesCount"),
        entity_refs=fields.messages("entityRefs", _entity_ref),
    )


def _entity_ref(fields: _Fields) -> Tree:
    return _set(
        schema_url=fields.text("schemaUrl"),
        type=fields.text("type"),
        id_keys=fields.elements("idKeys", _raw),
        description_keys=fields.elements("descriptionKeys", _raw),
    )


def _scope(fields: _Fields) -> Tree:
    return _set(
        name=fields.text("name"),
        version=fields.text("version"),
        attributes=fields.attributes(),
        schema_url=fields.text("schemaUrl"),
        dropped_attributes_count=fields.number("droppedAttributesCount"),
    )


def _span(fields: _Fields, _received_unix_nano: int) -> Tree:
    start, end = fields.nanos("startTime"), fields.nanos("endTime")
    assert fields.integer("durationNanos") == (end - start if start and end else None)
    record = _set(
        trace_id=fields.id("traceId"),
        span_id=fields.id("spanId"),
        parent_span_id=fields.id("parentSpanId"),
        trace_state=fields.text("traceState"),
        flags=fields.number("flags"),
        name=fields.text("name"),
        kind=fields.enum("kind", Span.SpanKind, "SPAN_KIND_"),
        start_time_unix_nano=start,
        end_time_unix_nano=end,
        status=_message(fields.take("status"), _status) or None,
        attributes=fields.attributes(),
        dropped_attributes_count=fields.number("droppedAttributesCount"),
        events=fields.messages("events", _event),
        dropped_events_count=fields.number("droppedEventsCount"),
        links=fields.messages("links", _link),
        dropped_links_count=fields.number("droppedLinksCount"),
    )
    return {"record": record}


def _status(fields: _Fields) -> Tree:
    return _set(code=fields.enum("code", Status.StatusCode, "STATUS_CODE_"), message=fields.text("message"))


def _event(fields: _Fields) -> Tree:
    return _set(
        name=fields.text("name"),
        time_unix_nano=fields.nanos("time"),
        attributes=fields.attributes(),
        dropped_attributes_count=fields.number("droppedAttributesCount"),
    )


def _link(fields: _Fields) -> Tree:
    return _set(
        trace_id=fields.id("traceId"),
        span_id=fields.id("spanId"),
        trace_state=fields.text("traceState"),
        flags=fields.number("flags"),
        attributes=fields.attributes(),
        dropped_attributes_count=fields.number("droppedAttributesCount"),
    )


def _log(fields: _Fields, received_unix_nano: int) -> Tree:
    time, own = fields.take("time"), fields.integer("timeUnixNano")
    observed = fields.nanos("observedTime")
    assert time == DatetimeMS((own or observed or received_unix_nano) // 1_000_000)
    has_body = "body" in fields._left
    body = fields.take("body")
    record = _set(
        time_unix_nano=own,
        observed_time_unix_nano=observed,
        severity_number=fields.number("severityNumber"),
        severity_text=fields.text("severityText"),
        body=_value(body) if has_body else None,
        event_name=fields.text("eventName"),
        trace_id=fields.id("traceId"),
        span_id=fields.id("spanId"),
        flags=fields.number("flags"),
        attributes=fields.attributes(),
        dropped_attributes_count=fields.number("droppedAttributesCount"),
    )
    return {"record": record}


def _metric_point(fields: _Fields, received_unix_nano: int) -> Tree:
    head = _Fields(fields.take("metric"))
    kind = _DATA[head.take("type")]
    data: Tree = {}
    if kind in {"sum", "histogram", "exponential_histogram"}:
        temporality = head.enum("temporality", AggregationTemporality, "AGGREGATION_TEMPORALITY_")
        data = _set(aggregation_temporality=temporality)
    if kind == "sum" and head.take("monotonic"):
        data["is_monotonic"] = True
    metric = _set(
        name=head.text("name"),
        description=head.text("description"),
        unit=head.text("unit"),
        metadata=head.attributes("metadata"),
    )
    head.end()
    time, own = fields.take("time"), fields.integer("timeUnixNano")
    assert time == DatetimeMS((own or received_unix_nano) // 1_000_000)
    point = _set(
        time_unix_nano=own,
        start_time_unix_nano=fields.nanos("startTime"),
        flags=fields.number("flags"),
        attributes=fields.attributes(),
        exemplars=fields.messages("exemplars", _exemplar),
    )
    return {"metric": metric | {kind: data}, "record": point | _VALUES[kind](fields)}


def _exemplar(fields: _Fields) -> Tree:
    return _number(fields) | _set(
        time_unix_nano=fields.nanos("time"),
        trace_id=fields.id("traceId"),
        span_id=fields.id("spanId"),
        filtered_attributes=fields.attributes("filteredAttributes"),
    )


def _number(fields: _Fields) -> Tree:
    value = fields.take("value")
    if value is None:
        return {}
    return {"as_double": double(value)} if type(value) is float else {"as_int": _integer(value)}


def _histogram(fields: _Fields) -> Tree:
    bounds, counts = fields.elements("bounds", _double), fields.elements("counts", _integer)
    return _aggregates(fields) | _set(explicit_bounds=bounds, bucket_counts=counts)


def _exponential_histogram(fields: _Fields) -> Tree:
    scale, zero_count = fields.take("scale"), fields.integer("zeroCount")
    threshold = fields.double("zeroThreshold")
    assert type(scale) is int
    assert zero_count is not None
    assert threshold != double(0.0)
    sides = {side: _buckets(fields.take(side)) for side in ("positive", "negative")}
    return _aggregates(fields) | _set(
        scale=scale or None, zero_count=zero_count or None, zero_threshold=threshold, **sides
    )


def _buckets(document: dict[str, Any] | None) -> Tree | None:
    if document is None:
        return None
    fields = _Fields(document)
    offset, counts = fields.take("offset"), fields.elements("counts", _integer)
    fields.end()
    assert type(offset) is int
    assert offset or counts
    return _set(offset=offset or None, bucket_counts=counts)


def _aggregates(fields: _Fields) -> Tree:
    count = fields.integer("count")
    assert count is not None
    return _set(count=count or None, sum=fields.double("sum"), min=fields.double("min"), max=fields.double("max"))


def _summary(fields: _Fields) -> Tree:
    count, total = fields.integer("count"), fields.double("sum")
    assert count is not None
    assert total is not None
    quantiles = fields.messages("quantiles", _quantile)
    return _set(count=count or None, sum=_unless_zero(total), quantile_values=quantiles)


def _quantile(fields: _Fields) -> Tree:
    quantile, value = fields.double("quantile"), fields.double("value")
    assert quantile is not None
    assert value is not None
    return _set(quantile=_unless_zero(quantile), value=_unless_zero(value))


def _unless_zero(value: bytes) -> bytes | None:
    return None if value == double(0.0) else value


_VALUES: dict[str, Callable[[_Fields], Tree]] = {
    "gauge": _number,
    "sum": _number,
    "histogram": lambda fields: _message(fields.take("histogram"), _histogram),
    "exponential_histogram": lambda fields: _message(fields.take("exponentialHistogram"), _exponential_histogram),
    "summary": lambda fields: _message(fields.take("summary"), _summary),
}
_BUILD: dict[str, Callable[[_Fields, int], Tree]] = {"traces": _span, "logs": _log, "metrics": _metric_point}
