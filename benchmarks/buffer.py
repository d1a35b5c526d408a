"""The retry buffer alone: appends at once, reopening with a backlog, draining it: `python -m benchmarks.buffer FOLDER`.

FOLDER must lie on the disk that is to be measured. The payloads are typical export requests of spans.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
from prometheus_client import CollectorRegistry

from benchmarks.payloads import templates
from exporter.batch import Batch, random_id
from exporter.buffer import BufferConfig, BufferMetrics, RetryBuffer
from exporter.signals import TRACES

_BACKLOG = 5_000_000
_SPANS = 500
_AT_ONCE = 100
_MAX_BYTES = 16 << 30


@dataclass(frozen=True, slots=True)
class Source:
    """Batches that differ in their ids only."""

    sample: Batch

    @classmethod
    def of(cls, spans: int) -> Source:
        payload = templates("traces", spans)[0].payload
        return cls(Batch(TRACES, payload, 0, 0, spans))

    def next(self) -> Batch:
        now = time.time_ns()
        return replace(self.sample, base_id=random_id(now), received_unix_nano=now)


async def opened(folder: Path, max_bytes: int = _MAX_BYTES) -> RetryBuffer:
    return await RetryBuffer.open(BufferConfig(folder, max_bytes), ["cloud"], BufferMetrics(CollectorRegistry()))


async def append(folder: Path, spans: int, at_once: int, seconds: float) -> str:
    """One line: how many batches a second become durable when so many callers wait for theirs."""
    source, buffer = Source.of(spans), await opened(folder)
    count, began, cpu = itertools.count(), time.perf_counter(), time.process_time()

    async def caller() -> None:
        while time.perf_counter() - began < seconds:
            await buffer.append(source.next(), "cloud")
            next(count)

    await asyncio.gather(*(caller() for _ in range(at_once)))
    elapsed, cpu, done = time.perf_counter() - began, time.process_time() - cpu, next(count)
    await buffer.close()
    size = len(source.sample.payload)
    return (
        f"| {size / 1000:.0f} KB | {at_once} | {done / elapsed:,.0f} | {done * size / elapsed / 1e6:.1f} |"
        f" {cpu / done * 1e6:.0f} |"
    )


async def fill(folder: Path, spans: int = _BACKLOG, max_bytes: int = _MAX_BYTES) -> None:
    """Let so many spans wait for the cloud, in batches of 500."""
    source, buffer = Source.of(_SPANS), await opened(folder, max_bytes)
    for _ in range(0, spans, _AT_ONCE * _SPANS):
        await asyncio.gather(*(buffer.append(source.next(), "cloud") for _ in range(_AT_ONCE)))
    await buffer.close()


async def reopen(folder: Path) -> None:
    """Print what a new process takes to open the backlog, and to read and remove it."""
    before, began = _rss_mib(), time.perf_counter()
    buffer = await opened(folder)
    open_ms, opened_rss = (time.perf_counter() - began) * 1e3, _rss_mib()
    records, began = buffer.status()["cloud"].records, time.perf_counter()
    while stored := await buffer.oldest("cloud", 32):
        await buffer.remove("cloud", [item.position for item in stored])
    seconds, drained_rss = time.perf_counter() - began, _rss_mib()
    await buffer.close()
    print(f"backlog of {records:,} spans: open {open_ms:.0f} ms, RSS {before} -> {opened_rss} MiB")
    print(
        f"drained at {records / seconds:,.0f} spans/s, RSS {drained_rss} MiB, {_disk_bytes(folder)} bytes left on disk"
    )


def _disk_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*"))


def _rss_mib() -> int:
    return int(psutil.Process().memory_info().rss) >> 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--reopen", action="store_true", help="only open and drain the backlog that is there")
    options = parser.parse_args()
    backlog = options.folder / "backlog"
    if options.reopen:
        asyncio.run(reopen(backlog))
        return
    print("| batch | at once | batches/s | MB/s | CPU µs a batch |\n| --- | --- | --- | --- | --- |")
    for spans, at_once in itertools.product((_SPANS, 5), (1, 8, 64)):
        folder = options.folder / f"{spans}-{at_once}"
        print(asyncio.run(append(folder, spans, at_once, options.seconds)), flush=True)
        shutil.rmtree(folder)
    asyncio.run(fill(backlog))
    # A process of its own: memory that filling took must not hide what opening takes.
    subprocess.run([sys.executable, "-m", "benchmarks.buffer", str(options.folder), "--reopen"], check=True)
    shutil.rmtree(backlog)


if __name__ == "__main__":
    main()
