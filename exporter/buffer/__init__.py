"""The retry buffer: batches on disk, each waiting for one or more destinations (docs/buffer.md)."""

from exporter.buffer.buffer import RetryBuffer
from exporter.buffer.config import BufferConfig
from exporter.buffer.errors import BufferFull, BufferInUse, BufferOpenError, BufferReadOnly, BufferUnavailable
from exporter.buffer.report import VerifyReport
from exporter.buffer.telemetry import BufferMetrics

__all__ = [
    "BufferConfig",
    "BufferFull",
    "BufferInUse",
    "BufferMetrics",
    "BufferOpenError",
    "BufferReadOnly",
    "BufferUnavailable",
    "RetryBuffer",
    "VerifyReport",
]
