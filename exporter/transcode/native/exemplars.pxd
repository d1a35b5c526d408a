"""Exemplars of data points (docs/documents.md, `metrics`)."""

from libc.stdint cimport uint32_t, uint64_t

from exporter.transcode.native.bson cimport Type, begin, end, literal, position, write_64
from exporter.transcode.native.fields cimport write_id_unless_empty, write_time_unless_0
from exporter.transcode.native.values cimport write_attributes
from exporter.transcode.native.wire cimport (
    I64, LEN, Bytes, Field, Message, Occurrences, next_field, next_message, note,
)
from exporter.transcode.native.workspace cimport Workspace

cdef enum:
    EXEMPLAR_TIME_UNIX_NANO = 2 << 3 | I64
    EXEMPLAR_AS_DOUBLE = 3 << 3 | I64
    EXEMPLAR_SPAN_ID = 4 << 3 | LEN
    EXEMPLAR_TRACE_ID = 5 << 3 | LEN
    EXEMPLAR_AS_INT = 6 << 3 | I64
    EXEMPLAR_FILTERED_ATTRIBUTES = 7 << 3 | LEN


cdef inline void write_exemplars(Workspace *ws, Occurrences *exemplars) noexcept nogil:
    cdef Message message
    cdef char digits[12]
    cdef uint32_t index = 0
    cdef size_t array, start
    if exemplars.count == 0:
        return
    array = begin(ws, Type.ARRAY, literal(b"exemplars"))
    while next_message(ws, exemplars, &message):
        start = begin(ws, Type.DOCUMENT, position(digits, index))
        write_exemplar(ws, message)
        end(ws, start)
        index += 1
    end(ws, array)


cdef inline void write_exemplar(Workspace *ws, Message message) noexcept nogil:
    cdef Field field
    cdef int value_type = 0
    cdef uint64_t value = 0
    cdef uint64_t time = 0
    cdef Bytes trace_id, span_id
    cdef Occurrences attributes
    trace_id.size = span_id.size = attributes.count = 0
    while next_field(ws, &message, &field):
        if field.tag == EXEMPLAR_AS_DOUBLE:
            value_type = Type.DOUBLE
            value = field.value
        elif field.tag == EXEMPLAR_AS_INT:
            value_type = Type.INT64
            value = field.value
        elif field.tag == EXEMPLAR_TIME_UNIX_NANO:
            time = field.value
        elif field.tag == EXEMPLAR_TRACE_ID:
            trace_id = field.bytes
        elif field.tag == EXEMPLAR_SPAN_ID:
            span_id = field.bytes
        elif field.tag == EXEMPLAR_FILTERED_ATTRIBUTES:
            note(&attributes, &message, &field)
    if value_type:
        write_64(ws, value_type, literal(b"value"), value)
    write_time_unless_0(ws, literal(b"time"), literal(b"timeUnixNano"), time)
    write_id_unless_empty(ws, literal(b"traceId"), trace_id)
    write_id_unless_empty(ws, literal(b"spanId"), span_id)
    write_attributes(ws, literal(b"filteredAttributes"), literal(b"filteredAttributesUnnested"), &attributes, 3)
