"""Attributes as nearly all are: a short key and then a short value of one member. A look at a few bytes tells.

Whatever else may be in a valid encoding (other orders, unknown fields, longer sizes) is not plain, and read field by field.
"""

from libc.stdint cimport uint8_t, uint32_t

from exporter.transcode.native.wire cimport I64, LEN, VARINT, Bytes

cdef enum:
    KEY = 1 << 3 | LEN
    VALUE = 2 << 3 | LEN

    STRING_VALUE = 1 << 3 | LEN
    BOOL_VALUE = 2 << 3 | VARINT
    INT_VALUE = 3 << 3 | VARINT
    DOUBLE_VALUE = 4 << 3 | I64


cdef inline bint is_one_byte(uint8_t byte) noexcept nogil:
    """Whether it is a varint by itself."""
    return byte < 0x80


cdef inline size_t plain_pair(Bytes pair) noexcept nogil:
    """Where the value begins in a KeyValue, whose key begins at 2; 0: it is not plain."""
    cdef const uint8_t *at = pair.data
    cdef size_t value
    if pair.size < 4 or at[0] != KEY or not is_one_byte(at[1]):
        return 0
    value = <size_t>at[1] + 4
    if value > pair.size or at[value - 2] != VALUE or not is_one_byte(at[value - 1]):
        return 0
    return value if value + at[value - 1] == pair.size else 0


cdef inline uint32_t plain_value(Bytes value) noexcept nogil:
    """The tag of the only member of an AnyValue, which begins at 1, a string's text at 2; 0: it is not plain."""
    cdef const uint8_t *at = value.data
    if value.size < 2:
        return 0
    if at[0] == STRING_VALUE:
        return STRING_VALUE if is_one_byte(at[1]) and value.size == <size_t>at[1] + 2 else 0
    if at[0] == INT_VALUE or at[0] == BOOL_VALUE:
        return at[0] if is_one_byte(at[1]) and value.size == 2 else 0
    return DOUBLE_VALUE if at[0] == DOUBLE_VALUE and value.size == 9 else 0
