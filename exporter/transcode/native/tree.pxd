"""Attribute lists as trees (docs/documents.md, Attributes): a node for each segment of each key.

Values are stretches of the payload, looked at when they are written. In a small list a segment is looked for among its
siblings; in a large one a hash table knows where it is, so that the time stays in proportion to the list.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memset

from exporter.transcode.native.wire cimport (
    LEN, Bytes, Field, Message, Occurrences, merged, next_field, next_message, note, whole,
)
from exporter.transcode.native.workspace cimport Node, Workspace, push_node, resize_slots

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

cdef struct Tree:
    uint32_t root  # index of its first node in the workspace; all node indexes are relative to it
    uint32_t size  # nodes, the root and the unplaced ones too
    uint32_t fields  # nodes that have a parent
    uint32_t slots  # index of its hash table in the workspace
    uint32_t mask  # slots of the table - 1; 0: there is none
    uint32_t first_unplaced
    uint32_t last_unplaced
    uint32_t value_depth  # messages around each value


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
