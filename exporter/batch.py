"""The batch: the unit of data from the socket to the store."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from blake3 import blake3

from exporter.interfaces import Transcoder
from exporter.signals import Signal
from exporter.transcode import inline

_VERSION = 8 << 76
_VARIANT = 2 << 62
_LOW_BITS = 61
"""Bits of the digest in the low part: one less than the 62 there are, so that adding an index never carries out."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The records of one export request, as received.

    `base_id` is the `_id` of the first record as a 128-bit number, and the others' are the numbers after it
    (docs/documents.md, `_id`).
    """

    signal: Signal
    payload: bytes
    """Decompressed OTLP protobuf: the signal's export request."""
    base_id: int
    received_unix_nano: int
    records: int
    memory_bytes: int = 0
    """See `Inspection`; 0 where nobody looked."""
    first_unix_nano: int = 0
    """Likewise."""


def content_id(signal: Signal, payload: bytes, unix_nano: int) -> int:
    """The base id that the same payload always gets. `unix_nano`: the time of its first record that has one."""
    hasher = _begun(signal).copy()
    hasher.update(payload)
    return _uuid8(unix_nano, int.from_bytes(hasher.digest(length=10)))


@cache
def _begun(signal: Signal) -> blake3:
    """A hasher that has seen what comes before the payload. To be copied, which is cheaper than to begin anew."""
    return blake3(signal.name.encode() + b"\0")


def random_id(unix_nano: int) -> int:
    """A base id that no other batch has."""
    return _uuid8(unix_nano, secrets.randbits(80))


def _uuid8(unix_nano: int, digest: int) -> int:
    """RFC 9562, section 5.8. `digest`: 80 bits, of which the upper 73 are used."""
    milliseconds = unix_nano // 1_000_000
    high, low = digest >> 68, (digest >> 7) & ((1 << _LOW_BITS) - 1)
    return milliseconds << 80 | _VERSION | high << 64 | _VARIANT | low


class BatchFactory:
    """Makes batches of payloads, which it checks on the way."""

    def __init__(
        self,
        transcoder: Transcoder,
        *,
        deduplicate: bool = True,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._transcoder = transcoder
        self._deduplicate = deduplicate
        self._clock = clock

    def make(self, signal: Signal, payload: bytes, within: int | None = None) -> Batch:
        """Check a payload and make a batch of it. `within`: see Transcoder.

        Takes CPU time in proportion to the payload: on an event loop, use `make_async`.

        Raises:
            MalformedPayload: it is no valid export request of the signal.
            LargerThanAsked: to check it takes more than was asked for.
        """
        received = self._clock()
        inspection = self._transcoder.inspect(signal, payload, within)
        if self._deduplicate and inspection.first_unix_nano:
            base_id = content_id(signal, payload, inspection.first_unix_nano)
        else:
            base_id = random_id(received)
        return Batch(
            signal, payload, base_id, received, inspection.records, inspection.memory_bytes, inspection.first_unix_nano
        )

    async def make_async(self, signal: Signal, payload: bytes) -> Batch:
        """As `make`, without holding up the event loop for long."""
        return await inline.run(self._transcoder, len(payload), self.make, signal, payload)
