from __future__ import annotations

from typing import Any

import pytest
from bson import Binary, Decimal128, Int64
from bson.datetime_ms import DatetimeMS

from exporter.interfaces import Transcoder
from tests.exporter.transcode.requests import BASE_ID, add, document, documents, span_request

START = 1_763_928_574_123_456_789
MOST = 2**64 - 1


def span_document(transcoder: Transcoder, **fields: Any) -> dict[str, Any]:
    request, span = span_request()
    for name, value in fields.items():
        setattr(span, name, value)
    return document(transcoder, "traces", request)


def test_span_empty_has_only_what_is_always_written(transcoder: Transcoder) -> None:
    written = span_document(transcoder)

    assert written == {"_id": Binary(BASE_ID.to_bytes(16), 4), "kind": "UNSPECIFIED", "status": {"code": "UNSET"}}


def test_span_full_has_each_field_in_order(transcoder: Transcoder) -> None:
    request, span = span_request()
    group = request.resource_spans[0]
    group.schema_url = b"https://resource"
    group.resource.dropped_attributes_count = 1
    group.resource.entity_refs.add(schema_url=b"s", type=b"t", id_keys=[b"a", b"\xff"], description_keys=[b""])
    group.resource.entity_refs.add()
    add(group.resource.attributes, [("service.name", "shop")])
    group.scope_spans[0].schema_url = b"https://scope"
    scope = group.scope_spans[0].scope
    scope.name, scope.version, scope.dropped_attributes_count = b"lib", b"1", 2
    add(scope.attributes, [("a", 1)])
    span.trace_id, span.span_id, span.parent_span_id = bytes(range(16)), b"\xab" * 8, b"\xcd" * 8
    span.trace_state, span.flags, span.name, span.kind = b"a=b", 2**32 - 1, b"GET /", 2
    span.start_time_unix_nano, span.end_time_unix_nano = START, START + 5
    span.status.code, span.status.message = 2, b"bad"
    add(span.attributes, [("http.method", "GET"), ("$", 1)])
    span.dropped_attributes_count, span.dropped_events_count, span.dropped_links_count = 3, 4, 5
    event = span.events.add(name=b"e", time_unix_nano=START, dropped_attributes_count=6)
    add(event.attributes, [("a", 1)])
    link = span.links.add(trace_id=b"\x01", span_id=b"\x02", trace_state=b"x", flags=7, dropped_attributes_count=8)
    add(link.attributes, [("a", 1)])

    written = document(transcoder, "traces", request)

    date = DatetimeMS(START // 1_000_000)
    expected = {
        "_id": Binary(BASE_ID.to_bytes(16), 4),
        "traceId": "000102030405060708090a0b0c0d0e0f",
        "spanId": "abababababababab",
        "parentSpanId": "cdcdcdcdcdcdcdcd",
        "traceState": "a=b",
        "flags": Int64(2**32 - 1),
        "name": "GET /",
        "kind": "SERVER",
        "startTime": date,
        "startTimeUnixNano": Int64(START),
        "endTime": date,
        "endTimeUnixNano": Int64(START + 5),
        "durationNanos": Int64(5),
        "status": {"code": "ERROR", "message": "bad"},
        "attributes": {"http": {"method": "GET"}},
        "attributesUnnested": [{"k": "$", "v": 1}],
        "droppedAttributesCount": 3,
        "events": [
            {
                "name": "e",
                "time": date,
                "timeUnixNano": Int64(START),
                "attributes": {"a": 1},
                "droppedAttributesCount": 6,
            }
        ],
        "droppedEventsCount": 4,
        "links": [
            {
                "traceId": "01",
                "spanId": "02",
                "traceState": "x",
                "flags": 7,
                "attributes": {"a": 1},
                "droppedAttributesCount": 8,
            }
        ],
        "droppedLinksCount": 5,
        "resource": {
            "attributes": {"service": {"name": "shop"}},
            "schemaUrl": "https://resource",
            "droppedAttributesCount": 1,
            "entityRefs": [{"schemaUrl": "s", "type": "t", "idKeys": ["a", b"\xff"], "descriptionKeys": [""]}, {}],
        },
        "scope": {
            "name": "lib",
            "version": "1",
            "attributes": {"a": 1},
            "schemaUrl": "https://scope",
            "droppedAttributesCount": 2,
        },
    }
    assert written == expected
    assert _order(written) == _order(expected)


def _order(value: Any) -> Any:
    """The names of all fields, in their order."""
    if isinstance(value, dict):
        return [(name, _order(inner)) for name, inner in value.items()]
    return [_order(element) for element in value] if isinstance(value, list) else None


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (START, START, Int64(0)),
        (START + 7, START, Int64(-7)),
        (START, 0, None),
        (0, START, None),
        (1, 2**63, Int64(2**63 - 1)),
        (1, 2**63 + 1, Decimal128(str(2**63))),
        (1, MOST, Decimal128(str(MOST - 1))),
        (2**63 + 1, 1, Int64(-(2**63))),
        (MOST, 1, Decimal128(str(1 - MOST))),
    ],
)
def test_span_duration_is_exact_or_absent(transcoder: Transcoder, start: int, end: int, expected: Any) -> None:
    written = span_document(transcoder, start_time_unix_nano=start, end_time_unix_nano=end)

    assert written.get("durationNanos") == expected
    assert type(written.get("durationNanos")) is type(expected)


def test_span_time_above_int64_is_decimal_and_date_rounded_down(transcoder: Transcoder) -> None:
    written = span_document(transcoder, start_time_unix_nano=MOST)

    assert written["startTime"] == DatetimeMS(18_446_744_073_709)
    assert written["startTimeUnixNano"] == Decimal128(str(MOST))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [(0, "UNSPECIFIED"), (1, "INTERNAL"), (3, "CLIENT"), (4, "PRODUCER"), (5, "CONSUMER"), (6, 6), (-1, -1)],
)
def test_span_kind_is_a_name_or_an_unknown_number(transcoder: Transcoder, kind: int, expected: str | int) -> None:
    assert span_document(transcoder, kind=kind)["kind"] == expected


@pytest.mark.parametrize(("code", "expected"), [(0, "UNSET"), (1, "OK"), (2, "ERROR"), (3, 3), (-(2**31), -(2**31))])
def test_span_status_code_is_a_name_or_an_unknown_number(
    transcoder: Transcoder, code: int, expected: str | int
) -> None:
    request, span = span_request()
    span.status.code = code

    assert document(transcoder, "traces", request)["status"] == {"code": expected}


@pytest.mark.parametrize("flags", [1, 2**31 - 1, 2**31])
def test_span_flags_are_int32_where_they_fit(transcoder: Transcoder, flags: int) -> None:
    written = span_document(transcoder, flags=flags)["flags"]

    assert written == flags
    assert type(written) is (int if flags < 2**31 else Int64)


def test_span_ids_of_wrong_length_are_kept(transcoder: Transcoder) -> None:
    written = span_document(transcoder, trace_id=b"\x0a", span_id=b"\xff" * 20)

    assert (written["traceId"], written["spanId"]) == ("0a", "ff" * 20)


def test_span_name_that_is_not_utf8_is_binary(transcoder: Transcoder) -> None:
    assert span_document(transcoder, name=b"caf\xe9")["name"] == b"caf\xe9"


def test_span_empty_events_and_links_stay_in_their_arrays(transcoder: Transcoder) -> None:
    request, span = span_request()
    span.events.add()
    span.links.add()

    written = document(transcoder, "traces", request)

    assert (written["events"], written["links"]) == ([{}], [{}])


def test_spans_of_several_groups_are_numbered_as_they_stand(transcoder: Transcoder) -> None:
    request, span = span_request()
    span.name = b"0"
    request.resource_spans[0].scope_spans[0].spans.add(name=b"1")
    request.resource_spans.add().scope_spans.add()
    second = request.resource_spans.add(schema_url=b"second")
    second.scope_spans.add().spans.add(name=b"2")
    second.scope_spans.add(schema_url=b"third").spans.add(name=b"3")

    written = documents(transcoder, "traces", request)

    assert [span["name"] for span in written] == ["0", "1", "2", "3"]
    assert [int.from_bytes(span["_id"]) - BASE_ID for span in written] == [0, 1, 2, 3]
    assert ["resource" in span for span in written] == [False, False, True, True]
    assert written[3]["scope"] == {"schemaUrl": "third"}
