"""The interfaces at which the exporter's parts meet each other and the receiver."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from exporter.batch import Batch
    from exporter.progress import Progress
    from exporter.signals import Signal


class Inspection(NamedTuple):
    """What a look through a payload found."""

    records: int
    first_unix_nano: int
    """The time of the first record that has one, in Unix nanoseconds; 0 when none has."""
    memory_bytes: int = 0
    """What the documents take in memory on their way, with a copy of them: counted for large payloads, estimated for
    others."""


@dataclass(frozen=True, slots=True)
class Documents:
    """BSON documents, one after the other in one buffer; document i is `buffer[offsets[i]:offsets[i + 1]]`."""

    buffer: bytes
    offsets: Sequence[int]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> bytes:
        return self.buffer[self.offsets[index] : self.offsets[index + 1]]

    def __iter__(self) -> Iterator[bytes]:
        for index in range(len(self)):
            yield self[index]

    @property
    def size(self) -> int:
        """Their bytes together; the buffer may hold others, too."""
        return self.offsets[-1] - self.offsets[0]

    def part(self, start: int, stop: int) -> Documents:
        """Those from `start` to before `stop`, in the same buffer."""
        return Documents(self.buffer, self.offsets[start : stop + 1])

    def pick(self, indexes: Sequence[int]) -> Documents:
        """Single ones of them, in a buffer of their own."""
        picked = [self[index] for index in indexes]
        return Documents(b"".join(picked), [0, *accumulate(map(len, picked))])


class LargerThanAsked(Exception):
    """A transcoder was to write so many bytes of documents at most, and they are more."""


class Transcoder(Protocol):
    """Turns OTLP bytes into documents (docs/documents.md). Its methods take CPU time and may be called in threads.

    `within`: give up after so many bytes of documents, with LargerThanAsked. A small payload can stand for many.
    """

    name: str

    def inspect(self, signal: Signal, payload: bytes, within: int | None = None) -> Inspection:
        """Check a payload whole. Raises MalformedPayload."""
        ...

    def transcode(self, batch: Batch, within: int | None = None) -> Documents:
        """The documents of a batch, in the order of its records. The batch was inspected before."""
        ...


@dataclass(frozen=True, slots=True)
class Refusal:
    """A document that a destination will never take."""

    index: int
    """Its position among the documents that were to be inserted."""
    code: int
    """MongoDB's error code; 0 when it was not MongoDB that refused."""
    reason: str


@dataclass(frozen=True, slots=True)
class InsertResult:
    """What became of documents that were to be inserted; what is not counted or refused does not exist."""

    inserted: int
    duplicates: int
    refusals: tuple[Refusal, ...] = ()
    postponed: tuple[Refusal, ...] = ()
    """Not taken now, but perhaps later (a throttled service). Only of a single command: `Destination.insert` tries
    these again."""


class Destination(Protocol):
    """A MongoDB that documents go to."""

    name: str

    async def insert(self, collection: str, documents: Documents, progress: Progress | None = None) -> InsertResult:
        """Store documents durably, in pieces. A copy of one that is stored already counts as a duplicate.

        `progress`: what an earlier call reached; this one goes on from there, and leaves in it what it reached.

        Raises:
            DestinationUnavailable: some may be stored and some not; inserting them again is safe.
        """
        ...

    async def ping(self) -> None:
        """Return if there is a server that takes writes. Raises DestinationUnavailable."""
        ...

    def answered_since(self, moment: float) -> bool:
        """Whether an insert, of whoever, was answered as durable since then. `moment`: by `time.monotonic`."""
        ...

    def expected_seconds(self, documents: Documents) -> float:
        """How long they will take at the speed that was measured lately. 0: they go in one command, or nobody knows."""
        ...

    async def diagnose(self) -> str:
        """Why inserts may get no answer though the server gives one; empty when nothing is known. Takes a second."""
        ...

    async def returned(self) -> None:
        """Return when the driver sees that a destination which was gone has come back: a good moment for a probe."""
        ...


@dataclass(frozen=True, slots=True)
class ExportResult:
    """The answer to an export that was taken. All records are durable but `rejected` ones, which are lost for good."""

    rejected: int = 0
    message: str = ""
    """For the client, in English (OTLP, partial success); empty when all is well."""


ALL_TAKEN = ExportResult()
"""The usual answer."""


class Exporter(Protocol):
    """Where the receiver's batches go."""

    async def export(self, batch: Batch) -> ExportResult:
        """Return once every record is durable everywhere it should be.

        Raises:
            Unavailable: not durable everywhere; the client should send it again.
        """
        ...


READ_BYTES = 32 << 20
"""Bytes of payload that one read of the retry buffer returns where nothing else is asked for."""


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A batch that waits in the retry buffer."""

    position: int
    """Where it stands: later batches have larger positions."""
    batch: Batch


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits for one destination."""

    batches: int = 0
    records: int = 0
    bytes: int = 0
    """Bytes of the payloads as they are stored."""
    oldest_unix_nano: int = 0
    """When the oldest of them was received; 0 when there is none."""


class BatchBuffer(Protocol):
    """Batches on disk, each waiting for one or more destinations."""

    async def append(self, batch: Batch, destination: str) -> None:
        """Return once the batch is on disk for good. One that waits there already is not stored twice.

        Raises:
            Overloaded: there is no room.
            Unavailable: the disk failed.
            TooLarge: there would be no room in an empty buffer either.
        """
        ...

    async def oldest(
        self,
        destination: str,
        limit: int,
        after: int = 0,
        *,
        max_bytes: int = READ_BYTES,
        signals: Sequence[str] | None = None,
    ) -> Sequence[StoredBatch]:
        """The first `limit` batches behind position `after`, oldest first. Damaged ones are set aside, not returned.

        `max_bytes`: of their payloads together, which only a single batch exceeds.
        `signals`: only batches of these, by name.
        """
        ...

    async def remove(self, destination: str, positions: Sequence[int]) -> None:
        """These need not wait for the destination any longer."""
        ...

    def status(self) -> Mapping[str, Backlog]:
        """The backlog of each destination, from memory."""
        ...
