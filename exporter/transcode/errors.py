"""The texts of what transcoders refuse, so that the same bytes get the same answer from each."""

from exporter.errors import MalformedPayload
from exporter.signals import Signal


def malformed(signal: Signal) -> MalformedPayload:
    """The payload is no valid encoding."""
    return MalformedPayload(
        f"the payload is no valid protobuf encoding of {signal.request.DESCRIPTOR.name}: "
        f"send {signal.name} as OTLP, nested at most 100 messages deep"
    )


def too_large(signal: Signal, max_documents_bytes: int) -> MalformedPayload:
    """The payload is valid, but stands for too much."""
    return MalformedPayload(
        f"the {signal.record}s of the payload would take more than {max_documents_bytes} bytes as documents, "
        "for each holds its resource and scope: send less at a time"
    )
