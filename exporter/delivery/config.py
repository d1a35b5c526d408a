"""How a destination is delivered to."""

from __future__ import annotations

from dataclasses import dataclass, field

from exporter.delivery.breaker import Backoff


@dataclass(frozen=True, slots=True)
class DeliveryConfig:
    """How long a destination may take, and how its backlog is brought over. Times in seconds."""

    insert_timeout: float = 4.0
    """A live insert that takes longer goes to the buffer. Less than the 5 s after which a Collector gives up."""
    replay_timeout: float = 60.0
    """A replayed batch may take as long as it needs, but so long without any progress it is given up for now."""
    replay_bytes: int = 4 << 20
    """Payload bytes of one signal that replay has on their way at once."""
    replay_bytes_beside_live: int = 1 << 20
    """The same while live inserts come, which wait behind what is on its way."""
    replay_batches: int = 256
    """Batches of one signal that replay has on their way at once."""
    replay_document_bytes: int = 16 << 20
    """Bytes of their documents, which may be many times those of their payloads. One batch at a time, over all
    signals, may have more."""
    backoff: Backoff = field(default_factory=Backoff)
