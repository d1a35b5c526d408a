"""What senders write otherwise than the mapping has it, and what becomes of it."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from exporter import MalformedPayload, Signal
from receiver.otlp_json import Converted, Converter
from receiver.otlp_json.convert import MEND_BYTES
from receiver.otlp_json.repair import repaired
from tests.receiver.fakes import LOGS, METRICS, TRACES

TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def spans_of(*records: object) -> dict[str, Any]:
    return {"resourceSpans": [{"scopeSpans": [{"spans": list(records)}]}]}


def logs_of(*records: object) -> dict[str, Any]:
    return {"resourceLogs": [{"scopeLogs": [{"logRecords": list(records)}]}]}


def metrics_of(*records: object) -> dict[str, Any]:
    return {"resourceMetrics": [{"scopeMetrics": [{"metrics": list(records)}]}]}


def convert(converter: Converter, signal: Signal, document: object) -> Converted:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return converter.convert(signal, body)


def parsed(signal: Signal, converted: Converted) -> Any:
    return signal.request.FromString(converted.payload)


def the_span(converter: Converter, **fields: object) -> Any:
    converted = convert(converter, TRACES, spans_of(fields))
    assert not converted.rejected, converted.reason
    return parsed(TRACES, converted).resource_spans[0].scope_spans[0].spans[0]


def attribute(value: object) -> list[dict[str, object]]:
    return [{"key": "k", "value": value}]


def test_what_is_as_it_should_be_is_not_mended(converter: Converter) -> None:
    assert not convert(converter, TRACES, spans_of({"name": "a", "traceId": TRACE_ID})).mended


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        (rb"cut \ud83d", "cut \ufffd"),
        (rb"\ude00 cut", "\ufffd cut"),
        (rb"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        (rb"\ud83d\n", "\ufffd\n"),
        (rb"\\ud83d", r"\ud83d"),
        (b"caf\xc3", "caf\ufffd"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"\xed\xa0\xbd", "\ufffd\ufffd\ufffd"),
    ],
)
@pytest.mark.parametrize("padding", [0, 2_000_000], ids=["small", "large"])
def test_text_cut_within_a_character_is_stored(converter: Converter, text: bytes, stored: str, padding: int) -> None:
    if padding and converter.name == "reference":
        padding = 100_000
    body = b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"' + text + b'"}]}]}]}' + b" " * padding

    converted = convert(converter, TRACES, body)

    (span,) = parsed(TRACES, converted).resource_spans[0].scope_spans[0].spans
    assert span.name == stored
    assert (converted.rejected, converted.mended) == (0, stored != r"\ud83d")


def test_byte_order_mark_is_ignored(converter: Converter) -> None:
    assert convert(converter, TRACES, b"\xef\xbb\xbf{}").payload == b""


def test_repaired_text_that_is_right_is_left_alone() -> None:
    body = rb'{"a":"\ud83d\ude00 \\ud83d \u00e9 \"","b":"' + "\U0001f600".encode() + b'"}'

    assert repaired(body) == body


@pytest.mark.parametrize(
    "number", [2**63, -(2**63) - 1, 1e300, 1e20, "9223372036854775808", 0.5, "18446744073709551616"]
)
def test_integer_beyond_64_bits_is_stored_as_double(converter: Converter, number: object) -> None:
    span = the_span(converter, attributes=attribute({"intValue": number}))
    point = {"asInt": number, "timeUnixNano": "1"}
    converted = convert(converter, METRICS, metrics_of({"gauge": {"dataPoints": [point]}}))
    metric = parsed(METRICS, converted).resource_metrics[0].scope_metrics[0].metrics[0]

    assert span.attributes[0].value.double_value == float(number)  # type: ignore[arg-type]
    assert metric.gauge.data_points[0].as_double == float(number)  # type: ignore[arg-type]


@pytest.mark.parametrize("number", [2**63 - 1, "-9223372036854775808", 0, "7"])
def test_integer_of_64_bits_stays_one_beside_something_to_mend(converter: Converter, number: object) -> None:
    span = the_span(converter, parentSpanId="t61rcWkgMzE=", attributes=attribute({"intValue": number}))

    assert span.attributes[0].value.int_value == int(number)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    "kind", ["SERVER", "server", "Server", "SPAN_KIND_SERVER", "span_kind_server", "SpanKindServer"]
)
def test_enum_is_taken_in_any_spelling(converter: Converter, kind: str) -> None:
    assert the_span(converter, kind=kind).kind == 2


def test_enums_of_status_temporality_and_severity_are_taken_in_short(converter: Converter) -> None:
    span = the_span(converter, status={"code": "Error"})
    metric = {"sum": {"dataPoints": [], "aggregationTemporality": "cumulative"}}
    metrics = parsed(METRICS, convert(converter, METRICS, metrics_of(metric)))
    log = parsed(LOGS, convert(converter, LOGS, logs_of({"severityNumber": "WARN2"})))

    assert span.status.code == 2
    assert metrics.resource_metrics[0].scope_metrics[0].metrics[0].sum.aggregation_temporality == 2
    assert log.resource_logs[0].scope_logs[0].log_records[0].severity_number == 14


def test_enum_name_of_the_future_is_ignored(converter: Converter) -> None:
    assert the_span(converter, name="a", kind="SPAN_KIND_OF_THE_FUTURE").kind == 0


@pytest.mark.parametrize(
    ("written", "meant"), [("+Inf", math.inf), ("Inf", math.inf), ("-Inf", -math.inf), ("+Infinity", math.inf)]
)
def test_infinity_is_taken_in_any_spelling(converter: Converter, written: str, meant: float) -> None:
    assert the_span(converter, attributes=attribute({"doubleValue": written})).attributes[0].value.double_value == meant


def test_not_a_number_is_taken_in_any_spelling(converter: Converter) -> None:
    value = the_span(converter, attributes=attribute({"doubleValue": "nan"})).attributes[0].value

    assert math.isnan(value.double_value)


def test_ids_in_base64_are_taken_where_they_can_be_nothing_else(converter: Converter) -> None:
    span = the_span(converter, traceId="CvdlGRbNQ92ESOshHIAxnA==", spanId="t61rcWkgMzE=", parentSpanId="")

    assert (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id) == (TRACE_ID, SPAN_ID, b"")


@pytest.mark.parametrize("trace_id", ["CvdlGRbNQ92ESOshHIAxnA", "CvdlGRbNQ92ESOshHIAx====", "zz", 7])
def test_other_ids_are_rejected(converter: Converter, trace_id: object) -> None:
    assert convert(converter, TRACES, spans_of({"traceId": trace_id})).rejected == 1


BAD: dict[str, object] = {
    "negative count": {"droppedAttributesCount": -1},
    "null in an array": {"attributes": attribute({"arrayValue": {"values": [None]}})},
    "text for a time": {"startTimeUnixNano": "yesterday"},
    "no object": 7,
    "null": None,
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_record_that_cannot_be_read_is_rejected_alone(converter: Converter, bad: object) -> None:
    document = spans_of({"name": "a"}, bad, {"name": "b"})

    converted = convert(converter, TRACES, document)

    spans = parsed(TRACES, converted).resource_spans[0].scope_spans[0].spans
    assert [span.name for span in spans] == ["a", "b"]
    assert converted.rejected == 1
    assert converted.reason.startswith("resourceSpans[0].scopeSpans[0].spans[1]")


def test_reason_is_kept_behind_a_long_path(converter: Converter) -> None:
    value: dict[str, object] = {"intValue": "x"}
    for _ in range(20):
        value = {"kvlistValue": {"values": [{"key": "k", "value": value}]}}

    converted = convert(converter, TRACES, spans_of({"attributes": attribute(value)}))

    assert converted.rejected == 1
    assert converted.reason.endswith("must be a whole number, not the string 'x'")
    assert len(converted.reason) < 600


def test_reason_for_too_deep_a_value_tells_how_deep_it_may_be(converter: Converter) -> None:
    value: dict[str, object] = {"intValue": 1}
    for _ in range(32):
        value = {"kvlistValue": {"values": [{"key": "k", "value": value}]}}

    converted = convert(converter, TRACES, spans_of({"attributes": attribute(value)}, {"name": "a"}))

    assert converted.rejected == 1
    assert "31 maps or 47 arrays" in converted.reason


@pytest.mark.parametrize(("maps", "rejected"), [(31, 0), (32, 1)])
def test_as_many_maps_as_the_reason_says_are_taken(converter: Converter, maps: int, rejected: int) -> None:
    value: dict[str, object] = {"intValue": 1}
    for _ in range(maps):
        value = {"kvlistValue": {"values": [{"key": "k", "value": value}]}}

    assert convert(converter, TRACES, spans_of({"attributes": attribute(value)})).rejected == rejected


@pytest.mark.parametrize(("arrays", "rejected"), [(46, 0), (47, 0), (48, 1)])
def test_as_many_arrays_as_the_reason_says_are_taken(converter: Converter, arrays: int, rejected: int) -> None:
    value: dict[str, object] = {"intValue": 1}
    for _ in range(arrays):
        value = {"arrayValue": {"values": [value]}}

    assert convert(converter, TRACES, spans_of({"attributes": attribute(value)})).rejected == rejected


def test_metric_that_cannot_be_read_is_rejected_with_its_points(converter: Converter) -> None:
    points = [{"asInt": 1}, {"asInt": 2}]
    bad = {"name": "bad", "sum": {"isMonotonic": "true", "dataPoints": points}}
    good = {"name": "good", "gauge": {"dataPoints": [{"asInt": 3}, {"asInt": "x"}]}}

    converted = convert(converter, METRICS, metrics_of(bad, good))

    (metric,) = parsed(METRICS, converted).resource_metrics[0].scope_metrics[0].metrics
    assert (metric.name, len(metric.gauge.data_points)) == ("good", 1)
    assert converted.rejected == 3


@pytest.mark.parametrize("document", [[], 7, spans_of()["resourceSpans"], {"resourceSpans": 7}, {"resourceSpans": [7]}])
def test_what_is_wrong_around_the_records_refuses_all(converter: Converter, document: object) -> None:
    with pytest.raises(MalformedPayload):
        convert(converter, TRACES, document)


async def test_lines_are_one_request_together(converter: Converter) -> None:
    lines = [json.dumps(spans_of({"name": name})).encode() for name in "abc"]
    bad = json.dumps(spans_of({"kind": []})).encode()

    converted = await converter.convert_lines_async(TRACES, b"\xef\xbb\xbf" + b"\r\n".join([*lines, bad, b""]))

    request = parsed(TRACES, converted)
    spans = [span.name for group in request.resource_spans for scope in group.scope_spans for span in scope.spans]
    assert spans == ["a", "b", "c"]
    assert converted.rejected == 1


def test_large_body_that_would_have_to_be_mended_is_refused(converter: Converter) -> None:
    body = json.dumps(spans_of({"name": 7})).encode() + b" " * MEND_BYTES

    with pytest.raises(MalformedPayload, match=r"spans\[0\]\.name (is not what it must|must) be"):
        convert(converter, TRACES, body)
