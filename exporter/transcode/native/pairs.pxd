"""Attribute lists (KeyValue) as they came: each pair's key and value by where they stand in the payload."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from exporter.transcode.native.plain cimport KEY, VALUE, plain_pair
from exporter.transcode.native.wire cimport (
    MOST_DEPTH, Bytes, Field, Message, Occurrences, merged, next_field, next_message, note, rest, whole,
)
from exporter.transcode.native.workspace cimport Workspace, push

cdef extern from "text.h" nogil:
    uint64_t otlp_mix(uint64_t hashed, const uint8_t *payload, const uint8_t *at, size_t size)

cdef struct Pair:
    uint32_t key
    uint32_t key_size
    uint32_t value
    uint32_t value_size
    uint32_t part  # as of Message
    uint32_t parts

cdef struct Pairs:
    uint32_t first  # index in the workspace
    uint32_t count
    uint32_t value_depth  # messages around each value
    uint64_t keys_hash  # of all keys in their order, not keyed: good for guessing only


cdef inline Pairs read_pairs(Workspace *ws, Occurrences *occurrences) noexcept nogil:
    """Push the pairs of a list."""
    cdef Pairs pairs
    cdef Occurrences left = occurrences[0]
    cdef Message message
    cdef Pair *pair
    pairs.first = ws.pairs.size
    pairs.count = 0
    pairs.value_depth = left.first.depth + 2
    pairs.keys_hash = 0
    while next_message(ws, &left, &message):
        pair = <Pair *>push(ws, &ws.pairs, sizeof(Pair), 1)
        if pair is NULL:
            break
        if not read_plain_pair(ws, message, pair):
            read_pair(ws, message, pair)
        pairs.count += 1
        pairs.keys_hash = otlp_mix(pairs.keys_hash, ws.payload, ws.payload + pair.key, pair.key_size)
    return pairs


cdef inline bint read_plain_pair(Workspace *ws, Message message, Pair *pair) noexcept nogil:
    cdef uint32_t start = <uint32_t>(message.at - ws.payload)
    cdef size_t value = plain_pair(rest(message))
    if value == 0 or message.parts or message.depth >= MOST_DEPTH:
        return False
    pair.key = start + 2
    pair.key_size = message.at[1]
    pair.value = start + <uint32_t>value
    pair.value_size = message.at[value - 1]
    pair.part = pair.parts = 0
    return True


cdef inline void read_pair(Workspace *ws, Message message, Pair *pair) noexcept nogil:
    """Read any pair: the last key wins, values are merged."""
    cdef Occurrences values
    cdef Message value
    cdef Field field
    pair.key = pair.key_size = pair.value = pair.value_size = pair.part = pair.parts = 0
    values.count = 0
    while next_field(ws, &message, &field):
        if field.tag == KEY:
            pair.key = <uint32_t>(field.bytes.data - ws.payload)
            pair.key_size = <uint32_t>field.bytes.size
        elif field.tag == VALUE:
            note(&values, &message, &field)
    if values.count:
        value = merged(ws, &values)
        pair.value = <uint32_t>(value.at - ws.payload)
        pair.value_size = <uint32_t>(value.end - value.at)
        pair.part = value.part
        pair.parts = value.parts


cdef inline Pair *pair_of(Workspace *ws, Pairs *pairs, uint32_t index) noexcept nogil:
    """A pair; the pointer is good until one is pushed."""
    return <Pair *>ws.pairs.items + pairs.first + index


cdef inline Bytes key_of(Workspace *ws, Pair *pair) noexcept nogil:
    cdef Bytes key
    key.data = ws.payload + pair.key
    key.size = pair.key_size
    return key


cdef inline Message value_of(Workspace *ws, Pairs *pairs, Pair *pair) noexcept nogil:
    cdef Message value = whole(ws.payload + pair.value, pair.value_size, pairs.value_depth)
    value.part = pair.part
    value.parts = pair.parts
    return value


cdef inline void drop_pairs(Workspace *ws, Pairs *pairs) noexcept nogil:
    ws.pairs.size = pairs.first
