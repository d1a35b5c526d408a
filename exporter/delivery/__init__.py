"""Delivery: from a batch to every destination, or to the retry buffer and from there to the destination later.

`FanOut` hands a batch to one `Pipeline` per destination. A pipeline inserts the batch's documents, or, when its
destination cannot take them, appends the batch to the retry buffer; its `Replayer` brings the backlog over when the
destination is back. Records that MongoDB can never take become dead letters.

The invariant: `FanOut.export` returns only when, for every destination, each record is stored, a stored dead
letter, or in the retry buffer on disk.
"""

from exporter.delivery.fan_out import FanOut
from exporter.delivery.pipeline import DeliveryConfig, Pipeline

__all__ = ["DeliveryConfig", "FanOut", "Pipeline"]
