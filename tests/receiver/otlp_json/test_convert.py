from __future__ import annotations

import json
from typing import Any

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from exporter import MalformedPayload, Signal
from receiver.otlp_json import Converter
from tests.receiver.fakes import LOGS, METRICS, TRACES


class Parse:
    """Makes messages of documents."""

    def __init__(self, converter: Converter) -> None:
        self._converter = converter

    def __call__(self, signal: Signal, document: object) -> Any:
        return signal.request.FromString(self._converter.to_protobuf(signal, json.dumps(document).encode()))

    def span(self, **fields: object) -> Any:
        return self(TRACES, span(**fields)).resource_spans[0].scope_spans[0].spans[0]


@pytest.fixture
def parse(converter: Converter) -> Parse:
    return Parse(converter)


def span(**fields: object) -> dict[str, Any]:
    return {"resourceSpans": [{"scopeSpans": [{"spans": [fields]}]}]}


def test_ids_are_hex_in_links_logs_and_exemplars(parse: Parse) -> None:
    ids = {"traceId": "0aF0" * 8, "spanId": "ABcd" * 4}
    log = {"resourceLogs": [{"scopeLogs": [{"logRecords": [ids]}]}]}
    exemplar = {
        "resourceMetrics": [{"scopeMetrics": [{"metrics": [{"histogram": {"dataPoints": [{"exemplars": [ids]}]}}]}]}]
    }

    link = parse.span(links=[ids], parentSpanId="ff" * 8)
    record = parse(LOGS, log).resource_logs[0].scope_logs[0].log_records[0]
    metric = parse(METRICS, exemplar).resource_metrics[0].scope_metrics[0].metrics[0]

    assert link.parent_span_id == b"\xff" * 8
    for parsed in (link.links[0], record, metric.histogram.data_points[0].exemplars[0]):
        assert (parsed.trace_id, parsed.span_id) == (b"\x0a\xf0" * 8, b"\xab\xcd" * 4)


def test_attribute_called_like_an_id_is_left_alone(parse: Parse) -> None:
    value = {"kvlistValue": {"values": [{"key": "spanId", "value": {"stringValue": "zz"}}]}, "traceId": "zz"}

    parsed = parse.span(attributes=[{"key": "traceId", "value": value}])

    inner = KeyValue(key="spanId", value=AnyValue(string_value="zz"))
    assert parsed.attributes[0].key == "traceId"
    assert parsed.attributes[0].value.kvlist_value.values[0] == inner


def test_keys_in_snake_case_are_read_too(parse: Parse) -> None:
    request = {"resource_spans": [{"scope_spans": [{"spans": [{"trace_id": "ab" * 16, "parent_span_id": "cd" * 8}]}]}]}

    parsed = parse(TRACES, request).resource_spans[0].scope_spans[0].spans[0]

    assert (parsed.trace_id, parsed.parent_span_id) == (b"\xab" * 16, b"\xcd" * 8)


@pytest.mark.parametrize("kind", [2, "SPAN_KIND_SERVER"])
def test_enum_as_number_or_name_is_read(parse: Parse, kind: int | str) -> None:
    assert parse.span(kind=kind).kind == 2


def test_enum_of_the_future_keeps_its_number(parse: Parse) -> None:
    assert parse.span(kind=77).kind == 77


@pytest.mark.parametrize("nanos", [1544712660000000000, "1544712660000000000"])
def test_64_bit_integer_as_number_or_string_is_read(parse: Parse, nanos: int | str) -> None:
    assert parse.span(startTimeUnixNano=nanos).start_time_unix_nano == 1544712660000000000


def test_null_counts_as_absent(parse: Parse) -> None:
    assert parse.span(traceId=None, name=None, status=None).ByteSize() == 0


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"traceId": "xyz"}, "resourceSpans[0].scopeSpans[0].spans[0].traceId"),
        ({"traceId": "abc"}, "spans[0].traceId"),
        ({"traceId": "ab cd"}, "spans[0].traceId"),
        ({"traceId": 7}, "spans[0].traceId must be a string of hexadecimal digits, not the number 7"),
        ({"links": [{}, {"spanId": "q"}]}, "spans[0].links[1].spanId"),
        ({"name": 7}, "name"),
        ({"startTimeUnixNano": "soon"}, "startTimeUnixNano"),
        ({"startTimeUnixNano": 2**64}, "startTimeUnixNano"),
        ({"attributes": {"a": 1}}, "attributes"),
        ({"status": [1]}, "status"),
        ({"attributes": [{"key": "a", "value": {"bytesValue": 1}}]}, "bytesValue"),
    ],
)
def test_wrong_field_is_refused_with_its_place(parse: Parse, fields: dict[str, object], says: str) -> None:
    with pytest.raises(MalformedPayload) as caught:
        parse(TRACES, span(**fields))

    assert says in str(caught.value)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"7", b'{"a":', b'{"resourceSpans": NaN}', b"\xff", b'"\\ud800"']
)
def test_wrong_json_is_refused(converter: Converter, body: bytes) -> None:
    with pytest.raises(MalformedPayload, match="JSON"):
        converter.to_protobuf(TRACES, body)


@pytest.mark.parametrize("depth", [60, 200, 1000, 100_000])
@pytest.mark.parametrize("where", ["value", "unknown"])
def test_deep_nesting_is_refused_not_crashed(converter: Converter, depth: int, where: str) -> None:
    if where == "value":
        nested = '{"arrayValue":{"values":[' * depth + "{}" + "]}}" * depth
        body = '{"resourceSpans":[{"resource":{"attributes":[{"key":"a","value":' + nested + "}]}}]}"
    else:
        body = '{"future":' + "[" * depth + "]" * depth + "}"

    if where == "unknown" and depth <= 1000:
        assert converter.to_protobuf(TRACES, body.encode()) == b""
    else:
        with pytest.raises(MalformedPayload):
            converter.to_protobuf(TRACES, body.encode())
