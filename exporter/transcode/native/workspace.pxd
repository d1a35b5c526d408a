"""The memory of one walk: where documents grow and where lists are kept while they are looked at.

A workspace serves one payload at a time, and its memory is kept for the next. The lists `parts`, `nodes` and `slots`
are used as stacks: whoever pushes remembers the size and sets it back. Elements are named by index, never by pointer,
for growing moves them. An error is kept in the workspace and ends all loops, so that not every call needs its check.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

cdef enum:
    MOST_SIZE = 0x7FFFFFFF  # of a payload, and of anything in BSON

cdef enum Error:
    FINE
    MALFORMED
    TOO_LARGE
    NO_MEMORY

cdef struct Buffer:
    uint8_t *data
    size_t size
    size_t capacity

cdef struct Part:
    # A stretch of the payload, by offset: one of several occurrences of a field that is to be there once.
    uint32_t start
    uint32_t size

cdef struct Node:
    # A field of a sub-document that grows out of dotted keys. A nested one has children, a value has none.
    uint32_t name
    uint32_t name_size
    uint32_t parent
    uint32_t next
    uint32_t first_child
    uint32_t last_child
    uint32_t value
    uint32_t value_size
    uint32_t part
    uint32_t parts

cdef struct Parts:
    Part *items
    uint32_t size
    uint32_t capacity

cdef struct Nodes:
    Node *items
    uint32_t size
    uint32_t capacity

cdef struct Slots:
    uint32_t *items
    uint32_t size
    uint32_t capacity

cdef struct Workspace:
    const uint8_t *payload
    Error error
    size_t limit  # of all documents together, in bytes; below 2**31, so that no BSON length overflows
    size_t room  # up to which buffers may grow now: the limit, or more for what is not yet part of a document
    uint64_t id_high  # the next record's `_id`
    uint64_t id_low
    uint64_t received_unix_nano
    Buffer out
    Buffer metric  # the element `metric`, made once for all data points of a metric
    Buffer origin  # the elements `resource` and `scope`, made once for all records of a scope
    Buffer ends  # uint32_t each: where a document ends in `out`
    Parts parts
    Nodes nodes
    Slots slots
    uint64_t secret[2]


cdef inline void fail(Workspace *ws, Error error) noexcept nogil:
    if ws.error == Error.FINE:
        ws.error = error


cdef inline void *grown(Workspace *ws, void *items, size_t item_size, size_t wanted, uint32_t *capacity) noexcept nogil:
    """Room for at least `wanted` items; NULL, with the old ones left alone, where there is none."""
    cdef size_t room = <size_t>capacity[0] * 2 if capacity[0] else 64
    cdef void *moved
    while room < wanted:
        room *= 2
    if room >> 32:
        fail(ws, Error.NO_MEMORY)
        return NULL
    moved = realloc(items, room * item_size)
    if moved is NULL:
        fail(ws, Error.NO_MEMORY)
        return NULL
    capacity[0] = <uint32_t>room
    return moved


cdef inline bint push_part(Workspace *ws, size_t start, size_t size) noexcept nogil:
    cdef void *moved
    if ws.parts.size == ws.parts.capacity:
        moved = grown(ws, ws.parts.items, sizeof(Part), ws.parts.size + 1, &ws.parts.capacity)
        if moved is NULL:
            return False
        ws.parts.items = <Part *>moved
    ws.parts.items[ws.parts.size].start = <uint32_t>start
    ws.parts.items[ws.parts.size].size = <uint32_t>size
    ws.parts.size += 1
    return True


cdef inline Node *push_node(Workspace *ws) noexcept nogil:
    """A new node, yet to be set: in place, for a copy of what was just written has to wait for it. NULL: no memory."""
    cdef void *moved
    if ws.nodes.size == ws.nodes.capacity:
        moved = grown(ws, ws.nodes.items, sizeof(Node), ws.nodes.size + 1, &ws.nodes.capacity)
        if moved is NULL:
            return NULL
        ws.nodes.items = <Node *>moved
    ws.nodes.size += 1
    return &ws.nodes.items[ws.nodes.size - 1]


cdef inline bint resize_slots(Workspace *ws, size_t size) noexcept nogil:
    cdef void *moved
    if size > ws.slots.capacity:
        moved = grown(ws, ws.slots.items, sizeof(uint32_t), size, &ws.slots.capacity)
        if moved is NULL:
            return False
        ws.slots.items = <uint32_t *>moved
    ws.slots.size = <uint32_t>size
    return True


cdef inline bint grow(Workspace *ws, Buffer *buffer, size_t more) noexcept nogil:
    """Room for `more` bytes behind those there are."""
    cdef size_t wanted = buffer.size + more
    cdef size_t capacity = buffer.capacity * 2 if buffer.capacity else 4096
    cdef void *moved
    if wanted > ws.room:
        fail(ws, Error.TOO_LARGE)
        return False
    while capacity < wanted:
        capacity *= 2
    capacity = min(capacity, ws.room)
    moved = realloc(buffer.data, capacity)
    if moved is NULL:
        fail(ws, Error.NO_MEMORY)
        return False
    buffer.data = <uint8_t *>moved
    buffer.capacity = capacity
    return True


cdef inline bint reserve(Workspace *ws, Buffer *buffer, size_t more) noexcept nogil:
    if ws.error != Error.FINE:
        return False
    if buffer.capacity - buffer.size >= more:
        return True
    return grow(ws, buffer, more)


cdef inline void append(Workspace *ws, Buffer *buffer, const void *data, size_t size) noexcept nogil:
    if size and reserve(ws, buffer, size):
        memcpy(buffer.data + buffer.size, data, size)
        buffer.size += size


cdef inline size_t begin_shared(Workspace *ws) noexcept nogil:
    """Begin to write something to `out` that documents will share. Returns what `end_shared` wants to know."""
    ws.room = MOST_SIZE
    return ws.out.size


cdef inline void end_shared(Workspace *ws, size_t start, Buffer *target) noexcept nogil:
    """Move what was written since to the end of another buffer."""
    if ws.error == Error.FINE:
        append(ws, target, ws.out.data + start, ws.out.size - start)
        ws.out.size = start
    ws.room = ws.limit


cdef inline void reset(Workspace *ws, const uint8_t *payload, size_t limit) noexcept nogil:
    ws.payload = payload
    ws.limit = ws.room = limit
    ws.error = Error.FINE
    ws.out.size = ws.metric.size = ws.origin.size = ws.ends.size = 0
    ws.parts.size = ws.nodes.size = ws.slots.size = 0


cdef inline size_t footprint(Workspace *ws) noexcept nogil:
    """Bytes that the workspace holds."""
    return (
        ws.out.capacity + ws.metric.capacity + ws.origin.capacity + ws.ends.capacity
        + ws.parts.capacity * sizeof(Part) + ws.nodes.capacity * sizeof(Node) + ws.slots.capacity * sizeof(uint32_t)
    )


cdef inline void release(Workspace *ws) noexcept nogil:
    free(ws.out.data)
    free(ws.metric.data)
    free(ws.origin.data)
    free(ws.ends.data)
    free(ws.parts.items)
    free(ws.nodes.items)
    free(ws.slots.items)
