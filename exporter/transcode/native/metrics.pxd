"""Metrics: what all data points of a metric have in common (docs/documents.md, `metrics`)."""

from libc.stdint cimport int32_t, uint32_t, uint64_t
from libc.string cimport memset

from exporter.transcode.native.bson cimport Type, begin, end, literal, write_bool, write_text
from exporter.transcode.native.fields cimport write_enum, write_text_unless_empty
from exporter.transcode.native.points cimport (
    METRIC_EXPONENTIAL_HISTOGRAM, METRIC_GAUGE, METRIC_HISTOGRAM, METRIC_SUM, METRIC_SUMMARY, point_time, write_point,
)
from exporter.transcode.native.values cimport write_attributes
from exporter.transcode.native.wire cimport (
    LEN, VARINT, Bytes, Field, Message, Occurrences, merged, next_field, next_message, note,
)
from exporter.transcode.native.workspace cimport Workspace, begin_shared, end_shared

cdef enum:
    METRIC_NAME = 1 << 3 | LEN
    METRIC_DESCRIPTION = 2 << 3 | LEN
    METRIC_UNIT = 3 << 3 | LEN
    METRIC_METADATA = 12 << 3 | LEN

    # The five kinds of data agree on the numbers of the fields that they have in common.
    DATA_POINTS = 1 << 3 | LEN
    DATA_AGGREGATION_TEMPORALITY = 2 << 3 | VARINT
    DATA_IS_MONOTONIC = 3 << 3 | VARINT

cdef struct Metric:
    Bytes name
    Bytes description
    Bytes unit
    Occurrences metadata
    uint64_t metadata_size
    uint32_t which  # the tag of the data that is set; 0: none is
    Occurrences points
    int32_t temporality
    bint monotonic


cdef inline const char *temporality_name(int32_t temporality) noexcept nogil:
    if temporality == 0:
        return b"UNSPECIFIED"
    if temporality == 1:
        return b"DELTA"
    if temporality == 2:
        return b"CUMULATIVE"
    return NULL


cdef inline const char *type_name(uint32_t which) noexcept nogil:
    if which == METRIC_GAUGE:
        return b"gauge"
    if which == METRIC_SUM:
        return b"sum"
    if which == METRIC_HISTOGRAM:
        return b"histogram"
    if which == METRIC_EXPONENTIAL_HISTOGRAM:
        return b"exponentialHistogram"
    return b"summary"


cdef inline void read_metric(Workspace *ws, Message message, Metric *metric) noexcept nogil:
    """The data set last wins; occurrences of the same kind in a row are one, merged. May push parts."""
    cdef Occurrences data
    cdef Field field
    memset(metric, 0, sizeof(Metric))
    data.count = 0
    while next_field(ws, &message, &field):
        if field.tag == METRIC_NAME:
            metric.name = field.bytes
        elif field.tag == METRIC_DESCRIPTION:
            metric.description = field.bytes
        elif field.tag == METRIC_UNIT:
            metric.unit = field.bytes
        elif field.tag == METRIC_METADATA:
            note(&metric.metadata, &message, &field)
            metric.metadata_size += 2 + field.bytes.size
        elif (
            field.tag == METRIC_GAUGE or field.tag == METRIC_SUM or field.tag == METRIC_HISTOGRAM
            or field.tag == METRIC_EXPONENTIAL_HISTOGRAM or field.tag == METRIC_SUMMARY
        ):
            if metric.which != field.tag:
                data.count = 0
                metric.which = field.tag
            note(&data, &message, &field)
    if metric.which:
        read_data(ws, merged(ws, &data), metric)


cdef inline void read_data(Workspace *ws, Message message, Metric *metric) noexcept nogil:
    cdef Field field
    while next_field(ws, &message, &field):
        if field.tag == DATA_POINTS:
            note(&metric.points, &message, &field)
        elif field.tag == DATA_AGGREGATION_TEMPORALITY:
            metric.temporality = <int32_t>field.value
        elif field.tag == DATA_IS_MONOTONIC:
            metric.monotonic = field.value != 0


cdef inline uint64_t first_point_time(Workspace *ws, Metric *metric) noexcept nogil:
    """The time of the first data point that has one; 0: none."""
    cdef Occurrences left = metric.points
    cdef Message point
    cdef uint64_t time = 0
    while time == 0 and next_message(ws, &left, &point):
        time = point_time(ws, point, metric.which)
    return time


cdef inline void write_metric(Workspace *ws, Message message) noexcept nogil:
    """Write a document for each data point."""
    cdef uint32_t parts = ws.parts.size
    cdef Metric metric
    cdef Message point
    cdef size_t start
    read_metric(ws, message, &metric)
    if metric.points.count:
        start = begin_shared(ws)
        ws.metric.size = 0
        write_head(ws, &metric)
        end_shared(ws, start, &ws.metric)
        while next_message(ws, &metric.points, &point):
            write_point(ws, point, metric.which)
    ws.parts.size = parts


cdef inline void write_head(Workspace *ws, Metric *metric) noexcept nogil:
    """The field `metric`."""
    cdef size_t start = begin(ws, Type.DOCUMENT, literal(b"metric"))
    write_text_unless_empty(ws, literal(b"name"), metric.name)
    write_text_unless_empty(ws, literal(b"description"), metric.description)
    write_text_unless_empty(ws, literal(b"unit"), metric.unit)
    write_text(ws, literal(b"type"), literal(type_name(metric.which)))
    if metric.which != METRIC_GAUGE and metric.which != METRIC_SUMMARY:
        write_enum(ws, literal(b"temporality"), temporality_name(metric.temporality), metric.temporality)
    if metric.which == METRIC_SUM:
        write_bool(ws, literal(b"monotonic"), metric.monotonic)
    write_attributes(ws, literal(b"metadata"), literal(b"metadataUnnested"), &metric.metadata, 2)
    end(ws, start)
