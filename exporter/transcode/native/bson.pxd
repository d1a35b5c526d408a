"""A writer of BSON (https://bsonspec.org/spec.html): elements appended to the workspace's `out`.

A document or array is begun, which keeps four bytes for its length, and ended, which fills them in.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, strlen

from exporter.transcode.native.wire cimport Bytes
from exporter.transcode.native.workspace cimport Workspace, reserve

cdef extern from "text.h" nogil:
    bint otlp_is_utf8(const uint8_t *at, size_t size)
    void otlp_hex(char *out, const uint8_t *at, size_t size)

cdef enum Type:
    DOUBLE = 0x01
    STRING = 0x02
    DOCUMENT = 0x03
    ARRAY = 0x04
    BINARY = 0x05
    BOOL = 0x08
    DATE = 0x09
    NULL_VALUE = 0x0A
    INT32 = 0x10
    INT64 = 0x12
    DECIMAL128 = 0x13

cdef enum:
    NANOS_PER_MILLI = 1000000


cdef inline Bytes literal(const char *text) noexcept nogil:
    cdef Bytes name
    name.data = <const uint8_t *>text
    name.size = strlen(text)
    return name


cdef inline Bytes position(char digits[12], uint32_t index) noexcept nogil:
    """The name of an array's element: its index in decimal, kept in `digits`."""
    cdef Bytes name
    cdef size_t at = 12
    while True:
        at -= 1
        digits[at] = <char>(48 + index % 10)
        index //= 10
        if index == 0:
            break
    name.data = <const uint8_t *>digits + at
    name.size = 12 - at
    return name


cdef inline uint8_t *element(Workspace *ws, int type, Bytes name, size_t size) noexcept nogil:
    """Append an element's type and name, and keep `size` bytes for its value. Returns where they are, or NULL."""
    cdef uint8_t *at
    cdef size_t whole = name.size + 2 + size
    if not reserve(ws, &ws.out, whole):
        return NULL
    at = ws.out.data + ws.out.size
    ws.out.size += whole
    at[0] = <uint8_t>type
    memcpy(at + 1, name.data, name.size)
    at[1 + name.size] = 0
    return at + name.size + 2


cdef inline void put32(uint8_t *at, uint32_t value) noexcept nogil:
    memcpy(at, &value, 4)


cdef inline void put64(uint8_t *at, uint64_t value) noexcept nogil:
    memcpy(at, &value, 8)


cdef inline size_t begin_root(Workspace *ws) noexcept nogil:
    cdef size_t start = ws.out.size
    if reserve(ws, &ws.out, 4):
        ws.out.size += 4
    return start


cdef inline size_t begin(Workspace *ws, int type, Bytes name) noexcept nogil:
    """Begin an embedded document or array. Returns what `end` wants to know."""
    element(ws, type, name, 4)
    return ws.out.size - 4


cdef inline void end(Workspace *ws, size_t start) noexcept nogil:
    if reserve(ws, &ws.out, 1):
        ws.out.data[ws.out.size] = 0
        ws.out.size += 1
        put32(ws.out.data + start, <uint32_t>(ws.out.size - start))


cdef inline void write_null(Workspace *ws, Bytes name) noexcept nogil:
    element(ws, Type.NULL_VALUE, name, 0)


cdef inline void write_bool(Workspace *ws, Bytes name, bint value) noexcept nogil:
    cdef uint8_t *at = element(ws, Type.BOOL, name, 1)
    if at is not NULL:
        at[0] = value


cdef inline void write_int32(Workspace *ws, Bytes name, int32_t value) noexcept nogil:
    cdef uint8_t *at = element(ws, Type.INT32, name, 4)
    if at is not NULL:
        put32(at, <uint32_t>value)


cdef inline void write_64(Workspace *ws, int type, Bytes name, uint64_t bits) noexcept nogil:
    """A double, date or int64, by its bits."""
    cdef uint8_t *at = element(ws, type, name, 8)
    if at is not NULL:
        put64(at, bits)


cdef inline void write_decimal(Workspace *ws, Bytes name, uint64_t magnitude, bint negative) noexcept nogil:
    """IEEE 754-2008 decimal128, binary integer coding, exponent 0."""
    cdef uint64_t exponent = 6176  # biased
    cdef uint64_t sign = negative
    cdef uint8_t *at = element(ws, Type.DECIMAL128, name, 16)
    if at is not NULL:
        put64(at, magnitude)
        put64(at + 8, sign << 63 | exponent << 49)


cdef inline void write_uint64(Workspace *ws, Bytes name, uint64_t value) noexcept nogil:
    if <int64_t>value >= 0:
        write_64(ws, Type.INT64, name, value)
    else:
        write_decimal(ws, name, value, False)


cdef inline void write_difference(Workspace *ws, Bytes name, uint64_t value, uint64_t less) noexcept nogil:
    """`value` minus `less`, exactly."""
    cdef bint negative = value < less
    cdef uint64_t magnitude = less - value if negative else value - less
    if magnitude <= <uint64_t>0x7FFFFFFFFFFFFFFF or (negative and magnitude == <uint64_t>0x8000000000000000):
        write_64(ws, Type.INT64, name, value - less)
    else:
        write_decimal(ws, name, magnitude, negative)


cdef inline void write_uint32(Workspace *ws, Bytes name, uint32_t value) noexcept nogil:
    if <int32_t>value >= 0:
        write_int32(ws, name, <int32_t>value)
    else:
        write_64(ws, Type.INT64, name, value)


cdef inline void write_binary(Workspace *ws, Bytes name, Bytes value) noexcept nogil:
    """Subtype 0."""
    cdef uint8_t *at = element(ws, Type.BINARY, name, value.size + 5)
    if at is not NULL:
        put32(at, <uint32_t>value.size)
        at[4] = 0
        if value.size:
            memcpy(at + 5, value.data, value.size)


cdef inline void write_text(Workspace *ws, Bytes name, Bytes value) noexcept nogil:
    """A string; bytes that are not UTF-8: binary."""
    cdef uint8_t *at
    if not otlp_is_utf8(value.data, value.size):
        write_binary(ws, name, value)
        return
    at = element(ws, Type.STRING, name, value.size + 5)
    if at is not NULL:
        put32(at, <uint32_t>value.size + 1)
        if value.size:
            memcpy(at + 4, value.data, value.size)
        at[4 + value.size] = 0


cdef inline void write_hex(Workspace *ws, Bytes name, Bytes value) noexcept nogil:
    """An id, as lower-case hex."""
    cdef uint8_t *at = element(ws, Type.STRING, name, 2 * value.size + 5)
    if at is not NULL:
        put32(at, <uint32_t>(2 * value.size + 1))
        otlp_hex(<char *>at + 4, value.data, value.size)
        at[4 + 2 * value.size] = 0


cdef inline void write_date(Workspace *ws, Bytes name, uint64_t unix_nano) noexcept nogil:
    write_64(ws, Type.DATE, name, unix_nano // NANOS_PER_MILLI)


cdef inline void write_uuid(Workspace *ws, Bytes name, uint64_t high, uint64_t low) noexcept nogil:
    """Binary subtype 4, most significant byte first."""
    cdef uint8_t *at = element(ws, Type.BINARY, name, 21)
    cdef int i
    if at is not NULL:
        put32(at, 16)
        at[4] = 4
        for i in range(8):
            at[5 + i] = <uint8_t>(high >> (56 - 8 * i))
            at[13 + i] = <uint8_t>(low >> (56 - 8 * i))
