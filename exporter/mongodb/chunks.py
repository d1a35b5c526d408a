"""Cuts documents into what one insert command takes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from exporter.interfaces import Documents, Refusal

MAX_DOCUMENT_BYTES = 16 * 1024 * 1024
"""MongoDB manual, "MongoDB Limits and Thresholds", BSON Document Size."""

MAX_CHUNK_DOCUMENTS = 4000
"""A command costs the driver as much as some hundred documents; but no insert shall hold up others for long."""

MAX_CHUNK_BYTES = 8 * 1024 * 1024
"""Far below the 48,000,000 bytes that a message may have, for the same reason, and below the 16 MiB that PyMongo
lets a command have. One larger document goes alone."""


@dataclass(frozen=True, slots=True)
class Run:
    """Documents that stand one after the other in one buffer: those of `documents` from `start` to `stop`."""

    documents: Documents
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def __iter__(self) -> Iterator[bytes]:
        return map(self.documents.__getitem__, range(self.start, self.stop))

    @property
    def raw(self) -> bytes:
        """Their bytes; no copy when the buffer holds nothing else."""
        offsets = self.documents.offsets
        return self.documents.buffer[offsets[self.start] : offsets[self.stop]]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Documents for one command. `first`: the position of the first one; the others follow on."""

    first: int
    runs: Sequence[Run]

    def __len__(self) -> int:
        return sum(map(len, self.runs))

    def __iter__(self) -> Iterator[bytes]:
        return chain.from_iterable(self.runs)

    def part(self, start: int, stop: int) -> Chunk:
        """Those of its documents from position `start` to before `stop`, counted from its first one."""
        runs, before = list[Run](), 0
        for run in self.runs:
            left, right = max(run.start, run.start + start - before), min(run.stop, run.start + stop - before)
            if left < right:
                runs.append(Run(run.documents, left, right))
            before += len(run)
        return Chunk(self.first + start, runs)

    @property
    def size(self) -> int:
        """Bytes of its documents."""
        return sum(run.documents.offsets[run.stop] - run.documents.offsets[run.start] for run in self.runs)

    def halves(self) -> tuple[Chunk, Chunk]:
        """The first and the second half of its two or more documents."""
        half = len(self) // 2
        return self.part(0, half), self.part(half, len(self))


def cut(parts: Sequence[Documents]) -> Iterator[Chunk | Refusal]:
    """The documents of all parts, numbered through: chunks, and refusals of documents that no MongoDB takes."""
    first, pending = 0, list[Run]()
    count, size = 0, 0
    for documents in parts:
        offsets = documents.offsets
        start, end = 0, len(documents)
        while start < end:
            stop = _fitting(offsets, start, MAX_CHUNK_BYTES - size, MAX_CHUNK_DOCUMENTS - count)
            if stop > start:
                pending.append(Run(documents, start, stop))
                count, size = count + stop - start, size + offsets[stop] - offsets[start]
                start = stop
            elif pending:
                yield Chunk(first, pending)
                first, pending, count, size = first + count, [], 0, 0
            else:
                yield _alone(first, Run(documents, start, start + 1))
                first, start = first + 1, start + 1
    if pending:
        yield Chunk(first, pending)


def _fitting(offsets: Sequence[int], start: int, size: int, count: int) -> int:
    """The end of the longest run of documents from `start` on that has at most this size and count."""
    end = min(start + count, len(offsets) - 1)
    return bisect_right(offsets, offsets[start] + size, start, end + 1) - 1


def _alone(index: int, run: Run) -> Chunk | Refusal:
    size = len(run.raw)
    if size <= MAX_DOCUMENT_BYTES:
        return Chunk(index, [run])
    return Refusal(index, 0, f"the document has {size:,} bytes; MongoDB takes at most {MAX_DOCUMENT_BYTES:,}")
