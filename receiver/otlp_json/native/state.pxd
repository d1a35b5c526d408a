"""What one conversion works with: where it reads and where it writes.

Both are fixed stretches of memory: nothing is allocated. An error is kept in the state and ends all loops, for there is
nothing left to read then. FULL: the output needs more room, and the caller begins anew with more.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memmove

from receiver.otlp_json.native.schema cimport Schema

cdef enum:
    MOST_MESSAGES = 100  # in each other, as in the parsers of Protocol Buffers
    MOST_NESTING = 1024  # of arrays and objects in each other, as in orjson
    MOST_STEPS = 2 * MOST_MESSAGES + 2

cdef enum Error:
    FINE
    REFUSED
    FULL

cdef struct Step:
    # Of the way to what was refused: a field, or a position in an array.
    bint is_position
    uint32_t number

cdef struct State:
    const Schema *schema
    const uint8_t *start
    const uint8_t *at
    const uint8_t *end  # a byte of 0 stands there
    uint8_t *out
    size_t size
    size_t capacity
    uint32_t nesting  # arrays and objects around what is read
    Error error
    size_t refused_at
    uint32_t steps
    Step path[MOST_STEPS]  # innermost first


cdef inline void begin(State *s, const Schema *schema, const uint8_t *data, size_t size) noexcept nogil:
    """Ready to read `data`, with a byte of 0 behind it. The room to write into is yet to be set."""
    s.schema = schema
    s.start = s.at = data
    s.end = data + size
    s.out = NULL
    s.size = s.capacity = s.refused_at = 0
    s.nesting = s.steps = 0
    s.error = Error.FINE


cdef inline void fail(State *s, Error error) noexcept nogil:
    if s.error == Error.FINE:
        s.error = error
        s.refused_at = s.at - s.start
    s.at = s.end


cdef inline void trace(State *s, bint is_position, uint32_t number) noexcept nogil:
    """On the way up from an error: note where it was."""
    if s.steps < MOST_STEPS:
        s.path[s.steps].is_position = is_position
        s.path[s.steps].number = number
        s.steps += 1


cdef inline bint has_room(State *s, size_t more) noexcept nogil:
    if s.capacity - s.size >= more:
        return True
    fail(s, Error.FULL)
    return False


cdef inline uint8_t *put_varint(uint8_t *at, uint64_t number) noexcept nogil:
    """Seven bits a byte: at most 10 of them. Returns what is behind."""
    while number > 0x7F:
        at[0] = <uint8_t>(number & 0x7F) | 0x80
        at += 1
        number >>= 7
    at[0] = <uint8_t>number
    return at + 1


cdef inline void write_varint(State *s, uint64_t number) noexcept nogil:
    if has_room(s, 10):
        s.size = put_varint(s.out + s.size, number) - s.out


cdef inline void write_fixed(State *s, uint64_t bits, size_t width) noexcept nogil:
    """The low bytes of a number: 4 or all 8."""
    if has_room(s, 8):
        memcpy(s.out + s.size, &bits, 8)
        s.size += width


cdef inline size_t open_length(State *s) noexcept nogil:
    """Keep a byte for the length of what will be written. Returns what `close_length` wants to know."""
    if has_room(s, 1):
        s.size += 1
    return s.size


cdef inline void close_length(State *s, size_t start) noexcept nogil:
    """Put the length there, and more bytes for it where it needs them."""
    cdef uint8_t digits[10]
    cdef size_t length = s.size - start
    cdef size_t extra
    if s.error != Error.FINE:
        return
    if length < 0x80:
        s.out[start - 1] = <uint8_t>length
        return
    extra = put_varint(digits, length) - digits - 1
    if has_room(s, extra):
        memmove(s.out + start + extra, s.out + start, length)
        memcpy(s.out + start - 1, digits, extra + 1)
        s.size += extra
