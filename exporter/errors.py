"""What can go wrong between a payload and a store, as types.

Each error says what its caller should do; the receiver maps them to gRPC and HTTP statuses in one table.
"""

from __future__ import annotations

import enum


class ExporterError(Exception):
    """Base of all errors that the exporter raises on purpose. Its text is shown to the client."""


class MalformedPayload(ExporterError):
    """The payload is no valid OTLP export request: sending it again cannot help."""


class TooLarge(ExporterError):
    """The records are more than can be kept at any time: sending them again cannot help, sending less at a time can."""


class Unavailable(ExporterError):
    """The records could not be made durable now: send them again after `retry_after` seconds."""

    def __init__(self, reason: str, retry_after: float = 1.0) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class Overloaded(Unavailable):
    """A bound (memory, buffer, disk) is reached: send the records again, later and less at a time."""


class Scope(enum.Enum):
    """How far a destination's failure reaches, as far as the failure itself tells."""

    SERVER = enum.auto()
    """The server takes no writes, or none as durably as is asked for: it fails the same way for every collection."""
    COLLECTION = enum.auto()
    """The server answered and refused. Unless other batches pass, nothing can go into this collection now."""
    BATCH = enum.auto()
    """The server answered and took other documents, but not these ones of this batch."""
    SILENCE = enum.auto()
    """No answer in time: the server may hang, or this was more than it can do in that time."""


class DestinationUnavailable(Exception):
    """A destination could not take an insert, but may take the same one later."""

    def __init__(self, reason: str, scope: Scope = Scope.SERVER) -> None:
        super().__init__(reason)
        self.scope = scope


class DestinationMisconfigured(DestinationUnavailable):
    """A destination refuses us until somebody changes something (credentials, privileges, URI)."""
