from __future__ import annotations

from typing import Any

import pytest
from bson import Binary, Decimal128, Int64
from bson.datetime_ms import DatetimeMS

from exporter.interfaces import Transcoder
from tests.exporter.transcode.requests import BASE_ID, RECEIVED, add, document, documents, metric_request

TIME = 1_700_000_000_123_456_789
MOST = 2**64 - 1


def test_gauge_empty_point_has_only_what_is_always_written(transcoder: Transcoder) -> None:
    request, metric = metric_request()
    metric.gauge.data_points.add()

    written = document(transcoder, "metrics", request)

    assert written == {
        "_id": Binary(BASE_ID.to_bytes(16), 4),
        "metric": {"type": "gauge"},
        "time": DatetimeMS(RECEIVED // 1_000_000),
    }


def test_sum_full_has_each_field_in_order(transcoder: Transcoder) -> None:
    request, metric = metric_request()
    metric.name, metric.description, metric.unit = b"requests", b"all of them", b"1"
    add(metric.metadata, [("a.b", 1)])
    metric.sum.aggregation_temporality, metric.sum.is_monotonic = 2, True
    point = metric.sum.data_points.add(time_unix_nano=TIME, start_time_unix_nano=TIME - 1, flags=1, as_int=7)
    add(point.attributes, [("a.b", 1)])
    exemplar = point.exemplars.add(as_double=0.5, time_unix_nano=TIME, trace_id=b"\x01" * 16, span_id=b"\x02" * 8)
    add(exemplar.filtered_attributes, [("a.b", 1)])
    point.exemplars.add()

    written = document(transcoder, "metrics", request)

    nested = {"a": {"b": Int64(1)}}
    date = DatetimeMS(TIME // 1_000_000)
    assert list(written.items())[1:] == [
        (
            "metric",
            {
                "name": "requests",
                "description": "all of them",
                "unit": "1",
                "type": "sum",
                "temporality": "CUMULATIVE",
                "monotonic": True,
                "metadata": nested,
            },
        ),
        ("time", date),
        ("timeUnixNano", Int64(TIME)),
        ("startTime", date),
        ("startTimeUnixNano", Int64(TIME - 1)),
        ("flags", 1),
        ("value", Int64(7)),
        ("attributes", nested),
        (
            "exemplars",
            [
                {
                    "value": 0.5,
                    "time": date,
                    "timeUnixNano": Int64(TIME),
                    "traceId": "01" * 16,
                    "spanId": "02" * 8,
                    "filteredAttributes": nested,
                },
                {},
            ],
        ),
    ]
    assert list(written["metric"]) == ["name", "description", "unit", "type", "temporality", "monotonic", "metadata"]


@pytest.mark.parametrize("kind", ["gauge", "sum"])
@pytest.mark.parametrize("value", [Int64(0), 0.0, Int64(-(2**63)), Int64(2**63 - 1), 1.5])
def test_number_value_keeps_its_type(transcoder: Transcoder, kind: str, value: Int64 | float) -> None:
    request, metric = metric_request()
    point = getattr(metric, kind).data_points.add()
    setattr(point, "as_double" if isinstance(value, float) else "as_int", value)

    written = document(transcoder, "metrics", request)["value"]

    assert written == value
    assert type(written) is type(value)


@pytest.mark.parametrize("kind", ["sum", "histogram", "exponential_histogram"])
@pytest.mark.parametrize(("temporality", "expected"), [(0, "UNSPECIFIED"), (1, "DELTA"), (2, "CUMULATIVE"), (9, 9)])
def test_temporality_is_always_written(
    transcoder: Transcoder, kind: str, temporality: int, expected: str | int
) -> None:
    request, metric = metric_request()
    getattr(metric, kind).aggregation_temporality = temporality
    getattr(metric, kind).data_points.add()

    written = document(transcoder, "metrics", request)["metric"]

    assert written["temporality"] == expected
    assert written.get("monotonic") == (False if kind == "sum" else None)


def test_histogram_empty_has_count(transcoder: Transcoder) -> None:
    request, metric = metric_request()
    metric.histogram.data_points.add()

    assert document(transcoder, "metrics", request)["histogram"] == {"count": Int64(0)}


def test_histogram_full_has_each_field_in_order(transcoder: Transcoder) -> None:
    request, metric = metric_request()
    metric.histogram.data_points.add(
        count=MOST, sum=0.0, min=0.0, max=-0.0, explicit_bounds=[0.0, 1.5], bucket_counts=[0, 2**63, 1]
    )

    written = document(transcoder, "metrics", request)["histogram"]

    assert list(written.items()) == [
        ("count", Decimal128(str(MOST))),
        ("sum", 0.0),
        ("min", 0.0),
        ("max", -0.0),
        ("bounds", [0.0, 1.5]),
        ("counts", [Int64(0), Decimal128(str(2**63)), Int64(1)]),
    ]


def test_exponential_histogram_empty_has_counts_and_scale(transcoder: Transcoder) -> None:
    request, metric = metric_request()
    point = metric.exponential_histogram.data_points.add()
    point.positive.SetInParent()

    written = document(transcoder, "metrics", request)

    assert written["metric"]["type"] == "exponentialHistogram"
    assert written["exponentialHistogram"] == {"count": Int64(0), "scale": 0, "zeroCount": Int64(0)}


def test_exponential_histogram_full_has_each_field_in_order(transcoder: Transcoder) -> None:
    request, metric = metric_request()
    point = metric.exponential_histogram.data_points.add(
        count=3, sum=1.0, min=0.5, max=2.0, scale=-1, zero_count=1, zero_threshold=-0.0
    )
    point.positive.offset, point.negative.offset = -(2**31), 0
    point.negative.bucket_counts.extend([0, MOST])

    written = document(transcoder, "metrics", request)["exponentialHistogram"]

    assert list(written.items()) == [
        ("count", Int64(3)),
        ("sum", 1.0),
        ("min", 0.5),
        ("max", 2.0),
        ("scale", -1),
        ("zeroCount", Int64(1)),
        ("zeroThreshold", -0.0),
        ("positive", {"offset": -(2**31)}),
        ("negative", {"offset": 0, "counts": [Int64(0), Decimal128(str(MOST))]}),
    ]


def test_summary_zeros_are_written(transcoder: Transcoder) -> None:
    request, metric = metric_request()
    metric.summary.data_points.add()
    metric.summary.data_points.add(count=1, sum=2.0).quantile_values.add()

    first, second = documents(transcoder, "metrics", request)

    assert first["summary"] == {"count": Int64(0), "sum": 0.0}
    assert second["summary"] == {"count": Int64(1), "sum": 2.0, "quantiles": [{"quantile": 0.0, "value": 0.0}]}


def test_metric_without_data_points_stores_nothing(transcoder: Transcoder) -> None:
    request, metric = metric_request()
    metric.name = b"none"
    request.resource_metrics[0].scope_metrics[0].metrics.add().gauge.SetInParent()

    assert documents(transcoder, "metrics", request) == []


def test_metric_sent_with_two_types_is_of_the_last(transcoder: Transcoder) -> None:
    """Protobuf, encoding: of several members of a oneof on the wire, the last one counts."""
    request, metric = metric_request()
    metric.gauge.data_points.add(as_int=1)
    _, second = metric_request()
    second.sum.data_points.add(as_int=2)
    two = metric.SerializeToString() + second.SerializeToString()
    request.resource_metrics[0].scope_metrics[0].metrics[0].ParseFromString(two)

    written: dict[str, Any] = document(transcoder, "metrics", request)

    assert (written["metric"]["type"], written["value"]) == ("sum", 2)
