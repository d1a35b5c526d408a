"""The memory of one walk: where documents grow and where lists are kept while they are looked at.

A workspace serves one payload at a time, and its memory is kept for the next. Whoever pushes to one of the stacks
remembers its size and sets it back. Items are named by index, never by pointer, for growing moves them. An error is
kept in the workspace and ends all loops, so that not every call needs its check.
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

cdef struct Stack:
    void *items
    uint32_t size  # in items, as the capacity
    uint32_t capacity
    size_t bytes  # allocated

cdef struct Workspace:
    const uint8_t *payload
    Error error
    size_t limit  # of all documents together, in bytes; below 2**31, so that no BSON length overflows
    size_t counted  # bytes of documents that were written to learn how many they are, and thrown away
    bint counting
    size_t room  # up to which buffers may grow now: the limit, or more for what is not yet part of a document
    uint64_t id_high  # the next record's `_id`
    uint64_t id_low
    uint64_t received_unix_nano
    Buffer out
    Buffer metric  # the element `metric`, made once for all data points of a metric
    Buffer origin  # the elements `resource` and `scope`, made once for all records of a scope
    Buffer ends  # uint32_t each: where a document ends in `out`
    Stack parts  # Part
    Stack pairs  # Pair (pairs.pxd)
    Stack nodes  # Node (tree.pxd)
    Stack slots  # uint32_t (tree.pxd)
    Stack steps  # Step (layout.pxd)
    void *layouts  # Layouts (layout.pxd), kept from payload to payload; NULL: none yet
    uint64_t secret[2]


cdef inline void fail(Workspace *ws, Error error) noexcept nogil:
    if ws.error == Error.FINE:
        ws.error = error


cdef inline void *push(Workspace *ws, Stack *stack, size_t item_size, size_t count) noexcept nogil:
    """Room for some new items at the top, yet to be set. NULL: no memory, and nothing was pushed."""
    cdef size_t size = stack.size + count
    if size > stack.capacity and not make_room(ws, stack, item_size, size):
        return NULL
    stack.size = <uint32_t>size
    return <uint8_t *>stack.items + (size - count) * item_size


cdef inline bint make_room(Workspace *ws, Stack *stack, size_t item_size, size_t wanted) noexcept nogil:
    cdef size_t room = <size_t>stack.capacity * 2 if stack.capacity else 64
    cdef void *moved
    while room < wanted:
        room *= 2
    moved = NULL if room >> 32 else realloc(stack.items, room * item_size)
    if moved is NULL:
        fail(ws, Error.NO_MEMORY)
        return False
    stack.items = moved
    stack.capacity = <uint32_t>room
    stack.bytes = room * item_size
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
    ws.counting = False
    ws.counted = 0
    ws.out.size = ws.metric.size = ws.origin.size = ws.ends.size = 0
    ws.parts.size = ws.pairs.size = ws.nodes.size = ws.slots.size = ws.steps.size = 0


cdef inline size_t footprint(Workspace *ws) noexcept nogil:
    """Bytes that the workspace holds, but for the layouts, which are always as many."""
    return (
        ws.out.capacity + ws.metric.capacity + ws.origin.capacity + ws.ends.capacity
        + ws.parts.bytes + ws.pairs.bytes + ws.nodes.bytes + ws.slots.bytes + ws.steps.bytes
    )


cdef inline void release(Workspace *ws) noexcept nogil:
    free(ws.out.data)
    free(ws.metric.data)
    free(ws.origin.data)
    free(ws.ends.data)
    free(ws.parts.items)
    free(ws.pairs.items)
    free(ws.nodes.items)
    free(ws.slots.items)
    free(ws.steps.items)
    free(ws.layouts)
