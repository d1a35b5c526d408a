"""Whether bytes are a valid export request: what a protobuf parser checks, without making anything of it."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from exporter.transcode.native.plain cimport plain_pair, plain_value
from exporter.transcode.native.wire cimport LEN, MOST_DEPTH, Bytes, Field, read_field, read_varint

cdef extern from "schema.h" nogil:
    enum:
        OTLP_FIELDS
        OTLP_KEY_VALUE
        OTLP_OPAQUE
        OTLP_PACKED_FIXED64
        OTLP_PACKED_VARINT
        OTLP_TRACES_REQUEST
        OTLP_LOGS_REQUEST
        OTLP_METRICS_REQUEST
    const uint8_t OTLP_SCHEMA[][OTLP_FIELDS]


cdef inline bint is_valid(Bytes message, uint32_t kind, uint32_t depth) noexcept nogil:
    """Whether a message is valid, and all messages in it. `depth`: messages around it."""
    cdef const uint8_t *at = message.data
    cdef const uint8_t *end = at + message.size
    cdef Field field
    cdef uint32_t number
    if depth > MOST_DEPTH:
        return False
    while at != end:
        at = read_field(at, end, depth, &field)
        if at is NULL:
            return False
        number = field.tag >> 3
        if field.tag & 7 == LEN and number < OTLP_FIELDS and OTLP_SCHEMA[kind][number] != OTLP_OPAQUE:
            if not is_valid_content(field.bytes, OTLP_SCHEMA[kind][number], depth):
                return False
    return True


cdef inline bint is_valid_content(Bytes content, uint32_t kind, uint32_t depth) noexcept nogil:
    if kind == OTLP_KEY_VALUE and depth + 2 <= MOST_DEPTH and is_plain(content):
        return True
    if kind == OTLP_PACKED_FIXED64:
        return content.size % 8 == 0
    if kind == OTLP_PACKED_VARINT:
        return are_varints(content)
    return is_valid(content, kind, depth + 1)


cdef inline bint is_plain(Bytes pair) noexcept nogil:
    """Whether a KeyValue and its value are plain, and so valid."""
    cdef size_t start = plain_pair(pair)
    cdef Bytes value
    if start == 0:
        return False
    value.data = pair.data + start
    value.size = pair.size - start
    return plain_value(value) != 0


cdef inline bint are_varints(Bytes packed) noexcept nogil:
    cdef const uint8_t *at = packed.data
    cdef const uint8_t *end = at + packed.size
    cdef uint64_t value
    while at != end:
        at = read_varint(at, end, &value)
        if at is NULL:
            return False
    return True
