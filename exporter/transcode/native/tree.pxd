"""The keys of an attribute list as a tree (docs/documents.md, Attributes): a node for each segment of each key.

In a small list a segment is looked for among its siblings; in a large one a hash table knows where it is, so that the
time stays in proportion to the list.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memset

from exporter.transcode.native.pairs cimport Pair, Pairs, key_of, pair_of
from exporter.transcode.native.wire cimport Bytes
from exporter.transcode.native.workspace cimport Error, Workspace, push

cdef extern from "text.h" nogil:
    unsigned otlp_split_key(const uint8_t *key, size_t size, uint32_t *ends, unsigned most)
    uint64_t otlp_siphash(const uint64_t *secret, uint32_t parent, const uint8_t *at, size_t size)

cdef enum:
    MOST_LEVELS = 64  # that a value may stand below the document
    SMALL = 32  # nodes up to which looking at each sibling is the fastest
    NONE = 0  # as an index of a node: none, for node 0 of a tree is its root
    UNPLACED = 0xFFFFFFFF  # as a parent

cdef struct Node:
    # A field of the sub-document. A nested one has children, a value has none.
    uint32_t pair  # the one whose value it is, or the first of those below it
    uint32_t name  # where in the payload
    uint32_t name_size
    uint32_t parent
    uint32_t next
    uint32_t first_child
    uint32_t last_child

cdef struct Tree:
    # Its nodes are the workspace's, and its hash table the workspace's slots: there is one tree at a time.
    uint32_t fields  # nodes that have a parent
    uint32_t mask  # slots of the table - 1; 0: there is none
    uint32_t first_unplaced
    uint32_t last_unplaced


cdef inline Tree plant(Workspace *ws, Pairs *pairs, uint32_t level) noexcept nogil:
    """The tree of a list, whose root stands at `level`. It is there until the next one."""
    cdef Tree tree
    cdef uint32_t index
    memset(&tree, 0, sizeof(Tree))
    ws.nodes.size = ws.slots.size = 0
    add(ws, 0, 0, 0)
    for index in range(pairs.count):
        if ws.error != Error.FINE:
            break
        place(ws, &tree, pairs, index, level)
    return tree


cdef inline Node *node_of(Workspace *ws, uint32_t index) noexcept nogil:
    """A node; the pointer is good until one is added."""
    return <Node *>ws.nodes.items + index


cdef inline void place(Workspace *ws, Tree *tree, Pairs *pairs, uint32_t index, uint32_t level) noexcept nogil:
    """Give a pair its place in the tree or among those that have none."""
    cdef uint32_t ends[MOST_LEVELS]
    cdef Pair *pair = pair_of(ws, pairs, index)
    cdef Bytes key = key_of(ws, pair)
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
        if node_of(ws, found).first_child == NONE:  # a value
            segment = count
            break
        parent = found
        start = ends[segment] + 1
        segment += 1
    if segment >= count:
        add_unplaced(ws, tree, index)
        return
    while segment < count:
        found = add(ws, index, pair.key + start, ends[segment] - start)
        if found == NONE:
            break
        connect(ws, tree, parent, found)
        parent = found
        start = ends[segment] + 1
        segment += 1


cdef inline uint32_t add(Workspace *ws, uint32_t pair, uint32_t name, uint32_t name_size) noexcept nogil:
    """Add a node that nothing refers to yet. Returns its index; NONE, but for the root: no memory."""
    cdef Node *node = <Node *>push(ws, &ws.nodes, sizeof(Node), 1)
    if node is NULL:
        return NONE
    node.pair = pair
    node.name = name
    node.name_size = name_size
    node.parent = UNPLACED
    node.next = node.first_child = node.last_child = NONE
    return ws.nodes.size - 1


cdef inline void add_unplaced(Workspace *ws, Tree *tree, uint32_t pair) noexcept nogil:
    cdef uint32_t index = add(ws, pair, 0, 0)
    if tree.first_unplaced == NONE:
        tree.first_unplaced = index
    else:
        node_of(ws, tree.last_unplaced).next = index
    tree.last_unplaced = index


cdef inline void connect(Workspace *ws, Tree *tree, uint32_t parent, uint32_t child) noexcept nogil:
    """Make a node the last child of another."""
    cdef Node *above = node_of(ws, parent)
    node_of(ws, child).parent = parent
    if above.first_child == NONE:
        above.first_child = child
    else:
        node_of(ws, above.last_child).next = child
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
    index = node_of(ws, parent).first_child
    while index != NONE:
        node = node_of(ws, index)
        if node.name_size == size and memcmp(ws.payload + node.name, name, size) == 0:
            return index
        index = node.next
    return NONE


cdef inline uint32_t find_in_table(
    Workspace *ws, Tree *tree, uint32_t parent, const uint8_t *name, uint32_t size
) noexcept nogil:
    cdef uint32_t *table = <uint32_t *>ws.slots.items
    cdef uint32_t slot = <uint32_t>otlp_siphash(ws.secret, parent, name, size) & tree.mask
    cdef Node *node
    while table[slot] != NONE:
        node = node_of(ws, table[slot])
        if node.parent == parent and node.name_size == size and memcmp(ws.payload + node.name, name, size) == 0:
            return table[slot]
        slot = (slot + 1) & tree.mask
    return NONE


cdef inline void enter(Workspace *ws, Tree *tree, uint32_t index) noexcept nogil:
    """Put a node into the table, which has free slots."""
    cdef Node *node = node_of(ws, index)
    cdef uint32_t *table = <uint32_t *>ws.slots.items
    cdef uint64_t hashed = otlp_siphash(ws.secret, node.parent, ws.payload + node.name, node.name_size)
    cdef uint32_t slot = <uint32_t>hashed & tree.mask
    while table[slot] != NONE:
        slot = (slot + 1) & tree.mask
    table[slot] = index


cdef inline void build_table(Workspace *ws, Tree *tree) noexcept nogil:
    """A table of at least four slots a field."""
    cdef uint32_t size = 4 * SMALL
    cdef uint32_t index
    cdef void *table
    while size < 4 * tree.fields:
        size *= 2
    ws.slots.size = 0
    table = push(ws, &ws.slots, sizeof(uint32_t), size)
    if table is NULL:
        return
    tree.mask = size - 1
    memset(table, 0, size * sizeof(uint32_t))
    for index in range(1, ws.nodes.size):
        if node_of(ws, index).parent != UNPLACED:
            enter(ws, tree, index)
