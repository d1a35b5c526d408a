"""What the buffer's tests share: batches, an open buffer, the places of bytes in its files."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from exporter.batch import Batch
from exporter.buffer import BufferConfig, BufferMetrics, RetryBuffer
from exporter.buffer.file_system import FileSystem
from exporter.signals import LOGS, TRACES, Signal

MIB = 1 << 20
_FIRST_ID = 1_700_000_000_000 << 80


def batch(number: int, size: int = 2000, *, signal: Signal = TRACES, incompressible: bool = True) -> Batch:
    """A batch of its own for each number; larger numbers have larger ids, as later batches do."""
    payload = random.Random(number).randbytes(size) if incompressible else number.to_bytes(4) * (size // 4)
    return Batch(signal, payload, _FIRST_ID + (number << 72), 1_700_000_000_000_000_000 + number, number % 50 + 1)


def mixed(count: int, size: int = 2000) -> list[Batch]:
    return [batch(i, size, signal=LOGS if i % 3 == 0 else TRACES) for i in range(1, count + 1)]


class Metrics:
    """A buffer's metrics, and how to read them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.buffer = BufferMetrics(self.registry)

    def value(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"otlp_mongo_exporter_buffer_{name}", labels) or 0.0


@asynccontextmanager
async def opened(
    folder: Path,
    *,
    destinations: Iterable[str] = ("local", "cloud"),
    metrics: Metrics | None = None,
    system: FileSystem | None = None,
    **settings: Any,
) -> AsyncIterator[RetryBuffer]:
    config = BufferConfig(folder, **{"max_bytes": 64 * MIB, "min_free_bytes": 0, **settings})
    buffer = await RetryBuffer.open(config, tuple(destinations), (metrics or Metrics()).buffer, system=system)
    try:
        yield buffer
    finally:
        await buffer.close()


async def everything(buffer: RetryBuffer, destination: str, step: int = 7) -> list[Batch]:
    """What waits for a destination, in order."""
    found: list[Batch] = []
    after = 0
    while stored := await buffer.oldest(destination, step, after):
        found += [item.batch for item in stored]
        after = stored[-1].position
    return found


async def drain(buffer: RetryBuffer, destination: str, step: int = 16) -> list[Batch]:
    """Take out what waits for a destination."""
    found: list[Batch] = []
    while stored := await buffer.oldest(destination, step):
        await buffer.remove(destination, [item.position for item in stored])
        found += [item.batch for item in stored]
    return found


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("segment-*.sqlite"))


def set_aside(folder: Path) -> list[str]:
    return sorted(file.name for file in (folder / "damaged").glob("*"))


def flip(file: Path, offset: int, bit: int = 0) -> None:
    """Flip one bit of a file."""
    with file.open("r+b") as stream:
        stream.seek(offset)
        byte = stream.read(1)[0]
        stream.seek(offset)
        stream.write(bytes([byte ^ (1 << bit)]))


def disk_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
