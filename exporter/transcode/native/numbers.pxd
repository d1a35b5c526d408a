"""Repeated numbers, packed and unpacked."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from exporter.transcode.native.bson cimport Type, begin, end, position, write_64, write_uint64
from exporter.transcode.native.wire cimport (
    I64, LEN, VARINT, Bytes, Field, Message, next_field, read_fixed, read_varint,
)
from exporter.transcode.native.workspace cimport Error, Workspace, fail

cdef struct Numbers:
    # Where a field of repeated numbers occurs that are not empty: the message from the first of them on.
    Message first
    uint32_t number  # of the field
    uint32_t wire  # type of one number: VARINT or I64
    uint32_t count  # of occurrences


cdef inline Numbers numbers(uint32_t number, uint32_t wire) noexcept nogil:
    cdef Numbers result
    memset(&result, 0, sizeof(Numbers))
    result.number = number
    result.wire = wire
    return result


cdef inline bint has_numbers(Numbers *list, Field *field) noexcept nogil:
    """Whether the field is an occurrence that is not empty."""
    if field.tag == (list.number << 3 | LEN):
        return field.bytes.size != 0
    return field.tag == (list.number << 3 | list.wire)


cdef inline void note_numbers(Numbers *list, Message *message, Field *field) noexcept nogil:
    if not has_numbers(list, field):
        return
    if list.count == 0:
        list.first = message[0]
        list.first.at = field.start
    list.count += 1


cdef inline void write_number(Workspace *ws, int type, uint32_t index, uint64_t bits) noexcept nogil:
    cdef char digits[12]
    if type == Type.DOUBLE:
        write_64(ws, Type.DOUBLE, position(digits, index), bits)
    else:
        write_uint64(ws, position(digits, index), bits)


cdef inline void write_numbers(Workspace *ws, int type, Bytes name, Numbers *list) noexcept nogil:
    """Write them as an array, absent when empty. `type`: DOUBLE, or INT64 for unsigned ones."""
    cdef Numbers left = list[0]
    cdef Field field
    cdef uint32_t index = 0
    cdef size_t start
    if left.count == 0:
        return
    start = begin(ws, Type.ARRAY, name)
    while left.count and next_field(ws, &left.first, &field):
        if not has_numbers(&left, &field):
            continue
        left.count -= 1
        if field.tag & 7 == LEN:
            index = write_packed(ws, type, left.wire, field.bytes, index)
        else:
            write_number(ws, type, index, field.value)
            index += 1
    end(ws, start)


cdef inline uint32_t write_packed(Workspace *ws, int type, uint32_t wire, Bytes packed, uint32_t index) noexcept nogil:
    """Returns the index of the number behind them."""
    cdef const uint8_t *at = packed.data
    cdef const uint8_t *stop = at + packed.size
    cdef uint64_t value
    while at != stop and ws.error == Error.FINE:
        at = read_fixed(at, stop, 8, &value) if wire == I64 else read_varint(at, stop, &value)
        if at is NULL:
            fail(ws, Error.MALFORMED)
            break
        write_number(ws, type, index, value)
        index += 1
    return index
