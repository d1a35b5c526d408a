"""Log records (docs/documents.md, `logs`)."""

from libc.stdint cimport int32_t, uint32_t, uint64_t
from libc.string cimport memset

from exporter.transcode.native.bson cimport literal, write_date, write_int32
from exporter.transcode.native.fields cimport (
    begin_record, end_record, write_count_unless_0, write_id_unless_empty, write_text_unless_empty, write_time_unless_0,
)
from exporter.transcode.native.values cimport write_any, write_attributes
from exporter.transcode.native.wire cimport (
    I32, I64, LEN, VARINT, Bytes, Field, Message, Occurrences, merged, next_field, note,
)
from exporter.transcode.native.workspace cimport Workspace

cdef enum:
    LOG_TIME_UNIX_NANO = 1 << 3 | I64
    LOG_SEVERITY_NUMBER = 2 << 3 | VARINT
    LOG_SEVERITY_TEXT = 3 << 3 | LEN
    LOG_BODY = 5 << 3 | LEN
    LOG_ATTRIBUTES = 6 << 3 | LEN
    LOG_DROPPED_ATTRIBUTES_COUNT = 7 << 3 | VARINT
    LOG_FLAGS = 8 << 3 | I32
    LOG_TRACE_ID = 9 << 3 | LEN
    LOG_SPAN_ID = 10 << 3 | LEN
    LOG_OBSERVED_TIME_UNIX_NANO = 11 << 3 | I64
    LOG_EVENT_NAME = 12 << 3 | LEN

cdef struct LogRecord:
    uint64_t time
    uint64_t observed_time
    int32_t severity_number
    uint32_t dropped_attributes
    uint32_t flags
    Bytes severity_text
    Bytes event_name
    Bytes trace_id
    Bytes span_id
    Occurrences body
    Occurrences attributes


cdef inline void read_log(Workspace *ws, Message message, LogRecord *record) noexcept nogil:
    cdef Field field
    memset(record, 0, sizeof(LogRecord))
    while next_field(ws, &message, &field):
        if field.tag == LOG_ATTRIBUTES:
            note(&record.attributes, &message, &field)
        elif field.tag == LOG_TIME_UNIX_NANO:
            record.time = field.value
        elif field.tag == LOG_SEVERITY_NUMBER:
            record.severity_number = <int32_t>field.value
        elif field.tag == LOG_SEVERITY_TEXT:
            record.severity_text = field.bytes
        elif field.tag == LOG_BODY:
            note(&record.body, &message, &field)
        elif field.tag == LOG_DROPPED_ATTRIBUTES_COUNT:
            record.dropped_attributes = <uint32_t>field.value
        elif field.tag == LOG_FLAGS:
            record.flags = <uint32_t>field.value
        elif field.tag == LOG_TRACE_ID:
            record.trace_id = field.bytes
        elif field.tag == LOG_SPAN_ID:
            record.span_id = field.bytes
        elif field.tag == LOG_OBSERVED_TIME_UNIX_NANO:
            record.observed_time = field.value
        elif field.tag == LOG_EVENT_NAME:
            record.event_name = field.bytes


cdef inline uint64_t log_time(Workspace *ws, Message message) noexcept nogil:
    """What the record counts with for the batch's `_id`; 0: none."""
    cdef LogRecord record
    read_log(ws, message, &record)
    return record.time if record.time else record.observed_time


cdef inline void write_log(Workspace *ws, Message message) noexcept nogil:
    cdef LogRecord record
    cdef uint32_t parts = ws.parts.size
    cdef size_t start = begin_record(ws)
    read_log(ws, message, &record)
    if record.time:
        write_time_unless_0(ws, literal(b"time"), literal(b"timeUnixNano"), record.time)
    else:
        write_date(
            ws, literal(b"time"), record.observed_time if record.observed_time else ws.received_unix_nano
        )
    write_time_unless_0(ws, literal(b"observedTime"), literal(b"observedTimeUnixNano"), record.observed_time)
    if record.severity_number:
        write_int32(ws, literal(b"severityNumber"), record.severity_number)
    write_text_unless_empty(ws, literal(b"severityText"), record.severity_text)
    if record.body.count:
        write_any(ws, literal(b"body"), merged(ws, &record.body), 1)
    write_text_unless_empty(ws, literal(b"eventName"), record.event_name)
    write_id_unless_empty(ws, literal(b"traceId"), record.trace_id)
    write_id_unless_empty(ws, literal(b"spanId"), record.span_id)
    write_count_unless_0(ws, literal(b"flags"), record.flags)
    write_attributes(ws, literal(b"attributes"), literal(b"attributesUnnested"), &record.attributes, 1)
    write_count_unless_0(ws, literal(b"droppedAttributesCount"), record.dropped_attributes)
    end_record(ws, start)
    ws.parts.size = parts
