"""A reader of the protobuf encoding (https://protobuf.dev/programming-guides/encoding/), with the limits of upb.

Nothing is read outside of the message's bytes. A message is a stretch of the payload or, where a field that is to be
there once occurs several times, several of them: protobuf defines merging as parsing one behind the other.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from exporter.transcode.native.workspace cimport MOST_SIZE, Error, Part, Workspace, fail, push

cdef enum:
    VARINT = 0
    I64 = 1
    LEN = 2
    START_GROUP = 3
    END_GROUP = 4
    I32 = 5
    MOST_DEPTH = 100

cdef struct Bytes:
    const uint8_t *data
    size_t size

cdef struct Message:
    const uint8_t *at
    const uint8_t *end
    uint32_t part  # index of the next part in the workspace
    uint32_t parts  # how many more there are
    uint32_t depth  # messages around it

cdef struct Field:
    const uint8_t *start
    uint32_t tag  # number << 3 | wire type
    uint64_t value  # VARINT, I64 and I32
    Bytes bytes  # LEN

cdef struct Occurrences:
    # Where a field occurs: the message from the first of them on, and how many there are.
    Message first
    Bytes bytes  # of the first
    uint32_t tag
    uint32_t count


cdef inline const uint8_t *read_varint(const uint8_t *at, const uint8_t *end, uint64_t *value) noexcept nogil:
    """At most 10 bytes, of which the low 64 bits count. NULL: there is none."""
    cdef uint64_t result = 0
    cdef int shift = 0
    while at != end and shift < 70:
        result |= <uint64_t>(at[0] & 0x7F) << shift
        if at[0] < 0x80:
            value[0] = result
            return at + 1
        at += 1
        shift += 7
    return NULL


cdef inline const uint8_t *read_varint32(
    const uint8_t *at, const uint8_t *end, uint64_t most, uint32_t *value
) noexcept nogil:
    """At most 5 bytes, as tags and sizes have. NULL: there is none, or it is over `most`."""
    cdef uint64_t result = 0
    cdef int shift = 0
    while at != end and shift < 35:
        result |= <uint64_t>(at[0] & 0x7F) << shift
        if at[0] < 0x80:
            if result > most:
                return NULL
            value[0] = <uint32_t>result
            return at + 1
        at += 1
        shift += 7
    return NULL


cdef inline const uint8_t *read_tag(const uint8_t *at, const uint8_t *end, uint32_t *tag) noexcept nogil:
    """NULL: there is none."""
    if at != end and at[0] < 0x80:
        tag[0] = at[0]
        return at + 1
    return read_varint32(at, end, 0xFFFFFFFF, tag)


cdef inline const uint8_t *read_bytes(const uint8_t *at, const uint8_t *end, Bytes *bytes) noexcept nogil:
    """Returns the end of a LEN field's bytes; NULL: they reach behind `end`."""
    cdef uint32_t size
    if at != end and at[0] < 0x80:
        size = at[0]
        at += 1
    else:
        at = read_varint32(at, end, MOST_SIZE, &size)
    if at is NULL or size > <size_t>(end - at):
        return NULL
    bytes.data = at
    bytes.size = size
    return at + size


cdef inline const uint8_t *read_fixed(
    const uint8_t *at, const uint8_t *end, size_t size, uint64_t *value
) noexcept nogil:
    if <size_t>(end - at) < size:
        return NULL
    value[0] = 0
    memcpy(value, at, size)
    return at + size


cdef inline const uint8_t *skip_group(
    const uint8_t *at, const uint8_t *end, uint32_t tag, uint32_t depth
) noexcept nogil:
    """Returns the end of the group whose start tag was read, and which stands in `depth` messages.

    Like upb, it lets a field number 0 pass, which is an error everywhere else.
    """
    cdef uint32_t groups[MOST_DEPTH]
    cdef uint32_t count = 0
    cdef uint32_t wire
    cdef uint64_t value
    cdef Bytes bytes
    while True:
        wire = tag & 7
        if wire == START_GROUP:
            if depth + count >= MOST_DEPTH:
                return NULL
            groups[count] = tag >> 3
            count += 1
        elif wire == END_GROUP:
            if groups[count - 1] != tag >> 3:
                return NULL
            count -= 1
            if count == 0:
                return at
        elif wire == LEN:
            at = read_bytes(at, end, &bytes)
        elif wire == VARINT:
            at = read_varint(at, end, &value)
        elif wire == I64:
            at = read_fixed(at, end, 8, &value)
        elif wire == I32:
            at = read_fixed(at, end, 4, &value)
        else:
            return NULL
        if at is NULL:
            return NULL
        at = read_tag(at, end, &tag)
        if at is NULL:
            return NULL


cdef inline const uint8_t *read_field(
    const uint8_t *at, const uint8_t *end, uint32_t depth, Field *field
) noexcept nogil:
    """Read the field at `at`, which is before `end`. Returns its end; NULL: it is malformed."""
    cdef uint32_t wire
    field.start = at
    at = read_tag(at, end, &field.tag)
    if at is NULL or field.tag < 8:  # there is no field number 0
        return NULL
    wire = field.tag & 7
    if wire == LEN:
        return read_bytes(at, end, &field.bytes)
    if wire == VARINT:
        if at != end and at[0] < 0x80:
            field.value = at[0]
            return at + 1
        return read_varint(at, end, &field.value)
    if wire == I64:
        return read_fixed(at, end, 8, &field.value)
    if wire == I32:
        return read_fixed(at, end, 4, &field.value)
    if wire == START_GROUP:
        return skip_group(at, end, field.tag, depth)
    return NULL


cdef inline bint next_part(Workspace *ws, Message *message) noexcept nogil:
    cdef Part part
    if message.parts == 0:
        return False
    part = (<Part *>ws.parts.items)[message.part]
    message.at = ws.payload + part.start
    message.end = message.at + part.size
    message.part += 1
    message.parts -= 1
    return True


cdef inline bint next_field(Workspace *ws, Message *message, Field *field) noexcept nogil:
    """Read a message's next field; false at its end, and where it is malformed."""
    cdef const uint8_t *at
    while message.at == message.end:
        if not next_part(ws, message):
            return False
    at = read_field(message.at, message.end, message.depth, field)
    if at is NULL:
        fail(ws, Error.MALFORMED)
        message.at = message.end
        message.parts = 0
        return False
    message.at = at
    return True


cdef inline void note(Occurrences *occurrences, Message *message, Field *field) noexcept nogil:
    """Remember that the field just read is an occurrence."""
    if occurrences.count == 0:
        occurrences.first = message[0]
        occurrences.first.at = field.start
        occurrences.bytes = field.bytes
        occurrences.tag = field.tag
    occurrences.count += 1


cdef inline bint next_occurrence(Workspace *ws, Occurrences *occurrences, Field *field) noexcept nogil:
    """Read the next occurrence, passing by other fields; false behind the last, and on any error."""
    if ws.error != Error.FINE:
        return False
    while occurrences.count and next_field(ws, &occurrences.first, field):
        if field.tag == occurrences.tag:
            occurrences.count -= 1
            return True
    return False


cdef inline Message whole(const uint8_t *data, size_t size, uint32_t depth) noexcept nogil:
    cdef Message message
    message.at = data
    message.end = data + size
    message.part = message.parts = 0
    message.depth = depth
    return message


cdef inline Bytes rest(Message message) noexcept nogil:
    """What is left of a message, or of its present part."""
    cdef Bytes bytes
    bytes.data = message.at
    bytes.size = message.end - message.at
    return bytes


cdef inline Message inner(Workspace *ws, Bytes bytes, uint32_t depth) noexcept nogil:
    """A message that stands in `depth` others. Too deep: malformed, and empty."""
    if depth > MOST_DEPTH:
        fail(ws, Error.MALFORMED)
        bytes.size = 0
    return whole(bytes.data, bytes.size, depth)


cdef inline bint next_message(Workspace *ws, Occurrences *occurrences, Message *message) noexcept nogil:
    """The next occurrence of a repeated message."""
    cdef Field field
    if not next_occurrence(ws, occurrences, &field):
        return False
    message[0] = inner(ws, field.bytes, occurrences.first.depth + 1)
    return True


cdef inline Message merged(Workspace *ws, Occurrences *occurrences) noexcept nogil:
    """The message that all occurrences make together; empty when there is none. Several push parts."""
    cdef Occurrences left
    cdef uint32_t depth
    cdef Message message
    cdef Field field
    cdef Part *part
    if occurrences.count == 0:
        return whole(ws.payload, 0, 0)
    depth = occurrences.first.depth + 1
    if occurrences.count == 1:
        return inner(ws, occurrences.bytes, depth)
    left = occurrences[0]
    message = whole(ws.payload, 0, depth)
    message.part = ws.parts.size
    while next_occurrence(ws, &left, &field):
        if field.bytes.size == 0:
            continue
        part = <Part *>push(ws, &ws.parts, sizeof(Part), 1)
        if part is NULL:
            break
        part.start = <uint32_t>(field.bytes.data - ws.payload)
        part.size = <uint32_t>field.bytes.size
    message.parts = ws.parts.size - message.part
    if message.parts and depth > MOST_DEPTH:
        fail(ws, Error.MALFORMED)
        message.parts = 0
    return message
