"""Elements that several kinds of documents have: those that are absent at their default, times, ids."""

from libc.stdint cimport int32_t, uint32_t, uint64_t

from exporter.transcode.native.bson cimport (
    begin_root, end, literal, write_date, write_hex, write_int32, write_text, write_uint32, write_uint64,
    write_uuid,
)
from exporter.transcode.native.wire cimport Bytes
from exporter.transcode.native.workspace cimport Error, Workspace, append, fail


cdef inline Bytes no_bytes() noexcept nogil:
    cdef Bytes bytes
    bytes.data = NULL
    bytes.size = 0
    return bytes


cdef inline void write_text_unless_empty(Workspace *ws, Bytes name, Bytes value) noexcept nogil:
    if value.size:
        write_text(ws, name, value)


cdef inline void write_id_unless_empty(Workspace *ws, Bytes name, Bytes value) noexcept nogil:
    if value.size:
        write_hex(ws, name, value)


cdef inline void write_count_unless_0(Workspace *ws, Bytes name, uint32_t value) noexcept nogil:
    if value:
        write_uint32(ws, name, value)


cdef inline void write_time_unless_0(Workspace *ws, Bytes name, Bytes exact_name, uint64_t unix_nano) noexcept nogil:
    """A time twice: as a date and exactly."""
    if unix_nano:
        write_date(ws, name, unix_nano)
        write_uint64(ws, exact_name, unix_nano)


cdef inline void write_enum(Workspace *ws, Bytes name, const char *text, int32_t number) noexcept nogil:
    """An enum by the name of its value, or by its number where that is NULL."""
    if text is NULL:
        write_int32(ws, name, number)
    else:
        write_text(ws, name, literal(text))


cdef inline void end_unless_empty(Workspace *ws, size_t start, size_t before) noexcept nogil:
    """End a document, or take it back, name and all, when nothing was written since it began."""
    if ws.out.size == start + 4:
        ws.out.size = before
    else:
        end(ws, start)


cdef inline size_t begin_record(Workspace *ws) noexcept nogil:
    """Begin a record's document with its `_id`."""
    cdef size_t start = begin_root(ws)
    write_uuid(ws, literal(b"_id"), ws.id_high, ws.id_low)
    ws.id_low += 1
    if ws.id_low == 0:
        ws.id_high += 1
    return start


cdef inline void end_record(Workspace *ws, size_t start) noexcept nogil:
    """End a record's document with its resource and scope."""
    cdef uint32_t size
    append(ws, &ws.out, ws.origin.data, ws.origin.size)
    end(ws, start)
    if ws.counted + ws.out.size > ws.limit:
        fail(ws, Error.TOO_LARGE)
    if ws.counting:
        ws.counted += ws.out.size
        ws.out.size = 0
        return
    size = <uint32_t>ws.out.size
    append(ws, &ws.ends, &size, sizeof(size))
