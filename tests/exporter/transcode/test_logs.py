from __future__ import annotations

from typing import Any

import pytest
from bson import Binary, Int64
from bson.datetime_ms import DatetimeMS

from exporter.interfaces import Transcoder
from tests.exporter.transcode.requests import BASE_ID, RECEIVED, add, document, log_request, set_value

TIME = 1_700_000_000_123_456_789
OBSERVED = TIME + 5_000_000


def test_log_empty_has_id_and_time_of_receipt(transcoder: Transcoder) -> None:
    request, _ = log_request()

    written = document(transcoder, "logs", request)

    assert written == {"_id": Binary(BASE_ID.to_bytes(16), 4), "time": DatetimeMS(RECEIVED // 1_000_000)}


def test_log_full_has_each_field_in_order(transcoder: Transcoder) -> None:
    request, log = log_request()
    log.time_unix_nano, log.observed_time_unix_nano = TIME, OBSERVED
    log.severity_number, log.severity_text, log.event_name = 17, b"ERROR", b"event"
    log.trace_id, log.span_id, log.flags, log.dropped_attributes_count = b"\x01" * 16, b"\x02" * 8, 1, 2
    set_value(log.body, [("a.b", 1)])
    add(log.attributes, [("a.b", 1)])

    written = document(transcoder, "logs", request)

    assert list(written.items())[1:] == [
        ("time", DatetimeMS(TIME // 1_000_000)),
        ("timeUnixNano", Int64(TIME)),
        ("observedTime", DatetimeMS(OBSERVED // 1_000_000)),
        ("observedTimeUnixNano", Int64(OBSERVED)),
        ("severityNumber", 17),
        ("severityText", "ERROR"),
        ("body", {"a": {"b": Int64(1)}}),
        ("eventName", "event"),
        ("traceId", "01" * 16),
        ("spanId", "02" * 8),
        ("flags", 1),
        ("attributes", {"a": {"b": Int64(1)}}),
        ("droppedAttributesCount", 2),
    ]


def test_log_without_own_time_takes_the_observed(transcoder: Transcoder) -> None:
    request, log = log_request()
    log.observed_time_unix_nano = OBSERVED

    written = document(transcoder, "logs", request)

    assert written["time"] == written["observedTime"] == DatetimeMS(OBSERVED // 1_000_000)
    assert "timeUnixNano" not in written


@pytest.mark.parametrize("number", [1, 24, 99, -1])
def test_log_severity_is_a_number(transcoder: Transcoder, number: int) -> None:
    request, log = log_request()
    log.severity_number = number

    written = document(transcoder, "logs", request)["severityNumber"]

    assert written == number
    assert type(written) is int


@pytest.mark.parametrize(("body", "expected"), [(None, None), ("", ""), (0, 0), ((), []), ([], {}), (False, False)])
def test_log_body_that_is_there_is_written(transcoder: Transcoder, body: Any, expected: Any) -> None:
    request, log = log_request()
    log.body.SetInParent()
    set_value(log.body, body)

    written = document(transcoder, "logs", request)

    assert "body" in written
    assert written["body"] == expected
