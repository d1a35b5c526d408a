from __future__ import annotations

import base64
import json
import math
import random
from contextlib import suppress
from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from exporter import SIGNALS, MalformedPayload, Signal
from receiver.otlp_json import to_protobuf
from tests.receiver.fakes import LOGS, METRICS, TRACES

IDS = {"traceId", "spanId", "parentSpanId"}
EXTREMES = {
    "int32": [0, 1, -(2**31), 2**31 - 1],
    "uint32": [1, 2**32 - 1],
    "int64": [0, -1, 2**53 + 1, -(2**63), 2**63 - 1],
    "uint64": [1, 2**53 + 1, 2**64 - 1],
    "double": [0.0, -0.0, 1.5, 5e-324, 1.7976931348623157e308, math.nan, math.inf, -math.inf],
    "bool": [False, True],
    "string": ["", "GET /", "ü\U0001f600", 'a"b\\c', "\0", "Infinity"],
    "bytes": [b"", b"\0", b"\xfb\xff\xfe", bytes(range(16))],
}
TYPES = {1: "double", 2: "double", 3: "int64", 4: "uint64", 5: "int32", 6: "uint64", 7: "uint32", 8: "bool"} | {
    9: "string", 12: "bytes", 13: "uint32", 14: "int32", 15: "int32", 16: "int64", 17: "int32", 18: "int64"
}  # fmt: skip


def any_message(kind: type[Message], rng: random.Random, depth: int = 0) -> Message:
    """A message of a type with fields of all kinds, enum numbers that nobody has named included.

    Drawn from a seed: a tree of Hypothesis' own strategies takes seconds for each message.
    """
    message = kind()
    for field in message.DESCRIPTOR.fields:
        # Down to the records nearly everything is there; values in values grow rare.
        if rng.random() > (0.9 if field.is_repeated and depth < 4 else 0.5 / max(1, depth - 4)):
            continue
        count = rng.choice([1, 1, 2]) if field.is_repeated else 1
        if field.message_type is not None:
            values = [any_message(field.message_type._concrete_class, rng, depth + 1) for _ in range(count)]
        else:
            values = [rng.choice(EXTREMES[TYPES[field.type]]) for _ in range(count)]
        if field.is_repeated:
            getattr(message, field.name).extend(values)
        elif field.message_type is not None:
            getattr(message, field.name).CopyFrom(values[0])
        else:
            setattr(message, field.name, values[0])
    return message


def as_otlp(message: Message, rng: random.Random) -> dict[str, Any]:
    """A message as OTLP's specification wants it in JSON; written apart from the parser under test."""
    document = {}
    for field, value in message.ListFields():
        one = lambda value, field=field: _value(field, value, rng)  # noqa: E731
        document[field.json_name] = [one(element) for element in value] if field.is_repeated else one(value)
    if rng.random() < 0.2:
        document["aFieldOfTheFuture"] = {"traceId": [1]}
    return document


def _value(field, value, rng):
    if field.message_type is not None:
        return as_otlp(value, rng)
    if field.type == field.TYPE_BYTES:
        if field.json_name in IDS:
            return rng.choice([value.hex(), value.hex().upper()])
        return base64.b64encode(value).decode()
    if field.cpp_type in (field.CPPTYPE_INT64, field.CPPTYPE_UINT64):
        return rng.choice([value, str(value)])
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def parse(signal: Signal, document: object) -> Message:
    return signal.request.FromString(to_protobuf(signal, json.dumps(document).encode()))


def span(**fields: object) -> dict[str, Any]:
    return {"resourceSpans": [{"scopeSpans": [{"spans": [fields]}]}]}


def parsed_span(**fields: object) -> Any:
    return parse(TRACES, span(**fields)).resource_spans[0].scope_spans[0].spans[0]


@pytest.mark.parametrize("signal", SIGNALS.values(), ids=str)
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_any_message_in_otlp_json_becomes_the_same_protobuf(signal: Signal, seed: int):
    rng = random.Random(seed)
    message = any_message(signal.request, rng)
    document = as_otlp(message, rng)

    parsed = to_protobuf(signal, json.dumps(document).encode())

    assert parsed == message.SerializeToString()


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    "resourceSpans",
                    "scopeSpans",
                    "spans",
                    "traceId",
                    "attributes",
                    "key",
                    "value",
                    "kvlistValue",
                    "values",
                    "events",
                ]
            )
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("signal", SIGNALS.values(), ids=str)
@settings(max_examples=150, deadline=None)
@given(document=JSON_VALUES)
def test_any_json_is_taken_or_refused_as_malformed(signal: Signal, document: object):
    with suppress(MalformedPayload):
        signal.request.FromString(to_protobuf(signal, json.dumps(document).encode()))


@settings(max_examples=150, deadline=None)
@given(body=st.binary(max_size=30))
def test_any_bytes_are_taken_or_refused_as_malformed(body: bytes):
    with suppress(MalformedPayload):
        to_protobuf(TRACES, body)


def test_ids_are_hex_in_links_logs_and_exemplars():
    ids = {"traceId": "0aF0" * 8, "spanId": "ABcd" * 4}
    log = {"resourceLogs": [{"scopeLogs": [{"logRecords": [ids]}]}]}
    exemplar = {
        "resourceMetrics": [{"scopeMetrics": [{"metrics": [{"histogram": {"dataPoints": [{"exemplars": [ids]}]}}]}]}]
    }

    link = parsed_span(links=[ids], parentSpanId="ff" * 8)
    record = parse(LOGS, log).resource_logs[0].scope_logs[0].log_records[0]
    metric = parse(METRICS, exemplar).resource_metrics[0].scope_metrics[0].metrics[0]

    assert link.parent_span_id == b"\xff" * 8
    for parsed in (link.links[0], record, metric.histogram.data_points[0].exemplars[0]):
        assert (parsed.trace_id, parsed.span_id) == (b"\x0a\xf0" * 8, b"\xab\xcd" * 4)


def test_attribute_called_like_an_id_is_left_alone():
    value = {"kvlistValue": {"values": [{"key": "spanId", "value": {"stringValue": "zz"}}]}, "traceId": "zz"}

    parsed = parsed_span(attributes=[{"key": "traceId", "value": value}])

    inner = KeyValue(key="spanId", value=AnyValue(string_value="zz"))
    assert parsed.attributes[0].key == "traceId"
    assert parsed.attributes[0].value.kvlist_value.values[0] == inner


def test_keys_in_snake_case_are_read_too():
    request = {"resource_spans": [{"scope_spans": [{"spans": [{"trace_id": "ab" * 16, "parent_span_id": "cd" * 8}]}]}]}

    parsed = parse(TRACES, request).resource_spans[0].scope_spans[0].spans[0]

    assert (parsed.trace_id, parsed.parent_span_id) == (b"\xab" * 16, b"\xcd" * 8)


@pytest.mark.parametrize("kind", [2, "SPAN_KIND_SERVER"])
def test_enum_as_number_or_name_is_read(kind):
    assert parsed_span(kind=kind).kind == 2


def test_enum_of_the_future_keeps_its_number():
    assert parsed_span(kind=77).kind == 77


@pytest.mark.parametrize("nanos", [1544712660000000000, "1544712660000000000"])
def test_64_bit_integer_as_number_or_string_is_read(nanos):
    assert parsed_span(startTimeUnixNano=nanos).start_time_unix_nano == 1544712660000000000


def test_null_counts_as_absent():
    assert parsed_span(traceId=None, name=None, status=None).ByteSize() == 0


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"traceId": "xyz"}, "resourceSpans[0].scopeSpans[0].spans[0].traceId"),
        ({"traceId": "abc"}, "spans[0].traceId"),
        ({"traceId": "ab cd"}, "spans[0].traceId"),
        ({"traceId": 7}, "not a number"),
        ({"links": [{}, {"spanId": "q"}]}, "spans[0].links[1].spanId"),
        ({"name": 7}, "name"),
        ({"startTimeUnixNano": "soon"}, "startTimeUnixNano"),
        ({"startTimeUnixNano": 2**64}, "startTimeUnixNano"),
        ({"attributes": {"a": 1}}, "attributes"),
        ({"status": [1]}, "status"),
        ({"attributes": [{"key": "a", "value": {"bytesValue": 1}}]}, "bytesValue"),
    ],
)
def test_wrong_field_is_refused_with_its_place(fields, says):
    with pytest.raises(MalformedPayload) as caught:
        parse(TRACES, span(**fields))

    assert says in str(caught.value)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"7", b'{"a":', b'{"resourceSpans": NaN}', b"\xff", b'"\\ud800"']
)
def test_wrong_json_is_refused(body):
    with pytest.raises(MalformedPayload, match="JSON"):
        to_protobuf(TRACES, body)


@pytest.mark.parametrize("depth", [60, 200, 1000, 100_000])
@pytest.mark.parametrize("where", ["value", "unknown"])
def test_deep_nesting_is_refused_not_crashed(depth, where):
    if where == "value":
        nested = '{"arrayValue":{"values":[' * depth + "{}" + "]}}" * depth
        body = '{"resourceSpans":[{"resource":{"attributes":[{"key":"a","value":' + nested + "}]}}]}"
    else:
        body = '{"future":' + "[" * depth + "]" * depth + "}"

    if where == "unknown" and depth <= 1000:
        assert to_protobuf(TRACES, body.encode()) == b""
    else:
        with pytest.raises(MalformedPayload):
            to_protobuf(TRACES, body.encode())
