"""Spans (docs/documents.md, `spans`)."""

from libc.stdint cimport int32_t, uint32_t, uint64_t
from libc.string cimport memset

from exporter.transcode.native.bson cimport Type, begin, end, literal, position, write_difference
from exporter.transcode.native.fields cimport (
    begin_record, end_record, write_count_unless_0, write_enum, write_id_unless_empty, write_text_unless_empty,
    write_time_unless_0,
)
from exporter.transcode.native.values cimport write_attributes
from exporter.transcode.native.wire cimport (
    I32, I64, LEN, VARINT, Bytes, Field, Message, Occurrences, merged, next_field, next_message, note,
)
from exporter.transcode.native.workspace cimport Workspace

cdef enum:
    SPAN_TRACE_ID = 1 << 3 | LEN
    SPAN_SPAN_ID = 2 << 3 | LEN
    SPAN_TRACE_STATE = 3 << 3 | LEN
    SPAN_PARENT_SPAN_ID = 4 << 3 | LEN
    SPAN_NAME = 5 << 3 | LEN
    SPAN_KIND = 6 << 3 | VARINT
    SPAN_START_TIME_UNIX_NANO = 7 << 3 | I64
    SPAN_END_TIME_UNIX_NANO = 8 << 3 | I64
    SPAN_ATTRIBUTES = 9 << 3 | LEN
    SPAN_DROPPED_ATTRIBUTES_COUNT = 10 << 3 | VARINT
    SPAN_EVENTS = 11 << 3 | LEN
    SPAN_DROPPED_EVENTS_COUNT = 12 << 3 | VARINT
    SPAN_LINKS = 13 << 3 | LEN
    SPAN_DROPPED_LINKS_COUNT = 14 << 3 | VARINT
    SPAN_STATUS = 15 << 3 | LEN
    SPAN_FLAGS = 16 << 3 | I32

    EVENT_TIME_UNIX_NANO = 1 << 3 | I64
    EVENT_NAME = 2 << 3 | LEN
    EVENT_ATTRIBUTES = 3 << 3 | LEN
    EVENT_DROPPED_ATTRIBUTES_COUNT = 4 << 3 | VARINT

    LINK_TRACE_ID = 1 << 3 | LEN
    LINK_SPAN_ID = 2 << 3 | LEN
    LINK_TRACE_STATE = 3 << 3 | LEN
    LINK_ATTRIBUTES = 4 << 3 | LEN
    LINK_DROPPED_ATTRIBUTES_COUNT = 5 << 3 | VARINT
    LINK_FLAGS = 6 << 3 | I32

    STATUS_MESSAGE = 2 << 3 | LEN
    STATUS_CODE = 3 << 3 | VARINT

cdef struct Span:
    Bytes trace_id
    Bytes span_id
    Bytes trace_state
    Bytes parent_span_id
    Bytes name
    int32_t kind
    uint32_t flags
    uint64_t start_time
    uint64_t end_time
    uint32_t dropped_attributes
    uint32_t dropped_events
    uint32_t dropped_links
    Occurrences attributes
    Occurrences events
    Occurrences links
    Occurrences status


cdef inline const char *span_kind(int32_t kind) noexcept nogil:
    if kind == 0:
        return b"UNSPECIFIED"
    if kind == 1:
        return b"INTERNAL"
    if kind == 2:
        return b"SERVER"
    if kind == 3:
        return b"CLIENT"
    if kind == 4:
        return b"PRODUCER"
    if kind == 5:
        return b"CONSUMER"
    return NULL


cdef inline const char *status_code(int32_t code) noexcept nogil:
    if code == 0:
        return b"UNSET"
    if code == 1:
        return b"OK"
    if code == 2:
        return b"ERROR"
    return NULL


cdef inline void read_span(Workspace *ws, Message message, Span *span) noexcept nogil:
    cdef Field field
    memset(span, 0, sizeof(Span))
    while next_field(ws, &message, &field):
        if field.tag == SPAN_ATTRIBUTES:
            note(&span.attributes, &message, &field)
        elif field.tag == SPAN_TRACE_ID:
            span.trace_id = field.bytes
        elif field.tag == SPAN_SPAN_ID:
            span.span_id = field.bytes
        elif field.tag == SPAN_TRACE_STATE:
            span.trace_state = field.bytes
        elif field.tag == SPAN_PARENT_SPAN_ID:
            span.parent_span_id = field.bytes
        elif field.tag == SPAN_NAME:
            span.name = field.bytes
        elif field.tag == SPAN_KIND:
            span.kind = <int32_t>field.value
        elif field.tag == SPAN_START_TIME_UNIX_NANO:
            span.start_time = field.value
        elif field.tag == SPAN_END_TIME_UNIX_NANO:
            span.end_time = field.value
        elif field.tag == SPAN_DROPPED_ATTRIBUTES_COUNT:
            span.dropped_attributes = <uint32_t>field.value
        elif field.tag == SPAN_EVENTS:
            note(&span.events, &message, &field)
        elif field.tag == SPAN_DROPPED_EVENTS_COUNT:
            span.dropped_events = <uint32_t>field.value
        elif field.tag == SPAN_LINKS:
            note(&span.links, &message, &field)
        elif field.tag == SPAN_DROPPED_LINKS_COUNT:
            span.dropped_links = <uint32_t>field.value
        elif field.tag == SPAN_STATUS:
            note(&span.status, &message, &field)
        elif field.tag == SPAN_FLAGS:
            span.flags = <uint32_t>field.value


cdef inline uint64_t span_time(Workspace *ws, Message message) noexcept nogil:
    """What the span counts with for the batch's `_id`; 0: none."""
    cdef Span span
    read_span(ws, message, &span)
    return span.start_time if span.start_time else span.end_time


cdef inline void write_span(Workspace *ws, Message message) noexcept nogil:
    cdef Span span
    cdef uint32_t parts = ws.parts.size
    cdef size_t start = begin_record(ws)
    read_span(ws, message, &span)
    write_id_unless_empty(ws, literal(b"traceId"), span.trace_id)
    write_id_unless_empty(ws, literal(b"spanId"), span.span_id)
    write_id_unless_empty(ws, literal(b"parentSpanId"), span.parent_span_id)
    write_text_unless_empty(ws, literal(b"traceState"), span.trace_state)
    write_count_unless_0(ws, literal(b"flags"), span.flags)
    write_text_unless_empty(ws, literal(b"name"), span.name)
    write_enum(ws, literal(b"kind"), span_kind(span.kind), span.kind)
    write_time_unless_0(ws, literal(b"startTime"), literal(b"startTimeUnixNano"), span.start_time)
    write_time_unless_0(ws, literal(b"endTime"), literal(b"endTimeUnixNano"), span.end_time)
    if span.start_time and span.end_time:
        write_difference(ws, literal(b"durationNanos"), span.end_time, span.start_time)
    write_status(ws, merged(ws, &span.status))
    write_attributes(ws, literal(b"attributes"), literal(b"attributesUnnested"), &span.attributes, 1)
    write_count_unless_0(ws, literal(b"droppedAttributesCount"), span.dropped_attributes)
    write_events(ws, &span.events)
    write_count_unless_0(ws, literal(b"droppedEventsCount"), span.dropped_events)
    write_links(ws, &span.links)
    write_count_unless_0(ws, literal(b"droppedLinksCount"), span.dropped_links)
    end_record(ws, start)
    ws.parts.size = parts


cdef inline void write_status(Workspace *ws, Message message) noexcept nogil:
    cdef Field field
    cdef int32_t code = 0
    cdef Bytes text
    cdef size_t start = begin(ws, Type.DOCUMENT, literal(b"status"))
    text.size = 0
    while next_field(ws, &message, &field):
        if field.tag == STATUS_CODE:
            code = <int32_t>field.value
        elif field.tag == STATUS_MESSAGE:
            text = field.bytes
    write_enum(ws, literal(b"code"), status_code(code), code)
    write_text_unless_empty(ws, literal(b"message"), text)
    end(ws, start)


cdef inline void write_events(Workspace *ws, Occurrences *events) noexcept nogil:
    cdef Message message
    cdef char digits[12]
    cdef uint32_t index = 0
    cdef size_t array, start
    if events.count == 0:
        return
    array = begin(ws, Type.ARRAY, literal(b"events"))
    while next_message(ws, events, &message):
        start = begin(ws, Type.DOCUMENT, position(digits, index))
        write_event(ws, message)
        end(ws, start)
        index += 1
    end(ws, array)


cdef inline void write_event(Workspace *ws, Message message) noexcept nogil:
    cdef Field field
    cdef uint64_t time = 0
    cdef Bytes name
    cdef Occurrences attributes
    cdef uint32_t dropped = 0
    name.size = attributes.count = 0
    while next_field(ws, &message, &field):
        if field.tag == EVENT_TIME_UNIX_NANO:
            time = field.value
        elif field.tag == EVENT_NAME:
            name = field.bytes
        elif field.tag == EVENT_ATTRIBUTES:
            note(&attributes, &message, &field)
        elif field.tag == EVENT_DROPPED_ATTRIBUTES_COUNT:
            dropped = <uint32_t>field.value
    write_text_unless_empty(ws, literal(b"name"), name)
    write_time_unless_0(ws, literal(b"time"), literal(b"timeUnixNano"), time)
    write_attributes(ws, literal(b"attributes"), literal(b"attributesUnnested"), &attributes, 3)
    write_count_unless_0(ws, literal(b"droppedAttributesCount"), dropped)


cdef inline void write_links(Workspace *ws, Occurrences *links) noexcept nogil:
    cdef Message message
    cdef char digits[12]
    cdef uint32_t index = 0
    cdef size_t array, start
    if links.count == 0:
        return
    array = begin(ws, Type.ARRAY, literal(b"links"))
    while next_message(ws, links, &message):
        start = begin(ws, Type.DOCUMENT, position(digits, index))
        write_link(ws, message)
        end(ws, start)
        index += 1
    end(ws, array)


cdef inline void write_link(Workspace *ws, Message message) noexcept nogil:
    cdef Field field
    cdef Bytes trace_id, span_id, trace_state
    cdef Occurrences attributes
    cdef uint32_t dropped = 0
    cdef uint32_t flags = 0
    trace_id.size = span_id.size = trace_state.size = attributes.count = 0
    while next_field(ws, &message, &field):
        if field.tag == LINK_TRACE_ID:
            trace_id = field.bytes
        elif field.tag == LINK_SPAN_ID:
            span_id = field.bytes
        elif field.tag == LINK_TRACE_STATE:
            trace_state = field.bytes
        elif field.tag == LINK_ATTRIBUTES:
            note(&attributes, &message, &field)
        elif field.tag == LINK_DROPPED_ATTRIBUTES_COUNT:
            dropped = <uint32_t>field.value
        elif field.tag == LINK_FLAGS:
            flags = <uint32_t>field.value
    write_id_unless_empty(ws, literal(b"traceId"), trace_id)
    write_id_unless_empty(ws, literal(b"spanId"), span_id)
    write_text_unless_empty(ws, literal(b"traceState"), trace_state)
    write_count_unless_0(ws, literal(b"flags"), flags)
    write_attributes(ws, literal(b"attributes"), literal(b"attributesUnnested"), &attributes, 3)
    write_count_unless_0(ws, literal(b"droppedAttributesCount"), dropped)
