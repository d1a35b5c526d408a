"""Values of fields that are no messages, read from JSON and written as Protocol Buffers have them."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from receiver.otlp_json.native.numbers cimport read_double, read_enum, read_integer
from receiver.otlp_json.native.schema cimport FieldType, Kind
from receiver.otlp_json.native.state cimport (
    Error, State, close_length, fail, has_room, open_length, write_fixed, write_varint,
)
from receiver.otlp_json.native.tokens cimport Text, peek, read_string, read_word, resolve, unescaped

cdef extern from "text.h" nogil:
    int json_hex_digit(uint8_t letter)
    int json_base64_digit(uint8_t letter)


cdef inline bint is_text(const FieldType *field) noexcept nogil:
    """Whether the value has a length on the wire."""
    return field.kind == Kind.STRING or field.kind == Kind.ID or field.kind == Kind.BYTES


cdef inline bint read_bits(State *s, const FieldType *field, uint64_t *bits) noexcept nogil:
    """Read a value of any other kind. False without an error: it is ignored."""
    if field.kind == Kind.DOUBLE:
        return read_double(s, bits)
    if field.kind == Kind.ENUM:
        return read_enum(s, field, bits)
    if field.kind == Kind.BOOL:
        return read_bool(s, bits)
    if not read_integer(s, field, bits):
        return False
    if field.kind == Kind.ZIGZAG:
        bits[0] = (bits[0] << 1) ^ (0 - (bits[0] >> 63))
    return True


cdef inline bint read_bool(State *s, uint64_t *bits) noexcept nogil:
    peek(s)
    bits[0] = read_word(s, b"true", 4)
    if bits[0] or read_word(s, b"false", 5):
        return True
    fail(s, Error.REFUSED)
    return False


cdef inline void write_bits(State *s, const FieldType *field, uint64_t bits) noexcept nogil:
    if field.kind == Kind.DOUBLE or field.kind == Kind.FIXED:
        write_fixed(s, bits, field.width)
    else:
        write_varint(s, bits)


cdef inline void write_text(State *s, const FieldType *field) noexcept nogil:
    """Read a string and write its length and what it stands for."""
    cdef Text text
    cdef size_t start
    if not read_string(s, &text):
        return
    if field.kind == Kind.STRING and not text.escaped:
        write_varint(s, text.size)
        if has_room(s, text.size):
            memcpy(s.out + s.size, text.data, text.size)
            s.size += text.size
        return
    start = open_length(s)
    if not has_room(s, text.size):
        return
    if field.kind == Kind.STRING:
        s.size += unescaped(&text, s.out + s.size)
    else:
        resolve(s, &text)
        if s.error != Error.FINE:
            return
        if field.kind == Kind.ID:
            write_hex(s, &text)
        else:
            write_base64(s, &text)
    close_length(s, start)


cdef inline void write_hex(State *s, const Text *digits) noexcept nogil:
    """Write the bytes of hexadecimal digits, which may be where they will be. There is room."""
    cdef size_t i
    cdef int high, low
    if digits.size & 1:
        fail(s, Error.REFUSED)
        return
    for i in range(0, digits.size, 2):
        high = json_hex_digit(digits.data[i])
        low = json_hex_digit(digits.data[i + 1])
        if (high | low) < 0:
            fail(s, Error.REFUSED)
            return
        s.out[s.size] = <uint8_t>(high << 4 | low)
        s.size += 1


cdef inline void write_base64(State *s, const Text *digits) noexcept nogil:
    """As `write_hex`. At most two signs of padding are at the end, which need not be there or be right in number."""
    cdef size_t left = digits.size
    cdef size_t i
    cdef uint32_t bits = 0
    cdef int digit
    while left and digits.size - left < 2 and digits.data[left - 1] == c"=":
        left -= 1
    if left % 4 == 1:
        fail(s, Error.REFUSED)
        return
    for i in range(left):
        digit = json_base64_digit(digits.data[i])
        if digit < 0:
            fail(s, Error.REFUSED)
            return
        bits = bits << 6 | <uint32_t>digit
        if i % 4:
            s.out[s.size] = <uint8_t>(bits >> (6 - 2 * (i % 4)))
            s.size += 1
