"""The retry buffer: batches on disk, each waiting for one or more destinations (docs/buffer.md)."""

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
    "RetryBuffer",
    "UnknownFile",
    "VerifyReport",
    "VolumeTooSmall",
]
