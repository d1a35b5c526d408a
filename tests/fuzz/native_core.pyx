"""The native transcoder as a libFuzzer target (https://llvm.org/docs/LibFuzzer.html): no Python runs in it.

An input is a byte that chooses the signal, and a payload. What is checked beside what the sanitizers see: documents are
well-formed BSON, in the number that was counted, none is larger than the estimate allows, a valid payload can be
written, and comes out the same when the layouts of its attribute lists are known. The first byte chooses as well at
which allocation memory runs out in a last try: that must be noticed.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.stdlib cimport abort, free, malloc
from libc.string cimport memchr, memcmp, memcpy, memset

from exporter.transcode.native.request cimport Census, Signal, inspect_request, write_request
from exporter.transcode.native.workspace cimport Error, Workspace, release, reset

cdef enum:
    LIMIT = 1 << 22


# How many allocations succeed from now on. The linker gives all calls of realloc and calloc to the wrappers (--wrap).
cdef int allocations_left = 0

cdef extern from *:
    """
    void *__real_realloc(void *memory, size_t size);
    void *__real_calloc(size_t count, size_t size);
    """
    void *__real_realloc(void *memory, size_t size) nogil
    void *__real_calloc(size_t count, size_t size) nogil


cdef bint may_allocate() noexcept nogil:
    global allocations_left
    if allocations_left == 0:
        return False
    allocations_left -= 1
    return True


cdef public void *__wrap_realloc(void *memory, size_t size) noexcept nogil:
    return __real_realloc(memory, size) if may_allocate() else NULL


cdef public void *__wrap_calloc(size_t count, size_t size) noexcept nogil:
    return __real_calloc(count, size) if may_allocate() else NULL


cdef void check(bint condition) noexcept nogil:
    if not condition:
        abort()


cdef size_t length_at(const uint8_t *at, size_t room) noexcept nogil:
    cdef int32_t length
    check(room >= 4)
    memcpy(&length, at, 4)
    check(length >= 0)
    return length


cdef size_t value_size(int type, const uint8_t *at, size_t room, int level) noexcept nogil:
    """How many bytes an element's value has."""
    cdef size_t size = 0
    if type == 0x01 or type == 0x09 or type == 0x12:
        size = 8
    elif type == 0x02:
        size = 4 + length_at(at, room)
        check(size > 4 and size <= room and at[size - 1] == 0)
    elif type == 0x03 or type == 0x04:
        size = document_size(at, room, level + 1)
    elif type == 0x05:
        size = 5 + length_at(at, room)
    elif type == 0x08:
        size = 1
        check(room > 0 and at[0] < 2)
    elif type == 0x10:
        size = 4
    elif type == 0x13:
        size = 16
    else:
        check(type == 0x0A)
    check(size <= room)
    return size


cdef size_t document_size(const uint8_t *at, size_t room, int level) noexcept nogil:
    """Check a document and all in it."""
    cdef size_t size = length_at(at, room)
    cdef size_t done = 4
    cdef const uint8_t *name_end
    cdef int type
    check(level < 200 and size >= 5 and size <= room and at[size - 1] == 0)
    while done < size - 1:
        type = at[done]
        name_end = <const uint8_t *>memchr(at + done + 1, 0, size - done - 1)
        check(name_end is not NULL)
        done = name_end - at + 1
        done += value_size(type, at + done, size - 1 - done, level)
    check(done == size - 1)
    return size


cdef void check_documents(Workspace *ws, Census *census) noexcept nogil:
    cdef size_t done = 0
    cdef size_t count = 0
    cdef uint32_t end
    while done < ws.out.size:
        done += document_size(ws.out.data + done, ws.out.size - done, 0)
        memcpy(&end, ws.ends.data + count * sizeof(uint32_t), sizeof(uint32_t))
        check(end == done)
        count += 1
    check(count == census.records and ws.ends.size == count * sizeof(uint32_t))
    check(census.most_bytes >= ws.out.size)


cdef void check_again(Workspace *ws, Signal signal, const uint8_t *payload, size_t size) noexcept nogil:
    """A layout is kept when it comes for the second time: the third time around all are known that are ever kept."""
    cdef size_t written = ws.out.size
    cdef uint8_t *first = <uint8_t *>malloc(written if written else 1)
    memcpy(first, ws.out.data, written)
    for _ in range(2):
        reset(ws, payload, LIMIT)
        ws.id_low = 0
        write_request(ws, signal, payload, size)
        check(ws.error == Error.FINE and ws.out.size == written and memcmp(ws.out.data, first, written) == 0)
        check(ws.parts.size == 0 and ws.pairs.size == 0 and ws.steps.size == 0)
    free(first)


cdef void check_memory_that_runs_out(
    Signal signal, const uint8_t *payload, size_t size, int allocations, bint valid
) noexcept nogil:
    """`allocations`: how many there is memory for."""
    global allocations_left
    cdef Workspace ws
    memset(&ws, 0, sizeof(Workspace))
    reset(&ws, payload, LIMIT)
    allocations_left = allocations
    write_request(&ws, signal, payload, size)
    allocations_left = -1
    check(not valid or ws.error != Error.MALFORMED)
    release(&ws)


cdef public int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) noexcept nogil:
    cdef Workspace ws
    cdef Census census
    cdef Signal signal
    cdef uint8_t *payload
    cdef bint valid
    global allocations_left
    allocations_left = -1
    if size == 0:
        return 0
    signal = <Signal>(data[0] % 3)
    size -= 1
    # A copy of just that size: the sanitizer sees a read of one byte too many.
    payload = <uint8_t *>malloc(size if size else 1)
    memcpy(payload, data + 1, size)
    memset(&ws, 0, sizeof(Workspace))
    reset(&ws, payload, LIMIT)
    inspect_request(&ws, signal, payload, size, &census)
    valid = ws.error == Error.FINE
    check(ws.parts.size == 0 and ws.pairs.size == 0 and ws.steps.size == 0)
    reset(&ws, payload, LIMIT)
    write_request(&ws, signal, payload, size)
    if valid and ws.error != Error.TOO_LARGE:
        check(ws.error == Error.FINE)
        check_documents(&ws, &census)
        if ws.out.size:
            check_again(&ws, signal, payload, size)
    release(&ws)
    check_memory_that_runs_out(signal, payload, size, data[0] // 3 % 16, valid)
    free(payload)
    return 0
