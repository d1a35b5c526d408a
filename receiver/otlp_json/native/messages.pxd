"""Messages: objects with fields, in the order in which JSON has them."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from receiver.otlp_json.native.scalars cimport is_text, read_bits, write_bits, write_text
from receiver.otlp_json.native.schema cimport (
    PACKED, PRESENCE, REPEATED, FieldType, Kind, Schema, field_named,
)
from receiver.otlp_json.native.skip cimport skip_value
from receiver.otlp_json.native.state cimport (
    MOST_MESSAGES, Error, State, close_length, fail, open_length, trace, write_varint,
)
from receiver.otlp_json.native.tokens cimport Text, enter, expect, more, peek, read_string, read_word, resolve

cdef struct Seen:
    # What of a message's fields there was: a bit for each.
    uint64_t fields
    uint64_t oneofs


cdef inline void write_document(State *s) noexcept nogil:
    """Convert all there is to read: one message of the outermost type."""
    write_message(s, 0, 1)
    if peek(s) != 0 or s.at != s.end:
        fail(s, Error.REFUSED)


cdef inline void write_message(State *s, uint32_t message, uint32_t depth) noexcept nogil:
    """`depth`: how many messages deep it stands, itself counted."""
    cdef const FieldType *field
    cdef Seen seen
    cdef bint first = True
    seen.fields = seen.oneofs = 0
    if depth > MOST_MESSAGES:
        fail(s, Error.REFUSED)
    if not enter(s, c"{"):
        return
    while more(s, first, c"}"):
        first = False
        field = read_key(s, message)
        if s.error != Error.FINE:
            return
        if field is NULL:
            skip_value(s)
            continue
        if is_to_be_written(s, field, &seen):
            write_field(s, field, depth)
        if s.error != Error.FINE:
            trace(s, False, field.name)


cdef inline const FieldType *read_key(State *s, uint32_t message) noexcept nogil:
    """Read a key and the colon. NULL: it is no field's."""
    cdef Text key
    cdef const FieldType *field
    if not read_string(s, &key):
        return NULL
    resolve(s, &key)
    if s.error != Error.FINE:
        return NULL
    field = field_named(s.schema, message, key.data, key.size)
    expect(s, c":")
    return field


cdef inline bint is_to_be_written(State *s, const FieldType *field, Seen *seen) noexcept nogil:
    """Whether there is a value, and none before that excludes it."""
    cdef uint64_t bit = <uint64_t>1 << field.position
    cdef bint given
    peek(s)
    given = not read_word(s, b"null", 4)
    # Of a field that is there twice the last counts, in the first one's place: the reference's work.
    if seen.fields & bit or (given and seen.oneofs & field.oneof):
        fail(s, Error.REFUSED)
        return False
    seen.fields |= bit
    if given:
        seen.oneofs |= field.oneof
    return given


cdef inline void write_field(State *s, const FieldType *field, uint32_t depth) noexcept nogil:
    if not field.flags & REPEATED:
        write_one(s, field, depth, (field.flags & PRESENCE) != 0)
    elif field.flags & PACKED:
        write_packed(s, field)
    else:
        write_all(s, field, depth)


cdef inline void write_all(State *s, const FieldType *field, uint32_t depth) noexcept nogil:
    cdef uint32_t position = 0
    if not enter(s, c"["):
        return
    while more(s, position == 0, c"]"):
        write_one(s, field, depth, True)
        if s.error != Error.FINE:
            trace(s, True, position)
        position += 1


cdef inline void write_packed(State *s, const FieldType *field) noexcept nogil:
    cdef size_t before = s.size
    cdef size_t start
    cdef uint32_t position = 0
    cdef uint64_t bits
    if not enter(s, c"["):
        return
    write_varint(s, field.tag)
    start = open_length(s)
    while more(s, position == 0, c"]"):
        if read_bits(s, field, &bits):
            write_bits(s, field, bits)
        if s.error != Error.FINE:
            trace(s, True, position)
        position += 1
    if s.size == start:
        s.size = before
    else:
        close_length(s, start)


cdef inline void write_one(State *s, const FieldType *field, uint32_t depth, bint presence) noexcept nogil:
    """A value with its tag. `presence`: even where it is the default."""
    cdef size_t before = s.size
    cdef size_t start
    cdef uint64_t bits
    if field.kind == Kind.MESSAGE:
        write_varint(s, field.tag)
        start = open_length(s)
        write_message(s, field.message, depth + 1)
        close_length(s, start)
    elif is_text(field):
        write_varint(s, field.tag)
        start = s.size
        write_text(s, field)
        if not presence and s.size == start + 1:
            s.size = before
    elif read_bits(s, field, &bits) and (bits or presence):
        write_varint(s, field.tag)
        write_bits(s, field, bits)
