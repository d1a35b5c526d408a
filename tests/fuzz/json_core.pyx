"""The native JSON converter as a libFuzzer target (https://llvm.org/docs/LibFuzzer.html): no Python runs in it.

An input is a byte that chooses the signal, and a body. What is checked beside what the sanitizers see: what is written
is protobuf by the same tables, with nothing in it that is not needed, and it is the same in any room that it fits in.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport abort, free, malloc
from libc.string cimport memcmp, memcpy

from receiver.otlp_json.native.messages cimport write_document
from receiver.otlp_json.native.scalars cimport is_text
from receiver.otlp_json.native.schema cimport (
    KEY_SIZES, NONE, PACKED, PRESENCE, REPEATED, FieldType, Key, Kind, MessageType, Schema,
)
from receiver.otlp_json.native.state cimport MOST_MESSAGES, Error, State, begin

cdef extern from "json_tables.h" nogil:
    const uint8_t *JSON_TABLES[3][4]  # of each signal, as json_tables.py makes them

cdef enum:
    MOST_GROWTH = 4  # a body's size, at most this many times


cdef void check(bint condition) noexcept nogil:
    if not condition:
        abort()


cdef struct Bytes:
    const uint8_t *at
    const uint8_t *end


cdef uint64_t read_varint(Bytes *bytes) noexcept nogil:
    """Of as few bytes as it takes."""
    cdef uint64_t number = 0
    cdef int shift = 0
    cdef uint8_t last
    while True:
        check(bytes.at < bytes.end and shift < 70)
        last = bytes.at[0]
        number |= <uint64_t>(last & 0x7F) << shift
        bytes.at += 1
        shift += 7
        if last < 0x80:
            check(last != 0 or shift == 7)
            return number


cdef Bytes read_bytes(Bytes *bytes) noexcept nogil:
    cdef uint64_t size = read_varint(bytes)
    cdef Bytes inner
    check(size <= <uint64_t>(bytes.end - bytes.at))
    inner.at = bytes.at
    inner.end = bytes.at = bytes.at + size
    return inner


cdef uint64_t read_bits(Bytes *bytes, const FieldType *field) noexcept nogil:
    cdef uint64_t bits = 0
    if field.kind != Kind.DOUBLE and field.kind != Kind.FIXED:
        return read_varint(bytes)
    check(<size_t>(bytes.end - bytes.at) >= field.width)
    memcpy(&bits, bytes.at, field.width)
    bytes.at += field.width
    return bits


cdef const FieldType *field_tagged(const Schema *schema, uint32_t message, uint64_t tag) noexcept nogil:
    cdef uint32_t size, key
    for size in range(KEY_SIZES):
        key = schema.messages[message].keys[size]
        while key != NONE:
            if schema.fields[schema.keys[key].value].tag == tag:
                return &schema.fields[schema.keys[key].value]
            key = schema.keys[key].next
    return NULL


cdef void check_message(const Schema *schema, uint32_t message, Bytes content, uint32_t depth) noexcept nogil:
    cdef const FieldType *field
    cdef uint64_t given = 0
    cdef uint64_t oneofs = 0
    check(depth <= MOST_MESSAGES)
    while content.at != content.end:
        field = field_tagged(schema, message, read_varint(&content))
        check(field is not NULL)
        if not field.flags & REPEATED or field.flags & PACKED:
            check(not given >> field.position & 1 and not oneofs & field.oneof)
            given |= <uint64_t>1 << field.position
            oneofs |= field.oneof
        check_value(schema, field, &content, depth)


cdef void check_value(const Schema *schema, const FieldType *field, Bytes *content, uint32_t depth) noexcept nogil:
    cdef bint any_value = field.flags & (PRESENCE | REPEATED) != 0
    cdef Bytes inner
    if field.flags & PACKED:
        inner = read_bytes(content)
        check(inner.at != inner.end)
        while inner.at != inner.end:
            read_bits(&inner, field)
    elif field.kind == Kind.MESSAGE:
        check_message(schema, field.message, read_bytes(content), depth + 1)
    elif is_text(field):
        inner = read_bytes(content)
        check(any_value or inner.at != inner.end)
    else:
        check(read_bits(content, field) != 0 or any_value)


cdef uint8_t *converted(
    State *state, const Schema *schema, const uint8_t *body, size_t size, size_t capacity
) noexcept nogil:
    """Convert into memory of just that size: the sanitizer sees a write of one byte too many."""
    begin(state, schema, body, size)
    state.out = <uint8_t *>malloc(capacity if capacity else 1)
    state.capacity = capacity
    write_document(state)
    check(state.size <= capacity and state.refused_at <= size)
    return state.out


cdef Schema schema_of(int signal) noexcept nogil:
    cdef Schema schema
    schema.messages = <const MessageType *>JSON_TABLES[signal][0]
    schema.fields = <const FieldType *>JSON_TABLES[signal][1]
    schema.keys = <const Key *>JSON_TABLES[signal][2]
    schema.text = JSON_TABLES[signal][3]
    return schema


cdef public int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) noexcept nogil:
    cdef Schema schema
    cdef State whole, tight
    cdef uint8_t *body
    cdef uint8_t *out
    cdef uint8_t *again
    cdef Bytes content
    if size == 0:
        return 0
    schema = schema_of(data[0] % 3)
    size -= 1
    # A copy of just that size, with the byte of 0 behind it that is asked for.
    body = <uint8_t *>malloc(size + 1)
    memcpy(body, data + 1, size)
    body[size] = 0
    out = converted(&whole, &schema, body, size, MOST_GROWTH * (size + 64))
    check(whole.error != Error.FULL)
    # Room for most bodies, and for a part of what is written.
    again = converted(&tight, &schema, body, size, whole.size * (data[0] // 3) // 64)
    check(tight.error == whole.error or tight.error == Error.FULL)
    if whole.error == Error.FINE:
        check(whole.nesting == 0 and whole.at == whole.end)
        content.at = out
        content.end = out + whole.size
        check_message(&schema, 0, content, 1)
        check(tight.error == Error.FULL or (tight.size == whole.size and memcmp(out, again, whole.size) == 0))
    free(out)
    free(again)
    free(body)
    return 0
