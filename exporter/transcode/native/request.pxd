"""Export requests: the walk over resources, scopes and records, which all signals have in common."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from exporter.transcode.native.logs cimport log_time, write_log
from exporter.transcode.native.metrics cimport Metric, first_point_time, read_metric, write_metric
from exporter.transcode.native.origin cimport write_resource, write_scope
from exporter.transcode.native.spans cimport span_time, write_span
from exporter.transcode.native.validate cimport (
    OTLP_LOGS_REQUEST, OTLP_METRICS_REQUEST, OTLP_TRACES_REQUEST, is_valid,
)
from exporter.transcode.native.wire cimport (
    LEN, Bytes, Field, Message, Occurrences, next_field, next_message, note, whole,
)
from exporter.transcode.native.workspace cimport MOST_SIZE, Error, Workspace, begin_shared, end_shared, fail

cdef enum:
    GROUPS = 1 << 3 | LEN

    # The groups by resource and those by scope agree on the numbers of their fields, in all signals.
    GROUP_ORIGIN = 1 << 3 | LEN
    GROUP_MEMBERS = 2 << 3 | LEN
    GROUP_SCHEMA_URL = 3 << 3 | LEN

    # Upper bounds: what a byte of OTLP can become (a number in a packed list, or an attribute with an empty key, with
    # the names and frames around it), and what a record takes that says nothing.
    MOST_PER_BYTE = 32
    MOST_PER_RECORD = 256

    USUAL_PER_BYTE = 4

cdef enum Signal:
    TRACES
    LOGS
    METRICS

cdef struct Group:
    Occurrences origin  # the resource, or the scope
    uint64_t origin_size
    Occurrences members
    Bytes schema_url

cdef struct Census:
    uint64_t records
    uint64_t first_unix_nano
    uint64_t most_bytes  # that the documents can take together, estimated generously
    uint64_t usual_bytes  # that they and a copy of them take, where nobody means to make them large


cdef inline uint64_t at_most(uint64_t value) noexcept nogil:
    """Keeps sums of products from overflowing; far above any limit."""
    return min(value, <uint64_t>1 << 40)


cdef inline void read_request(Workspace *ws, const uint8_t *payload, size_t size, Occurrences *groups) noexcept nogil:
    cdef Message request = whole(payload, size, 0)
    cdef Field field
    groups.count = 0
    while next_field(ws, &request, &field):
        if field.tag == GROUPS:
            note(groups, &request, &field)


cdef inline Group read_group(Workspace *ws, Message message) noexcept nogil:
    cdef Group group
    cdef Field field
    group.origin.count = group.members.count = 0
    group.origin_size = group.schema_url.size = 0
    while next_field(ws, &message, &field):
        if field.tag == GROUP_MEMBERS:
            note(&group.members, &message, &field)
        elif field.tag == GROUP_ORIGIN:
            note(&group.origin, &message, &field)
            group.origin_size += field.bytes.size
        elif field.tag == GROUP_SCHEMA_URL:
            group.schema_url = field.bytes
    return group


cdef inline void inspect_request(
    Workspace *ws, Signal signal, const uint8_t *payload, size_t size, Census *census
) noexcept nogil:
    """Check the payload whole, and count. The outcome is in the workspace's error."""
    cdef Occurrences resources
    cdef Group resource
    cdef Message message
    cdef Bytes request
    cdef uint32_t kind = OTLP_METRICS_REQUEST
    census.records = census.first_unix_nano = 0
    census.most_bytes = <uint64_t>MOST_PER_BYTE * size
    census.usual_bytes = <uint64_t>USUAL_PER_BYTE * size
    request.data = payload
    request.size = size
    if signal == Signal.TRACES:
        kind = OTLP_TRACES_REQUEST
    elif signal == Signal.LOGS:
        kind = OTLP_LOGS_REQUEST
    if size > MOST_SIZE or not is_valid(request, kind, 0):
        fail(ws, Error.MALFORMED)
        return
    read_request(ws, payload, size, &resources)
    while next_message(ws, &resources, &message):
        resource = read_group(ws, message)
        inspect_scopes(ws, signal, &resource, census)


cdef inline void inspect_scopes(Workspace *ws, Signal signal, Group *resource, Census *census) noexcept nogil:
    cdef Group scope
    cdef Message message
    cdef uint64_t origin, before
    while next_message(ws, &resource.members, &message):
        scope = read_group(ws, message)
        before = census.records
        if signal == Signal.METRICS:
            inspect_metrics(ws, &scope, census)
        else:
            inspect_records(ws, signal, &scope, census)
        origin = resource.origin_size + resource.schema_url.size + scope.origin_size + scope.schema_url.size
        census.most_bytes = at_most(
            census.most_bytes + (census.records - before) * (MOST_PER_RECORD + MOST_PER_BYTE * at_most(origin))
        )
        census.usual_bytes = at_most(
            census.usual_bytes + (census.records - before) * (MOST_PER_RECORD + at_most(origin))
        )


cdef inline void inspect_records(Workspace *ws, Signal signal, Group *scope, Census *census) noexcept nogil:
    cdef Message record
    census.records += scope.members.count
    while census.first_unix_nano == 0 and next_message(ws, &scope.members, &record):
        if signal == Signal.TRACES:
            census.first_unix_nano = span_time(ws, record)
        else:
            census.first_unix_nano = log_time(ws, record)


cdef inline void inspect_metrics(Workspace *ws, Group *scope, Census *census) noexcept nogil:
    cdef Message message
    cdef Metric metric
    cdef uint64_t head
    cdef uint32_t parts = ws.parts.size
    while next_message(ws, &scope.members, &message):
        read_metric(ws, message, &metric)
        census.records += metric.points.count
        if census.first_unix_nano == 0:
            census.first_unix_nano = first_point_time(ws, &metric)
        head = metric.name.size + metric.description.size + metric.unit.size + metric.metadata_size
        census.most_bytes = at_most(census.most_bytes + metric.points.count * MOST_PER_BYTE * at_most(head))
        census.usual_bytes = at_most(census.usual_bytes + metric.points.count * at_most(head))
        ws.parts.size = parts


cdef inline void write_request(Workspace *ws, Signal signal, const uint8_t *payload, size_t size) noexcept nogil:
    """Write all documents to `out`, and where they end to `ends`. The outcome is in the workspace's error."""
    cdef Occurrences resources
    cdef Group resource
    cdef Message message
    cdef size_t start
    if size > MOST_SIZE:
        fail(ws, Error.MALFORMED)
        return
    read_request(ws, payload, size, &resources)
    while next_message(ws, &resources, &message):
        resource = read_group(ws, message)
        start = begin_shared(ws)
        ws.origin.size = 0
        write_resource(ws, &resource.origin, resource.schema_url)
        end_shared(ws, start, &ws.origin)
        write_scopes(ws, signal, &resource)


cdef inline void write_scopes(Workspace *ws, Signal signal, Group *resource) noexcept nogil:
    cdef Group scope
    cdef Message message
    cdef size_t resource_size = ws.origin.size
    cdef size_t start
    while next_message(ws, &resource.members, &message):
        scope = read_group(ws, message)
        start = begin_shared(ws)
        ws.origin.size = resource_size
        write_scope(ws, &scope.origin, scope.schema_url)
        end_shared(ws, start, &ws.origin)
        write_records(ws, signal, &scope)


cdef inline void write_records(Workspace *ws, Signal signal, Group *scope) noexcept nogil:
    cdef Message message
    while next_message(ws, &scope.members, &message):
        if signal == Signal.TRACES:
            write_span(ws, message)
        elif signal == Signal.LOGS:
            write_log(ws, message)
        else:
            write_metric(ws, message)
