"""Data out: from a batch of OTLP bytes to documents in MongoDB.

What this module exports is the public interface, and all that `receiver` may import.
"""

from exporter.batch import Batch, BatchFactory
from exporter.errors import ExporterError, MalformedPayload, Overloaded, TooLarge, Unavailable
from exporter.interfaces import ALL_TAKEN, Exporter, ExportResult
from exporter.signals import SIGNALS, Signal

__all__ = [
    "ALL_TAKEN",
    "SIGNALS",
    "Batch",
    "BatchFactory",
    "ExportResult",
    "Exporter",
    "ExporterError",
    "MalformedPayload",
    "Overloaded",
    "Signal",
    "TooLarge",
    "Unavailable",
]
