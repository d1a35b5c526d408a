"""AnyValue and attribute lists, written as elements (docs/documents.md, Values and Attributes)."""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

from exporter.transcode.native.bson cimport (
    Type, begin, end, literal, position, write_64, write_binary, write_bool, write_null, write_text,
)
from exporter.transcode.native.layout cimport Layout, Step, StepKind, drop_layout, lay_out, name_of, step_of
from exporter.transcode.native.pairs cimport Pair, Pairs, drop_pairs, key_of, pair_of, read_pairs, value_of
from exporter.transcode.native.plain cimport BOOL_VALUE, DOUBLE_VALUE, INT_VALUE, STRING_VALUE, plain_value
from exporter.transcode.native.tree cimport MOST_LEVELS
from exporter.transcode.native.wire cimport (
    LEN, VARINT, Bytes, Field, Message, Occurrences, merged, next_field, next_message, note, rest,
)
from exporter.transcode.native.workspace cimport Error, Workspace

cdef enum:
    LIST_VALUES = 1 << 3 | LEN

    ARRAY_VALUE = 5 << 3 | LEN
    KVLIST_VALUE = 6 << 3 | LEN
    BYTES_VALUE = 7 << 3 | LEN
    STRING_VALUE_STRINDEX = 8 << 3 | VARINT

cdef struct AnyValue:
    uint32_t which  # the tag of the member that is set; 0: none is
    uint64_t bits
    Bytes bytes
    Occurrences occurrences  # of the array or the map

cdef inline bint read_plain_any(Message message, AnyValue *value) noexcept nogil:
    value.which = 0 if message.parts else plain_value(rest(message))
    if value.which == 0:
        return False
    if value.which == STRING_VALUE:
        value.bytes.data = message.at + 2
        value.bytes.size = message.at[1]
    elif value.which == DOUBLE_VALUE:
        memcpy(&value.bits, message.at + 1, 8)
    else:
        value.bits = message.at[1]
    return True


cdef inline void read_any(Workspace *ws, Message message, AnyValue *value) noexcept nogil:
    """The last member set wins; occurrences of an array or a map in a row are one, merged."""
    cdef Field field
    value.which = 0
    value.occurrences.count = 0
    while next_field(ws, &message, &field):
        if field.tag == STRING_VALUE or field.tag == BYTES_VALUE:
            value.bytes = field.bytes
        elif field.tag == BOOL_VALUE or field.tag == INT_VALUE or field.tag == DOUBLE_VALUE:
            value.bits = field.value
        elif field.tag == ARRAY_VALUE or field.tag == KVLIST_VALUE:
            if value.which != field.tag:
                value.occurrences.count = 0
            note(&value.occurrences, &message, &field)
        elif field.tag != STRING_VALUE_STRINDEX:
            continue
        value.which = field.tag


cdef inline void write_any(Workspace *ws, Bytes name, Message message, uint32_t level) noexcept nogil:
    """Write a value as an element. `level`: how deep it stands in the document."""
    cdef AnyValue value
    if not read_plain_any(message, &value):
        read_any(ws, message, &value)
    if value.which == STRING_VALUE:
        write_text(ws, name, value.bytes)
    elif value.which == INT_VALUE:
        write_64(ws, Type.INT64, name, value.bits)
    elif value.which == BOOL_VALUE:
        write_bool(ws, name, value.bits != 0)
    elif value.which == DOUBLE_VALUE:
        write_64(ws, Type.DOUBLE, name, value.bits)
    elif value.which == BYTES_VALUE:
        write_binary(ws, name, value.bytes)
    elif value.which == ARRAY_VALUE:
        write_array(ws, name, &value.occurrences, level)
    elif value.which == KVLIST_VALUE:
        write_map(ws, name, &value.occurrences, level)
    else:
        write_null(ws, name)


cdef inline void write_array(Workspace *ws, Bytes name, Occurrences *arrays, uint32_t level) noexcept nogil:
    cdef uint32_t parts = ws.parts.size
    cdef Occurrences values = members(ws, arrays)
    cdef Message value
    cdef char digits[12]
    cdef uint32_t index = 0
    cdef size_t start = begin(ws, Type.ARRAY, name)
    while next_message(ws, &values, &value):
        write_any(ws, position(digits, index), value, level + 1)
        index += 1
    end(ws, start)
    ws.parts.size = parts


cdef inline void write_map(Workspace *ws, Bytes name, Occurrences *maps, uint32_t level) noexcept nogil:
    cdef uint32_t parts = ws.parts.size
    cdef Occurrences occurrences = members(ws, maps)
    cdef Pairs pairs = read_pairs(ws, &occurrences)
    cdef Layout layout = lay_out(ws, &pairs, level)
    cdef size_t start = begin(ws, Type.DOCUMENT, name)
    write_placed(ws, &pairs, &layout, level)
    write_unplaced(ws, &pairs, &layout, literal(b"attributesUnnested"), level + 1)
    end(ws, start)
    drop_layout(ws, &layout)
    drop_pairs(ws, &pairs)
    ws.parts.size = parts


cdef inline Occurrences members(Workspace *ws, Occurrences *lists) noexcept nogil:
    """The field `values` of an ArrayValue or a KeyValueList."""
    cdef Occurrences values
    cdef Field field
    cdef Message message = merged(ws, lists)
    values.count = 0
    while next_field(ws, &message, &field):
        if field.tag == LIST_VALUES:
            note(&values, &message, &field)
    return values


cdef inline void write_attributes(
    Workspace *ws, Bytes name, Bytes unnested, Occurrences *occurrences, uint32_t level
) noexcept nogil:
    """Write an attribute list as one field and, for keys that cannot be placed, another, both at `level`."""
    cdef uint32_t parts = ws.parts.size
    cdef Pairs pairs
    cdef Layout layout
    cdef size_t start
    if occurrences.count == 0:
        return
    pairs = read_pairs(ws, occurrences)
    layout = lay_out(ws, &pairs, level)
    if layout.placed:
        start = begin(ws, Type.DOCUMENT, name)
        write_placed(ws, &pairs, &layout, level)
        end(ws, start)
    write_unplaced(ws, &pairs, &layout, unnested, level)
    drop_layout(ws, &layout)
    drop_pairs(ws, &pairs)
    ws.parts.size = parts


cdef inline void write_placed(Workspace *ws, Pairs *pairs, Layout *layout, uint32_t level) noexcept nogil:
    """The fields of a sub-document that stands at `level`."""
    cdef size_t starts[MOST_LEVELS]
    cdef uint32_t depth = 0
    cdef uint32_t index
    cdef Step step
    cdef Pair pair
    for index in range(layout.placed):
        if ws.error != Error.FINE:
            return
        step = step_of(ws, layout, index)
        pair = pair_of(ws, pairs, step.pair)[0]
        if step.kind == StepKind.WRITE_VALUE:
            write_any(ws, name_of(ws, &pair, &step), value_of(ws, pairs, &pair), level + depth + 1)
        elif step.kind == StepKind.BEGIN_DOCUMENT:
            starts[depth] = begin(ws, Type.DOCUMENT, name_of(ws, &pair, &step))
            depth += 1
        else:
            depth -= 1
            end(ws, starts[depth])


cdef inline void write_unplaced(
    Workspace *ws, Pairs *pairs, Layout *layout, Bytes name, uint32_t level
) noexcept nogil:
    """`[{k, v}]` for the keys that could not be placed, if there are any, as a field at `level`."""
    cdef char digits[12]
    cdef uint32_t index
    cdef Pair pair
    cdef size_t array, start
    if layout.unplaced == 0 or ws.error != Error.FINE:
        return
    array = begin(ws, Type.ARRAY, name)
    for index in range(layout.unplaced):
        if ws.error != Error.FINE:
            return
        pair = pair_of(ws, pairs, step_of(ws, layout, layout.placed + index).pair)[0]
        start = begin(ws, Type.DOCUMENT, position(digits, index))
        write_text(ws, literal(b"k"), key_of(ws, &pair))
        write_any(ws, literal(b"v"), value_of(ws, pairs, &pair), level + 2)
        end(ws, start)
    end(ws, array)
