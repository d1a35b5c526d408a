"""The retry buffer: batches on disk, each waiting for one or more destinations (docs/buffer.md)."""

from exporter.buffer.aside import DamagedFile
from exporter.buffer.buffer import RetryBuffer
from exporter.buffer.config import BufferConfig
from exporter.buffer.errors import (
    BatchTooLarge,
    BufferFull,
    BufferInUse,
    BufferOpenError,
    BufferReadOnly,
    BufferUnavailable,
    UnknownFile,
    VolumeTooSmall,
)
from exporter.buffer.report import BufferState, VerifyReport
from exporter.buffer.restore import Contents
from exporter.buffer.telemetry import BufferMetrics

__all__ = [
    "BatchTooLarge",
    "BufferConfig",
    "BufferFull",
    "BufferInUse",
    "BufferMetrics",
    "BufferOpenError",
    "BufferReadOnly",
    "BufferState",
    "BufferUnavailable",
    "Contents",
    "DamagedFile",
    "RetryBuffer",
    "UnknownFile",
    "VerifyReport",
    "VolumeTooSmall",
]
