"""Cuts documents into what one insert command takes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from exporter.interfaces import Documents, Refusal

MAX_DOCUMENT_BYTES = 16 * 1024 * 1024
"""MongoDB manual, "MongoDB Limits and Thresholds", BSON Document Size."""

MAX_CHUNK_DOCUMENTS = 2000
"""Little is gained by the document from 500 to 2,000, and encoding holds the event loop meanwhile."""

MAX_CHUNK_BYTES = 8 * 1024 * 1024
"""Far below the 48,000,000 bytes that a message may have, so that no insert holds up others for long.
One larger document goes alone."""


class Chunk(NamedTuple):
    """Documents for one command. `first`: the position of the first one; the others follow on."""

    first: int
    documents: list[bytes]


def cut(parts: Sequence[Documents]) -> Iterator[Chunk | Refusal]:
    """The documents of all parts, numbered through: chunks, and refusals of documents that no MongoDB takes."""
    first, pending, room = 0, list[bytes](), MAX_CHUNK_BYTES
    for documents in parts:
        buffer, offsets = documents.buffer, documents.offsets
        start, count = 0, len(documents)
        while start < count:
            stop = _fitting(offsets, start, room, MAX_CHUNK_DOCUMENTS - len(pending))
            if stop > start:
                pending.extend(buffer[offsets[index] : offsets[index + 1]] for index in range(start, stop))
                room -= offsets[stop] - offsets[start]
                start = stop
            elif pending:
                yield Chunk(first, pending)
                first, pending, room = first + len(pending), [], MAX_CHUNK_BYTES
            else:
                yield _alone(first, documents[start])
                first, start = first + 1, start + 1
    if pending:
        yield Chunk(first, pending)


def _fitting(offsets: Sequence[int], start: int, size: int, count: int) -> int:
    """The end of the longest run of documents from `start` on that has at most this size and count."""
    end = min(start + count, len(offsets) - 1)
    return bisect_right(offsets, offsets[start] + size, start, end + 1) - 1


def _alone(index: int, document: bytes) -> Chunk | Refusal:
    if len(document) <= MAX_DOCUMENT_BYTES:
        return Chunk(index, [document])
    reason = f"the document has {len(document):,} bytes; MongoDB takes at most {MAX_DOCUMENT_BYTES:,}"
    return Refusal(index, 0, reason)
