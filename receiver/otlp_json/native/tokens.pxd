"""A reader of JSON's tokens (RFC 8259): white space, punctuation and strings."""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcmp, memcpy

from receiver.otlp_json.native.state cimport Error, MOST_NESTING, State, fail, has_room

cdef extern from "text.h" nogil:
    const uint8_t *json_plain_end(const uint8_t *at, const uint8_t *end)
    size_t json_utf8_sequence(const uint8_t *at, const uint8_t *end)
    const uint8_t *json_escape(const uint8_t *at, const uint8_t *end, uint32_t *character)
    uint8_t *json_put_utf8(uint8_t *out, uint32_t character)

cdef struct Text:
    # What stands between a string's quotes, with its escapes or, as they said, without.
    const uint8_t *data
    size_t size
    bint escaped


cdef inline uint8_t peek(State *s) noexcept nogil:
    """The next byte that is not white space; 0 at the end, where it stands in memory, too."""
    while s.at[0] <= c" " and s.at != s.end and (
        s.at[0] == c" " or s.at[0] == c"\n" or s.at[0] == c"\r" or s.at[0] == c"\t"
    ):
        s.at += 1
    return s.at[0]


cdef inline bint expect(State *s, uint8_t letter) noexcept nogil:
    """Read a punctuation mark, which is no byte of 0."""
    if peek(s) == letter:
        s.at += 1
        return True
    fail(s, Error.REFUSED)
    return False


cdef inline bint read_word(State *s, const char *word, size_t size) noexcept nogil:
    """Whether `true`, `false` or `null` stands here; it is read then."""
    if <size_t>(s.end - s.at) >= size and memcmp(s.at, word, size) == 0:
        s.at += size
        return True
    return False


cdef inline bint enter(State *s, uint8_t bracket) noexcept nogil:
    """Read the beginning of an array or an object."""
    if not expect(s, bracket):
        return False
    s.nesting += 1
    if s.nesting > MOST_NESTING:
        fail(s, Error.REFUSED)
    return s.error == Error.FINE


cdef inline bint more(State *s, bint first, uint8_t bracket) noexcept nogil:
    """Read what stands before the next element, or the bracket behind the last. `first`: none was read yet."""
    cdef uint8_t next
    if s.error != Error.FINE:
        return False
    next = peek(s)
    if next == bracket:
        s.at += 1
        s.nesting -= 1
        return False
    return first or expect(s, c",")


cdef inline bint read_string(State *s, Text *text) noexcept nogil:
    """Read a string and check it. Its escapes are left as they are."""
    cdef const uint8_t *at
    cdef uint32_t character
    cdef size_t length
    if not expect(s, c'"'):
        return False
    at = s.at
    text.data = at
    text.escaped = False
    while True:
        at = json_plain_end(at, s.end)
        if at[0] == c'"' and at != s.end:
            break
        if at[0] == c"\\":
            text.escaped = True
            at = json_escape(at, s.end, &character)
        else:
            length = json_utf8_sequence(at, s.end) if at[0] >= 0x80 else 0
            at = at + length if length else NULL
        if at is NULL:
            fail(s, Error.REFUSED)
            return False
    text.size = at - text.data
    s.at = at + 1
    return True


cdef inline size_t unescaped(const Text *text, uint8_t *out) noexcept nogil:
    """Write what a string stands for; it takes at most its size. Returns how much it took."""
    cdef const uint8_t *at = text.data
    cdef const uint8_t *end = at + text.size
    cdef const uint8_t *stop
    cdef uint8_t *target = out
    cdef uint32_t character
    while at != end:
        if at[0] == c"\\":
            at = json_escape(at, end, &character)
            target = json_put_utf8(target, character)
            continue
        stop = at + 1
        while stop != end and stop[0] != c"\\":
            stop += 1
        memcpy(target, at, stop - at)
        target += stop - at
        at = stop
    return target - out


cdef inline void resolve(State *s, Text *text) noexcept nogil:
    """Replace escapes by what they stand for.

    The result stands behind the output, which may be written over it from its first byte on, and ends with a byte of 0.
    """
    cdef uint8_t *target
    if not text.escaped:
        return
    if not has_room(s, text.size + 1):
        text.size = 0
        return
    target = s.out + s.size
    text.size = unescaped(text, target)
    target[text.size] = 0
    text.data = target
    text.escaped = False
