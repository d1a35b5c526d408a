"""Where the values of an attribute list go: steps that write its sub-document, whatever the values are.

The steps follow from the keys alone (`tree`), and in telemetry the same lists of keys come again and again. So layouts
that came twice are kept: an attribute list with known keys is looked up and compared instead of being worked out.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc
from libc.string cimport memcmp, memcpy

from exporter.transcode.native.pairs cimport Pair, Pairs, key_of, pair_of
from exporter.transcode.native.tree cimport NONE, Node, Tree, node_of, plant
from exporter.transcode.native.wire cimport Bytes
from exporter.transcode.native.workspace cimport Error, Workspace, push

cdef enum:
    KEPT = 64  # layouts
    PLACES = 4  # in which one may stand
    # What is larger is not kept.
    MOST_PAIRS = 32
    MOST_STEPS = 96
    MOST_KEYS_SIZE = 1024

cdef enum StepKind:
    WRITE_VALUE
    BEGIN_DOCUMENT
    END_DOCUMENT

cdef struct Step:
    StepKind kind
    uint32_t pair  # whose value it is, and whose key has the name
    uint32_t name  # where in the key
    uint32_t name_size

cdef struct Layout:
    uint32_t first  # index of its first step in the workspace
    uint32_t placed  # steps that write the sub-document
    uint32_t unplaced  # steps behind them, for the values that have no place in it

cdef struct KeptLayout:
    uint64_t hashed  # 0: none
    uint32_t level
    uint32_t pairs
    uint32_t placed
    uint32_t unplaced
    uint32_t key_sizes[MOST_PAIRS]
    Step steps[MOST_STEPS]
    uint8_t keys[MOST_KEYS_SIZE]

cdef struct Layouts:
    uint64_t seen[KEPT]  # hashes of layouts that came once, or long ago
    KeptLayout kept[KEPT]


cdef inline Layout lay_out(Workspace *ws, Pairs *pairs, uint32_t level) noexcept nogil:
    """Push the steps for a list whose sub-document stands at `level`."""
    cdef Layout layout
    cdef Tree tree
    cdef uint64_t hashed = (pairs.keys_hash ^ level << 16 ^ pairs.count) | 1
    cdef KeptLayout *kept
    layout.first = ws.steps.size
    layout.placed = layout.unplaced = 0
    if pairs.count == 0:
        return layout
    kept = find_kept(ws, pairs, level, hashed)
    if kept is not NULL:
        layout.placed = kept.placed
        layout.unplaced = kept.unplaced
        push_steps(ws, kept.steps, kept.placed + kept.unplaced)
        return layout
    tree = plant(ws, pairs, level)
    push_placed(ws, pairs, node_of(ws, 0).first_child if ws.error == Error.FINE else <uint32_t>NONE)
    layout.placed = ws.steps.size - layout.first
    push_unplaced(ws, pairs, tree.first_unplaced)
    layout.unplaced = ws.steps.size - layout.first - layout.placed
    if ws.error == Error.FINE:
        keep(ws, pairs, level, hashed, &layout)
    return layout


cdef inline void drop_layout(Workspace *ws, Layout *layout) noexcept nogil:
    ws.steps.size = layout.first


cdef inline Step step_of(Workspace *ws, Layout *layout, uint32_t index) noexcept nogil:
    return (<Step *>ws.steps.items)[layout.first + index]


cdef inline Bytes name_of(Workspace *ws, Pair *pair, Step *step) noexcept nogil:
    cdef Bytes name
    name.data = ws.payload + pair.key + step.name
    name.size = step.name_size
    return name


cdef inline void push_steps(Workspace *ws, const Step *steps, uint32_t count) noexcept nogil:
    cdef Step *pushed = <Step *>push(ws, &ws.steps, sizeof(Step), count)
    if pushed is not NULL:
        memcpy(pushed, steps, count * sizeof(Step))


cdef inline void push_step(Workspace *ws, Pairs *pairs, StepKind kind, Node *node) noexcept nogil:
    cdef Step step
    step.kind = kind
    step.pair = node.pair
    step.name = node.name - pair_of(ws, pairs, node.pair).key
    step.name_size = node.name_size
    push_steps(ws, &step, 1)


cdef inline void push_placed(Workspace *ws, Pairs *pairs, uint32_t index) noexcept nogil:
    """Push the steps for a field of the root, all that follow it, and all below them."""
    cdef Node *node
    while index != NONE:
        node = node_of(ws, index)
        if node.first_child != NONE:
            push_step(ws, pairs, StepKind.BEGIN_DOCUMENT, node)
            index = node.first_child
            continue
        push_step(ws, pairs, StepKind.WRITE_VALUE, node)
        while node.next == NONE and node.parent != 0:
            node = node_of(ws, node.parent)
            push_step(ws, pairs, StepKind.END_DOCUMENT, node)
        index = node.next


cdef inline void push_unplaced(Workspace *ws, Pairs *pairs, uint32_t index) noexcept nogil:
    while index != NONE and ws.error == Error.FINE:
        push_step(ws, pairs, StepKind.WRITE_VALUE, node_of(ws, index))
        index = node_of(ws, index).next


cdef inline KeptLayout *find_kept(Workspace *ws, Pairs *pairs, uint32_t level, uint64_t hashed) noexcept nogil:
    """The layout that is kept for such keys; NULL."""
    cdef Layouts *layouts = <Layouts *>ws.layouts
    cdef KeptLayout *kept
    cdef uint32_t place
    if layouts is NULL:
        return NULL
    for place in range(<uint32_t>PLACES):
        kept = &layouts.kept[place_of(hashed, place)]
        if kept.hashed == hashed and is_same(ws, kept, pairs, level):
            return kept
    return NULL


cdef inline bint is_same(Workspace *ws, KeptLayout *kept, Pairs *pairs, uint32_t level) noexcept nogil:
    cdef const uint8_t *key = kept.keys
    cdef Pair *pair
    cdef uint32_t index
    if kept.level != level or kept.pairs != pairs.count:
        return False
    for index in range(pairs.count):
        pair = pair_of(ws, pairs, index)
        if pair.key_size != kept.key_sizes[index] or memcmp(ws.payload + pair.key, key, pair.key_size) != 0:
            return False
        key += pair.key_size
    return True


cdef inline void keep(Workspace *ws, Pairs *pairs, uint32_t level, uint64_t hashed, Layout *layout) noexcept nogil:
    """Keep a layout that comes for the second time and is small enough, instead of another one if need be.

    What comes only once, as lists with made-up keys do, is not worth the copy.
    """
    cdef Layouts *layouts = <Layouts *>ws.layouts
    cdef KeptLayout *kept
    cdef uint64_t *seen
    cdef uint8_t *key
    cdef Bytes bytes
    cdef uint32_t index
    if layouts is NULL:
        layouts = <Layouts *>calloc(1, sizeof(Layouts))
        if layouts is NULL:
            return
        ws.layouts = layouts
    seen = &layouts.seen[place_of(hashed, 0)]
    if seen[0] != hashed:
        seen[0] = hashed
        return
    if pairs.count > MOST_PAIRS or layout.placed + layout.unplaced > MOST_STEPS or keys_size(ws, pairs) > MOST_KEYS_SIZE:
        return
    kept = choose_place(layouts, hashed)
    kept.hashed = hashed
    kept.level = level
    kept.pairs = pairs.count
    kept.placed = layout.placed
    kept.unplaced = layout.unplaced
    memcpy(kept.steps, <Step *>ws.steps.items + layout.first, (layout.placed + layout.unplaced) * sizeof(Step))
    key = kept.keys
    for index in range(pairs.count):
        bytes = key_of(ws, pair_of(ws, pairs, index))
        kept.key_sizes[index] = <uint32_t>bytes.size
        memcpy(key, bytes.data, bytes.size)
        key += bytes.size


cdef inline size_t keys_size(Workspace *ws, Pairs *pairs) noexcept nogil:
    cdef size_t size = 0
    cdef uint32_t index
    for index in range(pairs.count):
        size += pair_of(ws, pairs, index).key_size
    return size


cdef inline uint32_t place_of(uint64_t hashed, uint64_t place) noexcept nogil:
    """The index of one of the places of a layout."""
    return <uint32_t>(((hashed >> 16) + place % PLACES) % KEPT)


cdef inline KeptLayout *choose_place(Layouts *layouts, uint64_t hashed) noexcept nogil:
    """The first free place of those it may stand in, or one of them that its hash chooses."""
    cdef KeptLayout *kept
    cdef uint32_t place
    for place in range(<uint32_t>PLACES):
        kept = &layouts.kept[place_of(hashed, place)]
        if kept.hashed == 0:
            return kept
    return &layouts.kept[place_of(hashed, hashed >> 48)]
