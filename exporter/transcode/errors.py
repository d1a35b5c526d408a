"""The texts of what transcoders refuse, so that the same bytes get the same answer from each."""

from exporter.errors import MalformedPayload
from exporter.signals import Signal

_LOOKS = (
    (b"\x1f\x8b", "gzip: decompress it, or say Content-Encoding: gzip"),
    (b"{", "JSON: say Content-Type: application/json"),
    (b"[", "JSON, of which OTLP takes an object only"),
)


def malformed(signal: Signal, payload: bytes) -> MalformedPayload:
    """The payload is no valid encoding. The text helps whoever sent something else."""
    start = payload[:64].lstrip()
    looks = next((look for prefix, look in _LOOKS if start.startswith(prefix)), None)
    hint = f", which look like {looks}" if looks else ""
    return MalformedPayload(
        f"the payload is no valid protobuf encoding of {signal.request.DESCRIPTOR.name}: "
        f"send {signal.name} as OTLP, nested at most 100 messages deep (got {len(payload)} bytes{hint})"
    )


def too_large(signal: Signal, max_documents_bytes: int) -> MalformedPayload:
    """The payload is valid, but stands for too much."""
    return MalformedPayload(
        f"the {signal.record}s of the payload would take more than {max_documents_bytes} bytes as documents, "
        "for each holds its resource and scope: send less at a time"
    )
