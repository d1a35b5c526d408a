"""Delivery: from a batch to every destination, or to the retry buffer and from there to the destination later.

`Delivery` owns the parts. `FanOut` hands a batch to one `Pipeline` per destination. A pipeline inserts the batch's
documents, or, when its destination cannot take them, appends the batch to the retry buffer; its `Replayer` brings the
backlog over when the destination is back. Records that MongoDB can never take become dead letters.

The invariant: `FanOut.export` returns only when, for every destination, each record is stored, a stored dead
letter, or in the retry buffer on disk.
"""

from exporter.delivery.breaker import Backoff
from exporter.delivery.delivery import Delivery
from exporter.delivery.letter_box import LetterBox
from exporter.delivery.pipeline import DeliveryConfig
from exporter.delivery.telemetry import BacklogCollector, DeliveryMetrics

__all__ = ["BacklogCollector", "Backoff", "Delivery", "DeliveryConfig", "DeliveryMetrics", "LetterBox"]
