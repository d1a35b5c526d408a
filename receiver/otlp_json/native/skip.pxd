"""Values that nobody asks for: they must be JSON, and nothing else."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from receiver.otlp_json.native.numbers cimport JsonNumber, read_bare
from receiver.otlp_json.native.state cimport Error, State, fail
from receiver.otlp_json.native.tokens cimport Text, enter, expect, more, peek, read_string, read_word

cdef enum:
    LEVEL_WORDS = 17  # of 64 bits, for levels up to MOST_NESTING


cdef inline void skip_value(State *s) noexcept nogil:
    """Read a value. Without recursion: how deep it goes is not for the caller to choose."""
    cdef uint64_t objects[LEVEL_WORDS]  # a bit for each level: whether it is an object
    cdef uint32_t outside = s.nesting
    cdef bint first = True
    cdef uint8_t opening
    memset(objects, 0, sizeof(objects))
    while True:
        opening = peek(s)
        if opening == c"[" or opening == c"{":
            if not enter(s, opening):
                return
            note_level(objects, s.nesting, opening == c"{")
            first = True
        else:
            skip_scalar(s)
            first = False
        while s.nesting > outside and not more(s, first, closing_of(objects, s.nesting)):
            if s.error != Error.FINE:
                return
            first = False
        if s.nesting == outside or s.error != Error.FINE:
            return
        if closing_of(objects, s.nesting) == c"}":
            skip_key(s)


cdef inline void note_level(uint64_t *objects, uint32_t level, bint is_object) noexcept nogil:
    cdef uint64_t bit = <uint64_t>1 << (level & 63)
    if is_object:
        objects[level >> 6] |= bit
    else:
        objects[level >> 6] &= ~bit


cdef inline uint8_t closing_of(const uint64_t *objects, uint32_t level) noexcept nogil:
    """The bracket that ends a level."""
    return c"}" if objects[level >> 6] >> (level & 63) & 1 else c"]"


cdef inline void skip_key(State *s) noexcept nogil:
    cdef Text text
    if read_string(s, &text):
        expect(s, c":")


cdef inline void skip_scalar(State *s) noexcept nogil:
    cdef Text text
    cdef JsonNumber number
    cdef uint8_t letter = peek(s)
    if letter == c'"':
        read_string(s, &text)
    elif letter == c"-" or c"0" <= letter <= c"9":
        read_bare(s, &number)
    elif not (read_word(s, b"true", 4) or read_word(s, b"false", 5) or read_word(s, b"null", 4)):
        fail(s, Error.REFUSED)
