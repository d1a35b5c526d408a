"""Data points of all kinds (docs/documents.md, `metrics`)."""

from libc.stdint cimport int32_t, uint32_t, uint64_t
from libc.string cimport memset

from exporter.transcode.native.bson cimport (
    Type, begin, end, literal, position, write_64, write_date, write_int32, write_uint64,
)
from exporter.transcode.native.exemplars cimport write_exemplars
from exporter.transcode.native.fields cimport begin_record, end_record, write_count_unless_0, write_time_unless_0
from exporter.transcode.native.numbers cimport Numbers, note_numbers, numbers, write_numbers
from exporter.transcode.native.values cimport write_attributes
from exporter.transcode.native.wire cimport (
    I64, LEN, VARINT, Bytes, Field, Message, Occurrences, merged, next_field, next_message, note,
)
from exporter.transcode.native.workspace cimport Workspace, append

cdef enum:
    # The members of Metric.data, which say of what kind its points are.
    METRIC_GAUGE = 5 << 3 | LEN
    METRIC_SUM = 7 << 3 | LEN
    METRIC_HISTOGRAM = 9 << 3 | LEN
    METRIC_EXPONENTIAL_HISTOGRAM = 10 << 3 | LEN
    METRIC_SUMMARY = 11 << 3 | LEN

    # All points agree on these two.
    POINT_START_TIME_UNIX_NANO = 2 << 3 | I64
    POINT_TIME_UNIX_NANO = 3 << 3 | I64

    NUMBER_AS_DOUBLE = 4 << 3 | I64
    NUMBER_EXEMPLARS = 5 << 3 | LEN
    NUMBER_AS_INT = 6 << 3 | I64
    NUMBER_ATTRIBUTES = 7 << 3 | LEN
    NUMBER_FLAGS = 8 << 3 | VARINT

    HISTOGRAM_COUNT = 4 << 3 | I64
    HISTOGRAM_SUM = 5 << 3 | I64
    HISTOGRAM_BUCKET_COUNTS = 6
    HISTOGRAM_EXPLICIT_BOUNDS = 7
    HISTOGRAM_EXEMPLARS = 8 << 3 | LEN
    HISTOGRAM_ATTRIBUTES = 9 << 3 | LEN
    HISTOGRAM_FLAGS = 10 << 3 | VARINT
    HISTOGRAM_MIN = 11 << 3 | I64
    HISTOGRAM_MAX = 12 << 3 | I64

    EXPONENTIAL_ATTRIBUTES = 1 << 3 | LEN
    EXPONENTIAL_COUNT = 4 << 3 | I64
    EXPONENTIAL_SUM = 5 << 3 | I64
    EXPONENTIAL_SCALE = 6 << 3 | VARINT
    EXPONENTIAL_ZERO_COUNT = 7 << 3 | I64
    EXPONENTIAL_POSITIVE = 8 << 3 | LEN
    EXPONENTIAL_NEGATIVE = 9 << 3 | LEN
    EXPONENTIAL_FLAGS = 10 << 3 | VARINT
    EXPONENTIAL_EXEMPLARS = 11 << 3 | LEN
    EXPONENTIAL_MIN = 12 << 3 | I64
    EXPONENTIAL_MAX = 13 << 3 | I64
    EXPONENTIAL_ZERO_THRESHOLD = 14 << 3 | I64

    BUCKETS_OFFSET = 1 << 3 | VARINT
    BUCKETS_BUCKET_COUNTS = 2

    SUMMARY_COUNT = 4 << 3 | I64
    SUMMARY_SUM = 5 << 3 | I64
    SUMMARY_QUANTILE_VALUES = 6 << 3 | LEN
    SUMMARY_ATTRIBUTES = 7 << 3 | LEN
    SUMMARY_FLAGS = 8 << 3 | VARINT

    QUANTILE_QUANTILE = 1 << 3 | I64
    QUANTILE_VALUE = 2 << 3 | I64

cdef struct Optional:
    bint present
    uint64_t bits

cdef struct Point:
    # What points of any kind may have; each kind uses its part of it.
    uint64_t start_time
    uint64_t time
    uint32_t flags
    int value_type  # Type.INT64 or Type.DOUBLE; 0: there is no value
    uint64_t value
    uint64_t count
    Optional sum
    Optional min
    Optional max
    Numbers bucket_counts
    Numbers explicit_bounds
    int32_t scale
    uint64_t zero_count
    uint64_t zero_threshold
    Occurrences positive
    Occurrences negative
    Occurrences quantiles
    Occurrences attributes
    Occurrences exemplars


cdef inline int32_t zigzag32(uint64_t value) noexcept nogil:
    cdef uint32_t bits = <uint32_t>value
    return <int32_t>((bits >> 1) ^ (0 - (bits & 1)))


cdef inline void set_optional(Optional *optional, uint64_t bits) noexcept nogil:
    optional.present = True
    optional.bits = bits


cdef inline void read_point(Workspace *ws, Message message, uint32_t kind, Point *point) noexcept nogil:
    cdef Field field
    memset(point, 0, sizeof(Point))
    point.bucket_counts = numbers(HISTOGRAM_BUCKET_COUNTS, I64)
    point.explicit_bounds = numbers(HISTOGRAM_EXPLICIT_BOUNDS, I64)
    while next_field(ws, &message, &field):
        if field.tag == POINT_START_TIME_UNIX_NANO:
            point.start_time = field.value
        elif field.tag == POINT_TIME_UNIX_NANO:
            point.time = field.value
        elif kind == METRIC_HISTOGRAM:
            read_histogram_field(point, &message, &field)
        elif kind == METRIC_EXPONENTIAL_HISTOGRAM:
            read_exponential_field(point, &message, &field)
        elif kind == METRIC_SUMMARY:
            read_summary_field(point, &message, &field)
        else:
            read_number_field(point, &message, &field)


cdef inline void read_number_field(Point *point, Message *message, Field *field) noexcept nogil:
    if field.tag == NUMBER_AS_DOUBLE:
        point.value_type = Type.DOUBLE
        point.value = field.value
    elif field.tag == NUMBER_AS_INT:
        point.value_type = Type.INT64
        point.value = field.value
    elif field.tag == NUMBER_ATTRIBUTES:
        note(&point.attributes, message, field)
    elif field.tag == NUMBER_EXEMPLARS:
        note(&point.exemplars, message, field)
    elif field.tag == NUMBER_FLAGS:
        point.flags = <uint32_t>field.value


cdef inline void read_histogram_field(Point *point, Message *message, Field *field) noexcept nogil:
    if field.tag == HISTOGRAM_COUNT:
        point.count = field.value
    elif field.tag == HISTOGRAM_SUM:
        set_optional(&point.sum, field.value)
    elif field.tag == HISTOGRAM_MIN:
        set_optional(&point.min, field.value)
    elif field.tag == HISTOGRAM_MAX:
        set_optional(&point.max, field.value)
    elif field.tag >> 3 == HISTOGRAM_BUCKET_COUNTS:
        note_numbers(&point.bucket_counts, message, field)
    elif field.tag >> 3 == HISTOGRAM_EXPLICIT_BOUNDS:
        note_numbers(&point.explicit_bounds, message, field)
    elif field.tag == HISTOGRAM_ATTRIBUTES:
        note(&point.attributes, message, field)
    elif field.tag == HISTOGRAM_EXEMPLARS:
        note(&point.exemplars, message, field)
    elif field.tag == HISTOGRAM_FLAGS:
        point.flags = <uint32_t>field.value


cdef inline void read_exponential_field(Point *point, Message *message, Field *field) noexcept nogil:
    if field.tag == EXPONENTIAL_COUNT:
        point.count = field.value
    elif field.tag == EXPONENTIAL_SUM:
        set_optional(&point.sum, field.value)
    elif field.tag == EXPONENTIAL_MIN:
        set_optional(&point.min, field.value)
    elif field.tag == EXPONENTIAL_MAX:
        set_optional(&point.max, field.value)
    elif field.tag == EXPONENTIAL_SCALE:
        point.scale = zigzag32(field.value)
    elif field.tag == EXPONENTIAL_ZERO_COUNT:
        point.zero_count = field.value
    elif field.tag == EXPONENTIAL_ZERO_THRESHOLD:
        point.zero_threshold = field.value
    elif field.tag == EXPONENTIAL_POSITIVE:
        note(&point.positive, message, field)
    elif field.tag == EXPONENTIAL_NEGATIVE:
        note(&point.negative, message, field)
    elif field.tag == EXPONENTIAL_ATTRIBUTES:
        note(&point.attributes, message, field)
    elif field.tag == EXPONENTIAL_EXEMPLARS:
        note(&point.exemplars, message, field)
    elif field.tag == EXPONENTIAL_FLAGS:
        point.flags = <uint32_t>field.value


cdef inline void read_summary_field(Point *point, Message *message, Field *field) noexcept nogil:
    if field.tag == SUMMARY_COUNT:
        point.count = field.value
    elif field.tag == SUMMARY_SUM:
        set_optional(&point.sum, field.value)
    elif field.tag == SUMMARY_QUANTILE_VALUES:
        note(&point.quantiles, message, field)
    elif field.tag == SUMMARY_ATTRIBUTES:
        note(&point.attributes, message, field)
    elif field.tag == SUMMARY_FLAGS:
        point.flags = <uint32_t>field.value


cdef inline uint64_t point_time(Workspace *ws, Message message, uint32_t kind) noexcept nogil:
    """What the point counts with for the batch's `_id`; 0: none."""
    cdef Point point
    read_point(ws, message, kind, &point)
    return point.time


cdef inline void write_point(Workspace *ws, Message message, uint32_t kind) noexcept nogil:
    cdef Point point
    cdef uint32_t parts = ws.parts.size
    cdef size_t start = begin_record(ws)
    read_point(ws, message, kind, &point)
    append(ws, &ws.out, ws.metric.data, ws.metric.size)
    write_date(ws, literal(b"time"), point.time if point.time else ws.received_unix_nano)
    if point.time:
        write_uint64(ws, literal(b"timeUnixNano"), point.time)
    write_time_unless_0(ws, literal(b"startTime"), literal(b"startTimeUnixNano"), point.start_time)
    write_count_unless_0(ws, literal(b"flags"), point.flags)
    if kind == METRIC_HISTOGRAM:
        write_histogram(ws, &point)
    elif kind == METRIC_EXPONENTIAL_HISTOGRAM:
        write_exponential_histogram(ws, &point)
    elif kind == METRIC_SUMMARY:
        write_summary(ws, &point)
    elif point.value_type:
        write_64(ws, point.value_type, literal(b"value"), point.value)
    write_attributes(ws, literal(b"attributes"), literal(b"attributesUnnested"), &point.attributes, 1)
    write_exemplars(ws, &point.exemplars)
    end_record(ws, start)
    ws.parts.size = parts


cdef inline void write_optional(Workspace *ws, Bytes name, Optional *optional) noexcept nogil:
    if optional.present:
        write_64(ws, Type.DOUBLE, name, optional.bits)


cdef inline void write_histogram(Workspace *ws, Point *point) noexcept nogil:
    cdef size_t start = begin(ws, Type.DOCUMENT, literal(b"histogram"))
    write_uint64(ws, literal(b"count"), point.count)
    write_optional(ws, literal(b"sum"), &point.sum)
    write_optional(ws, literal(b"min"), &point.min)
    write_optional(ws, literal(b"max"), &point.max)
    write_numbers(ws, Type.DOUBLE, literal(b"bounds"), &point.explicit_bounds)
    write_numbers(ws, Type.INT64, literal(b"counts"), &point.bucket_counts)
    end(ws, start)


cdef inline void write_exponential_histogram(Workspace *ws, Point *point) noexcept nogil:
    cdef size_t start = begin(ws, Type.DOCUMENT, literal(b"exponentialHistogram"))
    write_uint64(ws, literal(b"count"), point.count)
    write_optional(ws, literal(b"sum"), &point.sum)
    write_optional(ws, literal(b"min"), &point.min)
    write_optional(ws, literal(b"max"), &point.max)
    write_int32(ws, literal(b"scale"), point.scale)
    write_uint64(ws, literal(b"zeroCount"), point.zero_count)
    if point.zero_threshold:
        write_64(ws, Type.DOUBLE, literal(b"zeroThreshold"), point.zero_threshold)
    write_buckets(ws, literal(b"positive"), &point.positive)
    write_buckets(ws, literal(b"negative"), &point.negative)
    end(ws, start)


cdef inline void write_buckets(Workspace *ws, Bytes name, Occurrences *buckets) noexcept nogil:
    cdef Message message = merged(ws, buckets)
    cdef Numbers counts = numbers(BUCKETS_BUCKET_COUNTS, VARINT)
    cdef int32_t offset = 0
    cdef Field field
    cdef size_t start
    while next_field(ws, &message, &field):
        if field.tag == BUCKETS_OFFSET:
            offset = zigzag32(field.value)
        else:
            note_numbers(&counts, &message, &field)
    if offset == 0 and counts.count == 0:
        return
    start = begin(ws, Type.DOCUMENT, name)
    write_int32(ws, literal(b"offset"), offset)
    write_numbers(ws, Type.INT64, literal(b"counts"), &counts)
    end(ws, start)


cdef inline void write_summary(Workspace *ws, Point *point) noexcept nogil:
    cdef Message quantile
    cdef char digits[12]
    cdef uint32_t index = 0
    cdef size_t array
    cdef size_t start = begin(ws, Type.DOCUMENT, literal(b"summary"))
    write_uint64(ws, literal(b"count"), point.count)
    write_64(ws, Type.DOUBLE, literal(b"sum"), point.sum.bits)
    if point.quantiles.count:
        array = begin(ws, Type.ARRAY, literal(b"quantiles"))
        while next_message(ws, &point.quantiles, &quantile):
            write_quantile(ws, position(digits, index), quantile)
            index += 1
        end(ws, array)
    end(ws, start)


cdef inline void write_quantile(Workspace *ws, Bytes name, Message message) noexcept nogil:
    cdef uint64_t quantile = 0
    cdef uint64_t value = 0
    cdef Field field
    cdef size_t start = begin(ws, Type.DOCUMENT, name)
    while next_field(ws, &message, &field):
        if field.tag == QUANTILE_QUANTILE:
            quantile = field.value
        elif field.tag == QUANTILE_VALUE:
            value = field.value
    write_64(ws, Type.DOUBLE, literal(b"quantile"), quantile)
    write_64(ws, Type.DOUBLE, literal(b"value"), value)
    end(ws, start)
