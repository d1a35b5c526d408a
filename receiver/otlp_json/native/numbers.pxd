"""Numbers of fields: in a string or without, as JSON has but one type of them and no room for 64 bits in it."""

from libc.math cimport fabs, floor
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from receiver.otlp_json.native.schema cimport NONE, FieldType, find
from receiver.otlp_json.native.state cimport Error, State, fail
from receiver.otlp_json.native.tokens cimport Text, peek, read_string, resolve

cdef extern from "numbers.h" nogil:
    ctypedef struct JsonNumber:
        bint whole
        bint negative
        uint64_t magnitude
        double real
    const uint8_t *json_number(const uint8_t *at, const uint8_t *end, bint bare, JsonNumber *number)

cdef enum:
    NOT_A_NUMBER = 0x7FF8
    INFINITE = 0x7FF0
    MINUS_INFINITE = 0xFFF0
    MOST_PLAIN = 63  # letters of an enum's name


cdef inline bint read_bare(State *s, JsonNumber *number) noexcept nogil:
    """Read a number that is in no string."""
    cdef const uint8_t *at
    peek(s)
    at = json_number(s.at, s.end, True, number)
    if at is NULL:
        fail(s, Error.REFUSED)
        return False
    s.at = at
    return True


cdef inline bint of_text(State *s, const Text *text, JsonNumber *number) noexcept nogil:
    """The number that all of a string is."""
    if json_number(text.data, text.data + text.size, False, number) == text.data + text.size:
        return True
    fail(s, Error.REFUSED)
    return False


cdef inline bint read_text(State *s, Text *text) noexcept nogil:
    """Read a string that is looked into at once."""
    if not read_string(s, text):
        return False
    resolve(s, text)
    return s.error == Error.FINE


cdef inline bint integer_bits(
    State *s, const FieldType *field, const JsonNumber *number, uint64_t *bits
) noexcept nogil:
    """An integer that the field holds, in two's complement. A double counts where it is one."""
    cdef uint64_t magnitude = number.magnitude
    cdef double real = fabs(number.real)
    cdef double most = 9223372036854775808.0 if number.negative else 18446744073709551616.0
    if not number.whole:
        # -2^63 stands for all below it, which are rounded to it.
        if real != floor(real) or real >= most:
            fail(s, Error.REFUSED)
            return False
        magnitude = <uint64_t>real
    bits[0] = 0 - magnitude if number.negative else magnitude
    if magnitude and number.negative:
        if magnitude <= 0 - <uint64_t>field.low:
            return True
    elif magnitude <= field.high:
        return True
    fail(s, Error.REFUSED)
    return False


cdef inline bint read_integer(State *s, const FieldType *field, uint64_t *bits) noexcept nogil:
    cdef JsonNumber number
    cdef Text text
    if peek(s) == c'"':
        if not read_text(s, &text) or not of_text(s, &text, &number):
            return False
    elif not read_bare(s, &number):
        return False
    return integer_bits(s, field, &number, bits)


cdef inline bint is_identifier(const Text *text) noexcept nogil:
    """Whether a .proto file could have it for a name."""
    cdef size_t i
    cdef uint8_t letter
    for i in range(text.size):
        letter = text.data[i]
        if not (
            letter == c"_" or c"a" <= (letter | 0x20) <= c"z" or (i > 0 and c"0" <= letter <= c"9")
        ):
            return False
    return text.size > 0


cdef inline uint32_t find_plain(State *s, const FieldType *field, const Text *text) noexcept nogil:
    """An enum's value by its name without case and separators. NONE: there is none."""
    cdef uint8_t plain[MOST_PLAIN]
    cdef size_t size = 0
    cdef size_t i
    cdef uint8_t letter
    for i in range(text.size):
        letter = text.data[i]
        if c"A" <= letter <= c"Z":
            letter |= 0x20
        if c"a" <= letter <= c"z" or c"0" <= letter <= c"9":
            if size == MOST_PLAIN:
                return NONE
            plain[size] = letter
            size += 1
    return find(s.schema, field.enum_names, plain, size)


cdef inline bint read_enum(State *s, const FieldType *field, uint64_t *bits) noexcept nogil:
    """A number, or a name. False without an error: a name of the future, which is ignored."""
    cdef JsonNumber number
    cdef Text text
    cdef uint32_t known
    if peek(s) != c'"':
        return read_bare(s, &number) and integer_bits(s, field, &number, bits)
    if not read_text(s, &text):
        return False
    known = find(s.schema, field.enum_names, text.data, text.size)
    if known != NONE:
        bits[0] = <uint64_t><int64_t><int32_t>s.schema.keys[known].value
        return True
    known = find_plain(s, field, &text)
    if known != NONE:
        bits[0] = <uint64_t><int64_t><int32_t>s.schema.keys[known].value
        return True
    if is_identifier(&text):
        return False
    if not is_integer(&text):
        fail(s, Error.REFUSED)
        return False
    return of_text(s, &text, &number) and integer_bits(s, field, &number, bits)


cdef inline bint is_integer(const Text *text) noexcept nogil:
    """Whether it has digits only, but for a sign."""
    cdef size_t i
    for i in range(text.size):
        if not (c"0" <= text.data[i] <= c"9" or (i == 0 and text.data[0] == c"-")):
            return False
    return True


cdef inline bint is_word(const Text *text, const char *word, size_t size) noexcept nogil:
    return text.size == size and memcmp(text.data, word, size) == 0


cdef inline bint read_double(State *s, uint64_t *bits) noexcept nogil:
    cdef JsonNumber number
    cdef Text text
    if peek(s) != c'"':
        if not read_bare(s, &number):
            return False
    elif not read_text(s, &text):
        return False
    elif is_word(&text, b"NaN", 3):
        bits[0] = <uint64_t>NOT_A_NUMBER << 48
        return True
    elif is_word(&text, b"Infinity", 8):
        bits[0] = <uint64_t>INFINITE << 48
        return True
    elif is_word(&text, b"-Infinity", 9):
        bits[0] = <uint64_t>MINUS_INFINITE << 48
        return True
    elif not of_text(s, &text, &number):
        return False
    memcpy(bits, &number.real, 8)
    return True
