"""The elements that end every document: `resource` and `scope`."""

from libc.stdint cimport uint32_t

from exporter.transcode.native.bson cimport Type, begin, end, literal, position, write_text
from exporter.transcode.native.fields cimport end_unless_empty, no_bytes, write_count_unless_0, write_text_unless_empty
from exporter.transcode.native.values cimport write_attributes
from exporter.transcode.native.wire cimport (
    LEN, VARINT, Bytes, Field, Message, Occurrences, merged, next_field, next_message, next_occurrence, note,
)
from exporter.transcode.native.workspace cimport Workspace

cdef enum:
    RESOURCE_ATTRIBUTES = 1 << 3 | LEN
    RESOURCE_DROPPED_ATTRIBUTES_COUNT = 2 << 3 | VARINT
    RESOURCE_ENTITY_REFS = 3 << 3 | LEN

    ENTITY_SCHEMA_URL = 1 << 3 | LEN
    ENTITY_TYPE = 2 << 3 | LEN
    ENTITY_ID_KEYS = 3 << 3 | LEN
    ENTITY_DESCRIPTION_KEYS = 4 << 3 | LEN

    SCOPE_NAME = 1 << 3 | LEN
    SCOPE_VERSION = 2 << 3 | LEN
    SCOPE_ATTRIBUTES = 3 << 3 | LEN
    SCOPE_DROPPED_ATTRIBUTES_COUNT = 4 << 3 | VARINT


cdef inline void write_resource(Workspace *ws, Occurrences *resources, Bytes schema_url) noexcept nogil:
    cdef uint32_t parts = ws.parts.size
    cdef Occurrences attributes, entities
    cdef uint32_t dropped = 0
    cdef Field field
    cdef Message message = merged(ws, resources)
    cdef size_t before = ws.out.size
    cdef size_t start = begin(ws, Type.DOCUMENT, literal(b"resource"))
    attributes.count = entities.count = 0
    while next_field(ws, &message, &field):
        if field.tag == RESOURCE_ATTRIBUTES:
            note(&attributes, &message, &field)
        elif field.tag == RESOURCE_DROPPED_ATTRIBUTES_COUNT:
            dropped = <uint32_t>field.value
        elif field.tag == RESOURCE_ENTITY_REFS:
            note(&entities, &message, &field)
    write_attributes(ws, literal(b"attributes"), literal(b"attributesUnnested"), &attributes, 2)
    write_text_unless_empty(ws, literal(b"schemaUrl"), schema_url)
    write_count_unless_0(ws, literal(b"droppedAttributesCount"), dropped)
    write_entities(ws, &entities)
    end_unless_empty(ws, start, before)
    ws.parts.size = parts


cdef inline void write_entities(Workspace *ws, Occurrences *entities) noexcept nogil:
    cdef Message message
    cdef char digits[12]
    cdef uint32_t index = 0
    cdef size_t array, start
    if entities.count == 0:
        return
    array = begin(ws, Type.ARRAY, literal(b"entityRefs"))
    while next_message(ws, entities, &message):
        start = begin(ws, Type.DOCUMENT, position(digits, index))
        write_entity(ws, message)
        end(ws, start)
        index += 1
    end(ws, array)


cdef inline void write_entity(Workspace *ws, Message message) noexcept nogil:
    cdef Bytes schema_url = no_bytes()
    cdef Bytes type = no_bytes()
    cdef Occurrences id_keys, description_keys
    cdef Field field
    id_keys.count = description_keys.count = 0
    while next_field(ws, &message, &field):
        if field.tag == ENTITY_SCHEMA_URL:
            schema_url = field.bytes
        elif field.tag == ENTITY_TYPE:
            type = field.bytes
        elif field.tag == ENTITY_ID_KEYS:
            note(&id_keys, &message, &field)
        elif field.tag == ENTITY_DESCRIPTION_KEYS:
            note(&description_keys, &message, &field)
    write_text_unless_empty(ws, literal(b"schemaUrl"), schema_url)
    write_text_unless_empty(ws, literal(b"type"), type)
    write_texts(ws, literal(b"idKeys"), &id_keys)
    write_texts(ws, literal(b"descriptionKeys"), &description_keys)


cdef inline void write_texts(Workspace *ws, Bytes name, Occurrences *texts) noexcept nogil:
    cdef Field field
    cdef char digits[12]
    cdef uint32_t index = 0
    cdef size_t array
    if texts.count == 0:
        return
    array = begin(ws, Type.ARRAY, name)
    while next_occurrence(ws, texts, &field):
        write_text(ws, position(digits, index), field.bytes)
        index += 1
    end(ws, array)


cdef inline void write_scope(Workspace *ws, Occurrences *scopes, Bytes schema_url) noexcept nogil:
    cdef uint32_t parts = ws.parts.size
    cdef Bytes name = no_bytes()
    cdef Bytes version = no_bytes()
    cdef Occurrences attributes
    cdef uint32_t dropped = 0
    cdef Field field
    cdef Message message = merged(ws, scopes)
    cdef size_t before = ws.out.size
    cdef size_t start = begin(ws, Type.DOCUMENT, literal(b"scope"))
    attributes.count = 0
    while next_field(ws, &message, &field):
        if field.tag == SCOPE_NAME:
            name = field.bytes
        elif field.tag == SCOPE_VERSION:
            version = field.bytes
        elif field.tag == SCOPE_ATTRIBUTES:
            note(&attributes, &message, &field)
        elif field.tag == SCOPE_DROPPED_ATTRIBUTES_COUNT:
            dropped = <uint32_t>field.value
    write_text_unless_empty(ws, literal(b"name"), name)
    write_text_unless_empty(ws, literal(b"version"), version)
    write_attributes(ws, literal(b"attributes"), literal(b"attributesUnnested"), &attributes, 2)
    write_text_unless_empty(ws, literal(b"schemaUrl"), schema_url)
    write_count_unless_0(ws, literal(b"droppedAttributesCount"), dropped)
    end_unless_empty(ws, start, before)
    ws.parts.size = parts
