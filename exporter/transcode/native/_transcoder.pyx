"""The compiled transcoder: Python's side of it."""

import os
from array import array

from cpython.array cimport array as c_array, clone
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy, memset

from exporter.transcode.native.request cimport Census, Signal, inspect_request, write_request
from exporter.transcode.native.workspace cimport Error, Workspace, footprint, release, reset

from exporter.interfaces import Documents, Inspection, LargerThanAsked
from exporter.transcode.errors import malformed, too_large
from exporter.transcode.limits import MAX_DOCUMENTS_BYTES, UNCOUNTED_BYTES

_SIGNALS = {"traces": Signal.TRACES, "logs": Signal.LOGS, "metrics": Signal.METRICS}
_OFFSETS = array("I")
_KEPT_BYTES = 8 * 1024 * 1024
_LOW_BITS = (1 << 64) - 1
_MOST_LIMIT = (1 << 31) - 1


cdef class _Memory:
    """Owns a workspace's memory."""

    cdef Workspace workspace

    def __cinit__(self, bytes secret):
        memset(&self.workspace, 0, sizeof(Workspace))
        memcpy(self.workspace.secret, PyBytes_AS_STRING(secret), 16)

    def __dealloc__(self):
        release(&self.workspace)


cdef class NativeTranscoder:
    """See `exporter.interfaces.Transcoder`. The GIL is released during the work: several threads may be at it."""

    cdef readonly str name
    cdef size_t _limit
    cdef bytes _secret
    cdef list _idle

    def __init__(self, *, max_documents_bytes=MAX_DOCUMENTS_BYTES):
        if not 0 < max_documents_bytes <= _MOST_LIMIT:
            raise ValueError(f"max_documents_bytes must be between 1 and {_MOST_LIMIT}, not {max_documents_bytes}")
        self.name = "native"
        self._limit = max_documents_bytes
        self._secret = os.urandom(16)
        self._idle = []

    def inspect(self, signal, bytes payload not None, within=None):
        """See `exporter.interfaces.Transcoder`."""
        cdef _Memory memory = self._take()
        cdef Workspace *workspace = &memory.workspace
        cdef const uint8_t *data = <const uint8_t *>PyBytes_AS_STRING(payload)
        cdef size_t size = len(payload)
        cdef size_t limit = self._bound(within)
        cdef Signal which = _SIGNALS[signal.name]
        cdef Census census
        cdef size_t most = self._limit
        cdef size_t uncounted = UNCOUNTED_BYTES
        with nogil:
            reset(workspace, data, limit)
            inspect_request(workspace, which, data, size, &census)
            if workspace.error == Error.FINE and (census.most_bytes > most or size > uncounted):
                workspace.counting = True
                write_request(workspace, which, data, size)
                census.usual_bytes = 2 * workspace.counted
        self._finish(memory, signal, payload, limit)
        return Inspection(census.records, census.first_unix_nano, census.usual_bytes)

    def transcode(self, batch, within=None):
        """See `exporter.interfaces.Transcoder`."""
        cdef _Memory memory = self._take()
        cdef Workspace *workspace = &memory.workspace
        cdef bytes payload = batch.payload
        cdef const uint8_t *data = <const uint8_t *>PyBytes_AS_STRING(payload)
        cdef size_t size = len(payload)
        cdef size_t limit = self._bound(within)
        cdef Signal which = _SIGNALS[batch.signal.name]
        cdef object base_id = batch.base_id
        cdef bytes documents
        cdef c_array offsets
        cdef char *target
        workspace.id_high = base_id >> 64
        workspace.id_low = base_id & _LOW_BITS
        workspace.received_unix_nano = batch.received_unix_nano
        with nogil:
            reset(workspace, data, limit)
            write_request(workspace, which, data, size)
        if workspace.error != Error.FINE:
            self._finish(memory, batch.signal, payload, limit)
        documents = PyBytes_FromStringAndSize(NULL, workspace.out.size)
        target = PyBytes_AS_STRING(documents)
        with nogil:
            if workspace.out.size:
                memcpy(target, workspace.out.data, workspace.out.size)
        offsets = clone(_OFFSETS, workspace.ends.size // sizeof(uint32_t) + 1, False)
        offsets.data.as_uints[0] = 0
        if workspace.ends.size:
            memcpy(&offsets.data.as_uints[1], workspace.ends.data, workspace.ends.size)
        self._finish(memory, batch.signal, payload, limit)
        return Documents(documents, offsets)

    cdef _Memory _take(self):
        return self._idle.pop() if self._idle else _Memory(self._secret)

    cdef size_t _bound(self, object within) except 0:
        """What documents may take now, in bytes."""
        return self._limit if within is None else min(self._limit, max(1, within))

    cdef object _finish(self, _Memory memory, object signal, bytes payload, size_t limit):
        """Keep the memory for the next payload unless it is much, and raise what went wrong."""
        cdef Error error = memory.workspace.error
        if footprint(&memory.workspace) <= _KEPT_BYTES:
            self._idle.append(memory)
        else:
            with nogil:  # hundreds of megabytes take a while to give back
                release(&memory.workspace)
            memset(&memory.workspace, 0, sizeof(Workspace))
        if error == Error.MALFORMED:
            raise malformed(signal, payload)
        if error == Error.TOO_LARGE and limit < self._limit:
            raise LargerThanAsked
        if error == Error.TOO_LARGE:
            raise too_large(signal, self._limit)
        if error == Error.NO_MEMORY:
            raise MemoryError("no memory left to turn a payload into documents")
