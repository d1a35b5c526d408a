"""The retry buffer: batches on disk, each waiting for one or more destinations (docs/buffer.md).

Invariants:

- A batch is acknowledged after the fsync of the transaction that it is in, and of every name on the way to it.
- It comes back bit for bit until each destination that it waits for has removed it; its checksum is compared each time.
- Only what was read and proven wrong is damage. It is set aside, never deleted. Whatever else fails leaves the file in
  place, is told of, and is tried again; nothing waits for it.
- Recovery can be broken off at any step and made again: what is needed is copied and synced before it is changed.
- A segment's number is never used for another.

Limits: 6 segments open at a time (12 descriptors), `max_bytes` on disk with everything in it, a 32nd of that (256 KiB
to 256 MiB) for each segment, 256 batches or 16 MiB for each transaction, 4 MiB for each log (and a transaction), one
thread for files and one to compress and check.

    append ──> buffer.py ──one thread──> store.py ──> admission.py   is there room?
    oldest    group_writer.py                │
    remove     codec.py                  writer.py ──> segments.py ──> segment.py ──> connections.py ──> SQLite
                                             │             │                              │
                                         rescue.py     trouble.py                     recovery.py, wal.py
                                         restore.py   (tried again)                  (before SQLite opens it)

    folder/  lock  manifest.json  segment-0000000003.sqlite(-wal)  damaged/     all by way of file_system.py
"""

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
from exporter.buffer.volume import examine as examine_volume

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
    "examine_volume",
]
