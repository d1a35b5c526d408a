"""Delivery: from a batch to every destination, or to the retry buffer and from there to the destination later.

`Delivery` owns the parts. `FanOut` hands a batch to one `Pipeline` per destination. A pipeline inserts the batch's
documents, or, when its destination cannot take them, appends the batch to the retry buffer; its `Replayer` brings the
backlog over when the destination is back. Records that MongoDB can never take become dead letters.

The invariant: `FanOut.export` returns only when, for every destination, each record is stored, a stored dead
letter, or in the retry buffer on disk.

What is in the way of one is not in the way of the others. A server fails as a whole; a collection refuses what is
for it; a batch fails while others pass. So there is a breaker for each server, and below it a `Lane` for each signal,
which live traffic and replay share:

    server breaker (one for each destination)        lane (one for each signal of it)

    closed ── no primary, network, silence,          direct ── refused, and nothing passed since ──> blocked
      ^       write concern, credentials                ^                                              │
      │            │                                    ├───── a probe of the lane, or a trial, passes ┘
      │            v                                    │
      │          open: all lanes withdraw,              ├───── live took too long though others ────> behind
      │            │   live goes to the buffer          │      were answered                            │
      │            v   probe after a backoff            └───── replay has caught up ────────────────────┘
      ├── a small piece of a waiting batch passes
      │            │                                 batch ── fails while others pass ──> aside, in the buffer:
      │            v   nothing waits, or paused               one of them is tried at a time, with a backoff
      └── half open: one live batch is the trial              large ──> one at a time, in pieces beside others

Bounds, for each lane: 256 batches, 4 MiB of payload (1 MiB beside live traffic) and 16 MiB of documents on their way;
one larger batch for each destination (256 MiB of documents at most); 10,000 positions set aside, 1,000 batches whose
progress is remembered. What is beyond is forgotten, not lost: it is found in the buffer again.
"""

from exporter.delivery.breaker import Backoff
from exporter.delivery.config import DeliveryConfig
from exporter.delivery.delivery import Delivery
from exporter.delivery.lane import Lane
from exporter.delivery.letter_box import LetterBox
from exporter.delivery.telemetry import BacklogCollector, DeliveryMetrics

__all__ = ["BacklogCollector", "Backoff", "Delivery", "DeliveryConfig", "DeliveryMetrics", "Lane", "LetterBox"]
