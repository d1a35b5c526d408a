"""The writer of `writer.py`, compiled: parsed JSON to Protocol Buffers in one growing buffer.

It writes what is right and stops at all else with Wrong, without a place: the caller then asks the reference, which
judges and words it. Values that are written in an uncommon way go through the reference's encoders one by one.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_Next
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memmove

from receiver.otlp_json.scalars import encoder, varint
from receiver.otlp_json.schema import LENGTH, Kind
from receiver.otlp_json.writer import MAX_DEPTH
from receiver.otlp_json.wrong import Wrong

cdef extern from "Python.h":
    PyObject* PyDict_GetItemWithError(object mapping, object key) except? NULL
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL
    int64_t PyLong_AsLongLongAndOverflow(object number, int* overflow) except? -1

cdef enum:
    MESSAGE, STRING, ID, BOOL, DOUBLE, INTEGER, FIXED, OTHER

cdef dict _KINDS = {
    Kind.MESSAGE: MESSAGE, Kind.STRING: STRING, Kind.ID: ID, Kind.BOOL: BOOL, Kind.DOUBLE: DOUBLE,
    Kind.INTEGER: INTEGER, Kind.ENUM: INTEGER, Kind.FIXED: FIXED,
}
cdef int _MAX_DEPTH = MAX_DEPTH
cdef int _MOST_DIGITS = 19  # they fit 64 bits whatever they are


cdef class Buffer:
    cdef uint8_t* data
    cdef size_t size
    cdef size_t capacity

    def __dealloc__(self):
        free(self.data)

    cdef inline int reserve(self, size_t more) except -1:
        if self.capacity - self.size < more:
            self._grow(more)
        return 0

    cdef int _grow(self, size_t more) except -1:
        cdef size_t capacity = self.capacity * 2 if self.capacity > more else self.capacity + more + 4096
        cdef void* data = realloc(self.data, capacity)
        if data == NULL:
            raise MemoryError
        self.data, self.capacity = <uint8_t*> data, capacity
        return 0

    cdef inline int write(self, const void* source, size_t size) except -1:
        self.reserve(size)
        if size:
            memcpy(self.data + self.size, source, size)
            self.size += size
        return 0

    cdef inline int varint(self, uint64_t number) except -1:
        self.reserve(10)
        while number > 0x7F:
            self.data[self.size] = <uint8_t> (number & 0x7F) | 0x80
            self.size += 1
            number >>= 7
        self.data[self.size] = <uint8_t> number
        self.size += 1
        return 0

    cdef inline int little_endian(self, uint64_t bits, int size) except -1:
        cdef int index
        self.reserve(size)
        for index in range(size):
            self.data[self.size + index] = <uint8_t> (bits >> (8 * index))
        self.size += size
        return 0

    cdef int delimit(self, size_t start) except -1:
        """Put the length of what was written from `start + 1` on, where one byte was left for it."""
        cdef size_t length = self.size - start - 1
        cdef size_t rest = length >> 7, at = start
        cdef int extra = 0
        while rest:
            extra += 1
            rest >>= 7
        if extra:
            self.reserve(extra)
            memmove(self.data + start + 1 + extra, self.data + start + 1, length)
            self.size += extra
        while length > 0x7F:
            self.data[at] = <uint8_t> (length & 0x7F) | 0x80
            at += 1
            length >>= 7
        self.data[at] = <uint8_t> length
        return 0


cdef class FieldWriter:
    cdef bytes tag
    cdef str name
    cdef int kind
    cdef int width
    cdef bint is_alias, is_delimited, repeated, packed, presence
    cdef int64_t low
    cdef uint64_t high
    cdef uint64_t oneof_bit
    cdef MessageWriter message
    cdef object encode

    cdef int write(self, Buffer out, object value, int depth) except -1:
        cdef Py_ssize_t index
        cdef size_t before, start
        if not self.repeated:
            return self.one(out, value, depth, self.presence)
        if type(value) is not list:
            raise Wrong("an array", value)
        if not self.packed:
            for index in range(PyList_GET_SIZE(value)):
                self.one(out, <object> PyList_GET_ITEM(value, index), depth, True)
            return 0
        before = out.size
        out.write(PyBytes_AS_STRING(self.tag), PyBytes_GET_SIZE(self.tag))
        start = out.size
        out.varint(0)
        for index in range(PyList_GET_SIZE(value)):
            self.scalar(out, <object> PyList_GET_ITEM(value, index))
        if out.size == start + 1:
            out.size = before
            return 0
        return out.delimit(start)

    cdef inline int one(self, Buffer out, object value, int depth, bint presence) except -1:
        """A value with its tag; nothing if it is the default and need not be told from none."""
        cdef size_t before = out.size, start
        out.write(PyBytes_AS_STRING(self.tag), PyBytes_GET_SIZE(self.tag))
        start = out.size
        if self.kind == MESSAGE:
            out.varint(0)
            self.message.write(out, value, depth + 1)
            return out.delimit(start)
        self.scalar(out, value)
        if out.size == start or (not presence and self._is_default(out, start)):
            out.size = before
        return 0

    cdef bint _is_default(self, Buffer out, size_t start):
        """Of zeros only; an empty string is a length of 0."""
        if self.is_delimited:
            return out.data[start] == 0
        while start < out.size:
            if out.data[start]:
                return False
            start += 1
        return True

    cdef int scalar(self, Buffer out, object value) except -1:
        cdef const char* text
        cdef Py_ssize_t size = 0
        cdef double number
        cdef uint64_t bits
        if self.kind == STRING and type(value) is str:
            text = PyUnicode_AsUTF8AndSize(value, &size)
            out.varint(size)
            return out.write(text, size)
        if self.kind == INTEGER and self.integer(value, &bits):
            return out.varint(bits)
        if self.kind == FIXED and self.integer(value, &bits):
            return out.little_endian(bits, self.width)
        if self.kind == DOUBLE and type(value) is float:
            number = value
            memcpy(&bits, &number, 8)
            return out.little_endian(bits, 8)
        if self.kind == BOOL and type(value) is bool:
            return out.varint(value is True)
        if self.kind == ID and type(value) is str:
            return self.id(out, value)
        return self.uncommon(out, value)

    cdef int uncommon(self, Buffer out, object value) except -1:
        cdef bytes body = self.encode(value)
        if body is None:
            return 0
        if self.is_delimited:
            out.varint(PyBytes_GET_SIZE(body))
        return out.write(PyBytes_AS_STRING(body), PyBytes_GET_SIZE(body))

    cdef bint integer(self, object value, uint64_t* bits) except -1:
        """Whether it is one in the common way of writing and in range."""
        cdef const char* text
        cdef Py_ssize_t size = 0, index
        cdef int overflow = 0
        cdef int64_t number
        if type(value) is int:
            number = PyLong_AsLongLongAndOverflow(value, &overflow)
            bits[0] = <uint64_t> number
            return not overflow and (self.low <= number if number < 0 else <uint64_t> number <= self.high)
        if type(value) is not str:
            return False
        text = PyUnicode_AsUTF8AndSize(value, &size)
        if not 0 < size <= _MOST_DIGITS:
            return False
        bits[0] = 0
        for index in range(size):
            if not c"0" <= text[index] <= c"9":
                return False
            bits[0] = bits[0] * 10 + <uint64_t> (text[index] - c"0")
        return bits[0] <= self.high

    cdef int id(self, Buffer out, object value) except -1:
        cdef const char* text
        cdef Py_ssize_t size = 0, index
        cdef int high, low
        text = PyUnicode_AsUTF8AndSize(value, &size)
        if size & 1:
            raise Wrong("hexadecimal digits, two for each byte", value)
        out.varint(size >> 1)
        out.reserve(size >> 1)
        for index in range(0, size, 2):
            high, low = _digit(text[index]), _digit(text[index + 1])
            if high < 0 or low < 0:
                raise Wrong("hexadecimal digits, two for each byte", value)
            out.data[out.size] = <uint8_t> (high << 4 | low)
            out.size += 1
        return 0


cdef inline int _digit(char letter) noexcept nogil:
    if c"0" <= letter <= c"9":
        return letter - c"0"
    if c"a" <= letter <= c"f":
        return letter - c"a" + 10
    return letter - c"A" + 10 if c"A" <= letter <= c"F" else -1


cdef class MessageWriter:
    cdef dict fields

    cdef int write(self, Buffer out, object document, int depth) except -1:
        cdef Py_ssize_t position = 0
        cdef PyObject* key
        cdef PyObject* value
        cdef PyObject* found
        cdef FieldWriter field
        cdef uint64_t oneofs = 0
        if type(document) is not dict or depth > _MAX_DEPTH:
            raise Wrong("an object, nested not too deep", document)
        while PyDict_Next(document, &position, &key, &value):
            found = PyDict_GetItemWithError(self.fields, <object> key)
            if found == NULL or <object> value is None:
                continue
            field = <FieldWriter> found
            if oneofs & field.oneof_bit or (field.is_alias and document.get(field.name) is not None):
                raise Wrong("absent, where another field excludes it", <object> value)
            oneofs |= field.oneof_bit
            field.write(out, <object> value, depth)
        return 0


def compile_writer(message):
    """As the reference's."""
    cdef MessageWriter writer = _message(message, {})

    def write(document, int depth):
        cdef Buffer out = Buffer()
        writer.write(out, document, depth)
        return PyBytes_FromStringAndSize(<char*> out.data, out.size)

    return write


cdef MessageWriter _message(object message, dict known):
    cdef MessageWriter writer = known.get(message)
    if writer is None:
        writer = known[message] = MessageWriter()
        writer.fields = {}
        oneofs = sorted({field.oneof for field in message.fields if field.oneof})
        for field in message.fields:
            oneof_bit = 1 << oneofs.index(field.oneof) if field.oneof else 0
            writer.fields[field.original_name] = _field(field, field.original_name != field.name, oneof_bit, known)
            writer.fields[field.name] = _field(field, False, oneof_bit, known)
    return writer


cdef FieldWriter _field(object field, bint is_alias, uint64_t oneof_bit, dict known):
    cdef FieldWriter writer = FieldWriter()
    writer.tag = varint(field.number << 3 | (LENGTH if field.packed else field.wire_type))
    writer.name = field.name
    writer.kind = _KINDS.get(field.kind, OTHER)
    writer.width = 4 if field.wire_type == 5 else 8
    writer.is_alias = is_alias
    writer.is_delimited = field.wire_type == LENGTH
    writer.repeated, writer.packed, writer.presence = field.repeated, field.packed, field.presence
    writer.low, writer.high = field.integers.low, field.integers.high
    writer.oneof_bit = oneof_bit
    if field.message is None:
        writer.encode = encoder(field)
    else:
        writer.message = _message(field.message, known)
    return writer
