"""The interfaces at which the exporter's parts meet each other and the receiver."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from exporter.batch import Batch
    from exporter.signals import Signal


class Inspection(NamedTuple):
    """What a look through a payload found."""

    records: int
    first_unix_nano: int
    """The time of the first record that has one, in Unix nanoseconds; 0 when none has."""


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


class Transcoder(Protocol):
    """Turns OTLP bytes into documents (docs/documents.md). Its methods take CPU time and may be called in threads."""

    name: str

    def inspect(self, signal: Signal, payload: bytes) -> Inspection:
        """Check a payload whole. Raises MalformedPayload."""
        ...

    def transcode(self, batch: Batch) -> Documents:
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


class Destination(Protocol):
    """A MongoDB that documents go to."""

    name: str

    async def insert(self, signal: Signal, documents: Documents) -> InsertResult:
        """Store documents durably. A copy of one that is stored already counts as a duplicate.

        Raises:
            DestinationUnavailable: some may be stored and some not; inserting them again is safe.
        """
        ...


@dataclass(frozen=True, slots=True)
class ExportResult:
    """The answer to an export that was taken. All records are durable but `rejected` ones, which are lost for good."""

    rejected: int = 0
    message: str = ""
    """For the client, in English (OTLP, partial success); empty when all is well."""


class Exporter(Protocol):
    """Where the receiver's batches go."""

    async def export(self, batch: Batch) -> ExportResult:
        """Return once every record is durable everywhere it should be.

        Raises:
            Unavailable: not durable everywhere; the client should send it again.
        """
        ...
