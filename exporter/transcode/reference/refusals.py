"""Reasons that help whoever sent something else."""

from __future__ import annotations

from exporter.errors import MalformedPayload
from exporter.signals import Signal
from exporter.transcode.errors import malformed

_LOOKS = (
    (b"\x1f\x8b", "gzip: decompress it, or say Content-Encoding: gzip"),
    (b"{", "JSON: say Content-Type: application/json"),
    (b"[", "JSON, of which OTLP takes an object only"),
)


def refusal(signal: Signal, payload: bytes) -> MalformedPayload:
    """What to tell the sender of a payload that cannot be parsed."""
    start = payload[:64].lstrip()
    looks = next((look for prefix, look in _LOOKS if start.startswith(prefix)), None)
    hint = f", which look like {looks}" if looks else ""
    return MalformedPayload(f"{malformed(signal)} (got {len(payload)} bytes{hint})")
