"""Metrics: a data point to a document (docs/documents.md, `metrics`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bson import Int64
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality

from exporter.transcode.reference.attributes import put_attributes
from exporter.transcode.reference.groups import Series, field
from exporter.transcode.reference.messages import Proto
from exporter.transcode.reference.values import (
    Document,
    date,
    integer,
    is_default,
    put_id,
    put_number,
    put_text,
    put_time,
    short_names,
)

_TEMPORALITIES = short_names(AggregationTemporality.DESCRIPTOR, "AGGREGATION_TEMPORALITY_")


class Metrics:
    """See `Walk`."""

    resources = "resource_metrics"
    scopes = "scope_metrics"

    def series(self, scope: Proto) -> Iterator[Series]:
        for metric in scope.metrics:
            if kind := metric.WhichOneof("data"):
                data = getattr(metric, kind)
                yield Series(field("metric", _metric(metric, kind)), data.data_points, _WRITERS[kind])

    def unix_nano(self, record: Proto) -> int:
        return int(record.time_unix_nano)


def _metric(metric: Proto, kind: str) -> Document:
    data = getattr(metric, kind)
    document: Document = {}
    put_text(document, "name", metric.name)
    put_text(document, "description", metric.description)
    put_text(document, "unit", metric.unit)
    document["type"] = _TYPES[kind]
    if kind in _WITH_TEMPORALITY:
        temporality = data.aggregation_temporality
        document["temporality"] = _TEMPORALITIES.get(temporality, temporality)
    if kind == "sum":
        document["monotonic"] = data.is_monotonic
    put_attributes(document, "metadata", metric.metadata, level=2)
    return document


def _writer(
    put_value: Callable[[Document, Proto], None], *, exemplars: bool = True
) -> Callable[[Document, Proto, int], None]:
    """`exemplars`: whether points of this type can have some."""

    def write(document: Document, point: Proto, received_unix_nano: int) -> None:
        document["time"] = date(point.time_unix_nano or received_unix_nano)
        if point.time_unix_nano:
            document["timeUnixNano"] = integer(point.time_unix_nano)
        put_time(document, "startTime", point.start_time_unix_nano)
        put_number(document, "flags", point.flags)
        put_value(document, point)
        put_attributes(document, "attributes", point.attributes, level=1)
        if exemplars and point.exemplars:
            document["exemplars"] = [_exemplar(exemplar) for exemplar in point.exemplars]

    return write


def _exemplar(exemplar: Proto) -> Document:
    document: Document = {}
    _put_number(document, exemplar)
    put_time(document, "time", exemplar.time_unix_nano)
    put_id(document, "traceId", exemplar.trace_id)
    put_id(document, "spanId", exemplar.span_id)
    put_attributes(document, "filteredAttributes", exemplar.filtered_attributes, level=3)
    return document


def _put_number(document: Document, point: Proto) -> None:
    kind = point.WhichOneof("value")
    if kind == "as_int":
        document["value"] = Int64(point.as_int)
    elif kind == "as_double":
        document["value"] = point.as_double


def _put_histogram(document: Document, point: Proto) -> None:
    histogram = document["histogram"] = _aggregates(point)
    if point.explicit_bounds:
        histogram["bounds"] = list(point.explicit_bounds)
    if point.bucket_counts:
        histogram["counts"] = [integer(count) for count in point.bucket_counts]


def _put_exponential_histogram(document: Document, point: Proto) -> None:
    histogram = document["exponentialHistogram"] = _aggregates(point)
    histogram["scale"] = point.scale
    histogram["zeroCount"] = integer(point.zero_count)
    if not is_default(point.zero_threshold):
        histogram["zeroThreshold"] = point.zero_threshold
    for side in ("positive", "negative"):
        buckets = getattr(point, side)
        if buckets.offset or buckets.bucket_counts:
            histogram[side] = _buckets(buckets)


def _aggregates(point: Proto) -> Document:
    document: Document = {"count": integer(point.count)}
    for name in ("sum", "min", "max"):
        if point.HasField(name):
            document[name] = getattr(point, name)
    return document


def _buckets(buckets: Proto) -> Document:
    document: Document = {"offset": buckets.offset}
    if buckets.bucket_counts:
        document["counts"] = [integer(count) for count in buckets.bucket_counts]
    return document


def _put_summary(document: Document, point: Proto) -> None:
    summary: Document = {"count": integer(point.count), "sum": point.sum}
    document["summary"] = summary
    if point.quantile_values:
        summary["quantiles"] = [
            {"quantile": quantile.quantile, "value": quantile.value} for quantile in point.quantile_values
        ]


_TYPES = {
    "gauge": "gauge",
    "sum": "sum",
    "histogram": "histogram",
    "exponential_histogram": "exponentialHistogram",
    "summary": "summary",
}
_WITH_TEMPORALITY = {"sum", "histogram", "exponential_histogram"}
_WRITERS = {
    "gauge": _writer(_put_number),
    "sum": _writer(_put_number),
    "histogram": _writer(_put_histogram),
    "exponential_histogram": _writer(_put_exponential_histogram),
    "summary": _writer(_put_summary, exemplars=False),
}
