"""The transcoder: from payloads to documents, by the walk of their signal."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

import bson
from bson import Binary
from bson.binary import UUID_SUBTYPE
from google.protobuf.message import DecodeError

from exporter.batch import Batch
from exporter.interfaces import Documents, Inspection, LargerThanAsked
from exporter.signals import SIGNALS, Signal
from exporter.transcode.errors import malformed, too_large
from exporter.transcode.limits import MAX_DOCUMENTS_BYTES, UNCOUNTED_BYTES
from exporter.transcode.reference.groups import groups
from exporter.transcode.reference.messages import Proto, with_byte_strings
from exporter.transcode.reference.walks import WALKS

_MOST_PER_BYTE = 32
"""More than a byte of OTLP can become in a document, the names and frames around it included."""
_MOST_PER_RECORD = 256
"""More than the document takes of a record that says nothing."""
_USUAL_PER_BYTE = 4
"""What a byte of OTLP becomes where nobody means to make it large, with a copy of it."""


class ReferenceTranscoder:
    """See `exporter.interfaces.Transcoder`."""

    name = "reference"

    def __init__(self, *, max_documents_bytes: int = MAX_DOCUMENTS_BYTES) -> None:
        self._limit = max_documents_bytes
        self._requests = {name: with_byte_strings(SIGNALS[name].request) for name in WALKS}

    def inspect(self, signal: Signal, payload: bytes, within: int | None = None) -> Inspection:
        """See `exporter.interfaces.Transcoder`."""
        request = self._parse(signal, payload)
        walk = WALKS[signal.name]
        records = first_unix_nano = 0
        most_bytes = _MOST_PER_BYTE * len(payload)
        usual_bytes = _USUAL_PER_BYTE * len(payload)
        for series, tail in groups(walk, request):
            records += len(series.records)
            shared = sum(len(document.raw) for document in (*series.head.values(), *tail.values()))
            most_bytes += len(series.records) * (_MOST_PER_RECORD + shared)
            usual_bytes += len(series.records) * (_MOST_PER_RECORD + shared)
            if not first_unix_nano:
                first_unix_nano = next(filter(None, map(walk.unix_nano, series.records)), 0)
        if most_bytes > self._limit or len(payload) > UNCOUNTED_BYTES:
            usual_bytes = 2 * sum(map(len, self._documents(signal, request, 0, 0, within)))
        return Inspection(records, first_unix_nano, usual_bytes)

    def transcode(self, batch: Batch, within: int | None = None) -> Documents:
        """See `exporter.interfaces.Transcoder`."""
        request = self._parse(batch.signal, batch.payload)
        documents = list(self._documents(batch.signal, request, batch.base_id, batch.received_unix_nano, within))
        return Documents(b"".join(documents), list(accumulate(map(len, documents), initial=0)))

    def _parse(self, signal: Signal, payload: bytes) -> Proto:
        try:
            return self._requests[signal.name].FromString(payload)
        except DecodeError:
            raise malformed(signal, payload) from None

    def _documents(
        self, signal: Signal, request: Proto, base_id: int, received_unix_nano: int, within: int | None
    ) -> Iterator[bytes]:
        """Raises MalformedPayload, or LargerThanAsked, when they become too many bytes."""
        bound = room = self._limit if within is None else min(self._limit, within)
        record_id = base_id
        for series, tail in groups(WALKS[signal.name], request):
            for record in series.records:
                document = {"_id": Binary(record_id.to_bytes(16), UUID_SUBTYPE), **series.head}
                series.write(document, record, received_unix_nano)
                document.update(tail)
                encoded = bson.encode(document)
                room -= len(encoded)
                if room < 0 and bound < self._limit:
                    raise LargerThanAsked
                if room < 0:
                    raise too_large(signal, self._limit)
                yield encoded
                record_id += 1
