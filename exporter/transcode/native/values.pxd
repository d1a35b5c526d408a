"""AnyValue and attribute lists (docs/documents.md, Attributes).

An attribute list becomes a tree first: a node for each segment of each key, values as stretches of the payload, looked at
when they are written. In a small list a segment is looked for among its siblings; in a large one a hash table knows
where it is, so that the time stays in proportion to the list.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memset

from exporter.transcode.native.bson cimport (
    Type, begin, end, literal, position, write_64, write_binary, write_bool, write_null, write_text,
)
from exporter.transcode.native.wire cimport (
    I64, LEN, VARINT, Bytes, Field, Message, Occurrences, merged, next_field, next_message, note, whole,
)
from exporter.transcode.native.workspace cimport Error, Node, Workspace, push_node, resize_slots

cdef extern from "text.h" nogil:
    unsigned otlp_split_key(const uint8_t *key, size_t size, uint32_t *ends, unsigned most)
    uint64_t otlp_siphash(const uint64_t *secret, uint32_t parent, const uint8_t *at, size_t size)

cdef enum:
    MOST_LEVELS = 64  # that a value may stand below the document
    SMALL = 32  # nodes up to which looking at each sibling is the fastest
    NONE = 0  # as an index of a node: none, for node 0 of a tree is its root
    UNPLACED = 0xFFFFFFFF  # as a parent

    KEY = 1 << 3 | LEN
    VALUE = 2 << 3 | LEN
    LIST_VALUES = 1 << 3 | LEN

    STRING_VALUE = 1 << 3 | LEN
    BOOL_VALUE = 2 << 3 | VARINT
    INT_VALUE = 3 << 3 | VARINT
    DOUBLE_VALUE = 4 << 3 | I64
    ARRAY_VALUE = 5 << 3 | LEN
    KVLIST_VALUE = 6 << 3 | LEN
    BYTES_VALUE = 7 << 3 | LEN
    STRING_VALUE_STRINDEX = 8 << 3 | VARINT

cdef struct AnyValue:
    uint32_t which  # the tag of the member that is set; 0: none is
    uint64_t bits
    Bytes bytes
    Occurrences occurrences  # of the array or the map

cdef struct Tree:
    uint32_t root  # index of its first node in the workspace; all node indexes are relative to it
    uint32_t size  # nodes, the root and the unplaced ones too
    uint32_t fields  # nodes that have a parent
    uint32_t slots  # index of its hash table in the workspace
    uint32_t mask  # slots of the table - 1; 0: there is none
    uint32_t first_unplaced
    uint32_t last_unplaced
    uint32_t value_depth  # messages around each value


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
    cdef Occurrences pairs = members(ws, maps)
    cdef size_t start = begin(ws, Type.DOCUMENT, name)
    cdef Tree tree = plant(ws, &pairs, level)
    write_children(ws, &tree, 0, level)
    write_unplaced(ws, &tree, literal(b"attributesUnnested"), level + 1)
    fell(ws, &tree)
    end(ws, start)
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
    Workspace *ws, Bytes name, Bytes unnested, Occurrences *pairs, uint32_t level
) noexcept nogil:
    """Write an attribute list as one field and, for keys that cannot be placed, another, both at `level`."""
    cdef Tree tree
    cdef uint32_t parts
    cdef size_t start
    if pairs.count == 0:
        return
    parts = ws.parts.size
    tree = plant(ws, pairs, level)
    if ws.error == Error.FINE and ws.nodes.items[tree.root].first_child != NONE:
        start = begin(ws, Type.DOCUMENT, name)
        write_children(ws, &tree, 0, level)
        end(ws, start)
    write_unplaced(ws, &tree, unnested, level)
    fell(ws, &tree)
    ws.parts.size = parts


cdef inline Tree plant(Workspace *ws, Occurrences *pairs, uint32_t level) noexcept nogil:
    """The tree of a list of KeyValue, whose root stands at `level`. Its memory is used until `fell`."""
    cdef Tree tree
    cdef Occurrences left = pairs[0]
    cdef Message pair
    cdef Node *leaf
    memset(&tree, 0, sizeof(Tree))
    tree.root = ws.nodes.size
    tree.slots = ws.slots.size
    tree.value_depth = left.first.depth + 2
    add(ws, &tree, 0, 0)
    while next_message(ws, &left, &pair):
        leaf = add(ws, &tree, 0, 0)
        if leaf is NULL:
            break
        read_pair(ws, pair, leaf)
        place(ws, &tree, tree.size - 1, level)
    return tree


cdef inline void fell(Workspace *ws, Tree *tree) noexcept nogil:
    ws.nodes.size = tree.root
    ws.slots.size = tree.slots


cdef inline Node *node_of(Workspace *ws, Tree *tree, uint32_t index) noexcept nogil:
    """A node; the pointer is good until one is added."""
    return &ws.nodes.items[tree.root + index]


cdef inline void read_pair(Workspace *ws, Message pair, Node *node) noexcept nogil:
    """Set a node's name, to the whole key, and its value."""
    cdef Occurrences values
    cdef Message value
    cdef Field field
    values.count = 0
    while next_field(ws, &pair, &field):
        if field.tag == KEY:
            node.name = <uint32_t>(field.bytes.data - ws.payload)
            node.name_size = <uint32_t>field.bytes.size
        elif field.tag == VALUE:
            note(&values, &pair, &field)
    if values.count:
        value = merged(ws, &values)
        node.value = <uint32_t>(value.at - ws.payload)
        node.value_size = <uint32_t>(value.end - value.at)
        node.part = value.part
        node.parts = value.parts


cdef inline Message value_of(Workspace *ws, Tree *tree, Node *node) noexcept nogil:
    cdef Message value = whole(ws.payload + node.value, node.value_size, tree.value_depth)
    value.part = node.part
    value.parts = node.parts
    return value


cdef inline Bytes name_of(Workspace *ws, Node *node) noexcept nogil:
    cdef Bytes name
    name.data = ws.payload + node.name
    name.size = node.name_size
    return name


cdef inline void place(Workspace *ws, Tree *tree, uint32_t leaf, uint32_t level) noexcept nogil:
    """Give a node, whose name is the whole key, its place in the tree or among those that have none."""
    cdef uint32_t ends[MOST_LEVELS]
    cdef Bytes key = name_of(ws, node_of(ws, tree, leaf))
    cdef uint32_t offset = node_of(ws, tree, leaf).name
    cdef uint32_t room = MOST_LEVELS - level if level < MOST_LEVELS else 0
    cdef uint32_t count = otlp_split_key(key.data, key.size, ends, room)
    cdef uint32_t segment = 0
    cdef uint32_t start = 0
    cdef uint32_t parent = 0
    cdef uint32_t found
    while segment < count:
        found = find(ws, tree, parent, key.data + start, ends[segment] - start)
        if found == NONE:
            break
        if node_of(ws, tree, found).first_child == NONE:  # a value
            segment = count
            break
        parent = found
        start = ends[segment] + 1
        segment += 1
    if segment >= count:
        add_unplaced(ws, tree, leaf)
        return
    while segment + 1 < count and add(ws, tree, offset + start, ends[segment] - start) is not NULL:
        connect(ws, tree, parent, tree.size - 1)
        parent = tree.size - 1
        start = ends[segment] + 1
        segment += 1
    node_of(ws, tree, leaf).name = offset + start
    node_of(ws, tree, leaf).name_size = ends[segment] - start
    connect(ws, tree, parent, leaf)


cdef inline Node *add(Workspace *ws, Tree *tree, uint32_t name, uint32_t name_size) noexcept nogil:
    """Add a node that nothing refers to yet; its index is the tree's last. NULL: no memory."""
    cdef Node *node = push_node(ws)
    if node is not NULL:
        tree.size += 1
        node.name = name
        node.name_size = name_size
        node.parent = UNPLACED
        node.next = node.first_child = node.last_child = NONE
        node.value = node.value_size = node.part = node.parts = 0
    return node


cdef inline void add_unplaced(Workspace *ws, Tree *tree, uint32_t leaf) noexcept nogil:
    if tree.first_unplaced == NONE:
        tree.first_unplaced = leaf
    else:
        node_of(ws, tree, tree.last_unplaced).next = leaf
    tree.last_unplaced = leaf


cdef inline void connect(Workspace *ws, Tree *tree, uint32_t parent, uint32_t child) noexcept nogil:
    """Make a node the last child of another."""
    cdef Node *above = node_of(ws, tree, parent)
    node_of(ws, tree, child).parent = parent
    if above.first_child == NONE:
        above.first_child = child
    else:
        node_of(ws, tree, above.last_child).next = child
    above.last_child = child
    tree.fields += 1
    if tree.fields > SMALL:
        if tree.fields > tree.mask // 2:
            build_table(ws, tree)
        else:
            enter(ws, tree, child)


cdef inline uint32_t find(
    Workspace *ws, Tree *tree, uint32_t parent, const uint8_t *name, uint32_t size
) noexcept nogil:
    """The child of that name; NONE."""
    cdef uint32_t index
    cdef Node *node
    if tree.fields > SMALL:
        return find_in_table(ws, tree, parent, name, size)
    index = node_of(ws, tree, parent).first_child
    while index != NONE:
        node = node_of(ws, tree, index)
        if node.name_size == size and memcmp(ws.payload + node.name, name, size) == 0:
            return index
        index = node.next
    return NONE


cdef inline uint32_t find_in_table(
    Workspace *ws, Tree *tree, uint32_t parent, const uint8_t *name, uint32_t size
) noexcept nogil:
    cdef uint32_t *table = ws.slots.items + tree.slots
    cdef uint32_t slot = <uint32_t>otlp_siphash(ws.secret, parent, name, size) & tree.mask
    cdef Node *node
    while table[slot] != NONE:
        node = node_of(ws, tree, table[slot])
        if node.parent == parent and node.name_size == size and memcmp(ws.payload + node.name, name, size) == 0:
            return table[slot]
        slot = (slot + 1) & tree.mask
    return NONE


cdef inline void enter(Workspace *ws, Tree *tree, uint32_t index) noexcept nogil:
    """Put a node into the table, which has free slots."""
    cdef Node *node = node_of(ws, tree, index)
    cdef uint32_t *table = ws.slots.items + tree.slots
    cdef uint64_t hashed = otlp_siphash(ws.secret, node.parent, ws.payload + node.name, node.name_size)
    cdef uint32_t slot = <uint32_t>hashed & tree.mask
    while table[slot] != NONE:
        slot = (slot + 1) & tree.mask
    table[slot] = index


cdef inline void build_table(Workspace *ws, Tree *tree) noexcept nogil:
    """A table of at least four slots a field, at the top of the workspace's slots."""
    cdef uint32_t size = 4 * SMALL
    cdef uint32_t index
    while size < 4 * tree.fields:
        size *= 2
    if not resize_slots(ws, <size_t>tree.slots + size):
        return
    tree.mask = size - 1
    memset(ws.slots.items + tree.slots, 0, size * sizeof(uint32_t))
    for index in range(1, tree.size):
        if node_of(ws, tree, index).parent != UNPLACED:
            enter(ws, tree, index)


cdef inline void write_children(Workspace *ws, Tree *tree, uint32_t parent, uint32_t level) noexcept nogil:
    """The fields below a node that stands at `level`."""
    cdef uint32_t index
    cdef Node node
    cdef size_t start
    if ws.error != Error.FINE:
        return
    index = node_of(ws, tree, parent).first_child
    while index != NONE and ws.error == Error.FINE:
        node = node_of(ws, tree, index)[0]
        if node.first_child == NONE:
            write_any(ws, name_of(ws, &node), value_of(ws, tree, &node), level + 1)
        else:
            start = begin(ws, Type.DOCUMENT, name_of(ws, &node))
            write_children(ws, tree, index, level + 1)
            end(ws, start)
        index = node.next


cdef inline void write_unplaced(Workspace *ws, Tree *tree, Bytes name, uint32_t level) noexcept nogil:
    """`[{k, v}]` for the keys that could not be placed, if there are any, as a field at `level`."""
    cdef uint32_t left = tree.first_unplaced
    cdef uint32_t index = 0
    cdef Node node
    cdef size_t array, pair
    cdef char digits[12]
    if left == NONE or ws.error != Error.FINE:
        return
    array = begin(ws, Type.ARRAY, name)
    while left != NONE and ws.error == Error.FINE:
        node = node_of(ws, tree, left)[0]
        pair = begin(ws, Type.DOCUMENT, position(digits, index))
        write_text(ws, literal(b"k"), name_of(ws, &node))
        write_any(ws, literal(b"v"), value_of(ws, tree, &node), level + 2)
        end(ws, pair)
        left = node.next
        index += 1
    end(ws, array)
