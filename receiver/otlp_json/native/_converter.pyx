"""The compiled converter: Python's side of it."""

from cpython.bytes cimport PyBytes_AS_STRING
from cpython.object cimport PyObject
from cpython.ref cimport Py_XDECREF
from libc.stdint cimport uint8_t, uint32_t

from receiver.otlp_json.native.messages cimport write_document
from receiver.otlp_json.native.schema cimport FieldType, Key, MessageType, Schema
from receiver.otlp_json.native.state cimport Error, State, begin

from receiver.otlp_json.tables import Tables
from receiver.otlp_json.wrong import Refused

cdef extern from "Python.h":
    PyObject *PyBytes_FromStringAndSize(const char *data, Py_ssize_t size) except NULL
    int _PyBytes_Resize(PyObject **text, Py_ssize_t size) except -1
    char *data_of "PyBytes_AS_STRING" (PyObject *text)

_SPARE_BYTES = 64


cdef class NativeConverter:
    """Converts documents of one message type. The GIL is released during the work: several threads may be at it."""

    cdef Schema _schema
    cdef object _tables
    cdef object _names

    def __cinit__(self, tables: Tables):
        self._tables = tables  # keeps the memory
        self._names = tables.names
        self._schema.messages = <const MessageType *>PyBytes_AS_STRING(tables.messages)
        self._schema.fields = <const FieldType *>PyBytes_AS_STRING(tables.fields)
        self._schema.keys = <const Key *>PyBytes_AS_STRING(tables.keys)
        self._schema.text = <const uint8_t *>PyBytes_AS_STRING(tables.text)

    def convert(self, bytes body not None):
        """The protobuf form of a JSON document.

        Raises:
            Refused: it is not taken.
        """
        cdef State state
        cdef size_t capacity = len(body) + _SPARE_BYTES
        cdef PyObject *output
        while True:
            # Memory that is not written to is not used; the few documents that grow are converted anew.
            output = PyBytes_FromStringAndSize(NULL, capacity)
            begin(&state, &self._schema, <const uint8_t *>PyBytes_AS_STRING(body), len(body))
            state.out = <uint8_t *>data_of(output)
            state.capacity = capacity
            with nogil:
                write_document(&state)
            if state.error == Error.FINE:
                break
            Py_XDECREF(output)
            if state.error == Error.REFUSED:
                raise self._refused(&state)
            capacity *= 4
        _PyBytes_Resize(&output, state.size)
        try:
            return <object>output
        finally:
            Py_XDECREF(output)

    cdef object _refused(self, State *state):
        cdef uint32_t i
        path = []
        for i in range(state.steps):
            step = state.path[i].number
            path.append(step if state.path[i].is_position else self._names[step])
        return Refused(state.refused_at, path[::-1])
