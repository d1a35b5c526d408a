"""The tables that `receiver.otlp_json.tables` makes of OTLP's descriptors, as they lie in memory."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp

cdef enum:
    NONE = 0xFFFFFFFF
    KEY_SIZES = 64  # a key is shorter

# In the order of `receiver.otlp_json.schema.Kind`.
cdef enum Kind:
    MESSAGE
    STRING
    ID
    BYTES
    BOOL
    ENUM
    DOUBLE
    INTEGER
    ZIGZAG
    FIXED

# How a field occurs.
cdef enum:
    REPEATED = 1
    PACKED = 2
    PRESENCE = 4  # a value at its default is told from none, and so written

cdef struct FieldType:
    int64_t low
    uint64_t high
    uint64_t oneof  # a bit for the group that excludes others of it; 0: none
    uint32_t tag
    uint32_t kind
    uint32_t flags
    uint32_t width  # of a fixed number, in bytes
    uint32_t message  # the type of a message
    uint32_t enum_names  # the first of its list in `keys`, or NONE
    uint32_t position  # in its message
    uint32_t name  # its entry in `keys`

cdef struct Key:
    # A name that JSON may have: a field's, or an enum value's.
    uint32_t start  # in `text`
    uint32_t size
    uint32_t value  # the field, or the enum's number
    uint32_t next  # in the list; NONE at its end

cdef struct MessageType:
    uint32_t keys[KEY_SIZES]  # by their size, the first of a list in `keys`, or NONE

cdef struct Schema:
    const MessageType *messages  # the first is the outermost
    const FieldType *fields
    const Key *keys
    const uint8_t *text


cdef inline uint32_t find(const Schema *schema, uint32_t key, const uint8_t *data, size_t size) noexcept nogil:
    """Where a name stands in `keys`, of the list that begins at `key`; NONE."""
    while key != NONE:
        if schema.keys[key].size == size and memcmp(schema.text + schema.keys[key].start, data, size) == 0:
            break
        key = schema.keys[key].next
    return key


cdef inline const FieldType *field_named(
    const Schema *schema, uint32_t message, const uint8_t *data, size_t size
) noexcept nogil:
    """The field of a message with a name; NULL."""
    cdef uint32_t key = NONE
    if size < KEY_SIZES:
        key = find(schema, schema.messages[message].keys[size], data, size)
    return &schema.fields[schema.keys[key].value] if key != NONE else NULL
