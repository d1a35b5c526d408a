"""What can go wrong between a payload and a store, as types.

Each error says what its caller should do; the receiver maps them to gRPC and HTTP statuses in one table.
"""


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


class DestinationUnavailable(Exception):
    """A destination could not take an insert, but may take the same one later."""


class DestinationMisconfigured(DestinationUnavailable):
    """A destination refuses us until somebody changes something (credentials, privileges, URI)."""
