"""The sidecar under test: its start with two destinations, and what it says of its backlog."""

from __future__ import annotations

import asyncio
import math
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.buffer import fill
from benchmarks.delivery.servers import CLOUD, LOCAL
from benchmarks.errors import BenchmarkError
from benchmarks.measure import IDLE_SECONDS, START_TIMEOUT
from benchmarks.processes import Command, running, wait_until
from benchmarks.targets import Site, Target
from benchmarks.usage import Usage, usage

BUFFER_BYTES = 1 << 30
"""As the sidecar has it by default."""
_STUCK_SECONDS = 60.0
"""Longer than the longest wait for a probe."""
_POLL = 0.05


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A sidecar that runs."""

    site: Site
    process: Process
    start_seconds: float
    idle: Usage
    """When it was ready."""

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def buffer_disk_bytes(self) -> int:
        """What the retry buffer's files take on disk."""
        return sum(file.stat().st_blocks * 512 for file in _buffer(self.site.folder).rglob("*") if file.is_file())

    async def total(self, metric: str, destination: str) -> float:
        """A metric's sum over the signals."""
        url = f"http://127.0.0.1:{self.site.admin_port}/metrics"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            families = list(text_string_to_metric_families(await response.text()))
        return sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == f"otlp_mongo_exporter_{metric}" and sample.labels["destination"] == destination
        )

    async def buffers(self) -> Sequence[str]:
        """The destinations whose batches go to the retry buffer now."""
        return [name for name in (LOCAL, CLOUD) if await self.total("destination_open", name)]

    async def drained(self, destinations: Sequence[str]) -> None:
        """Return once nothing waits for any destination.

        Raises:
            BenchmarkError: there is no progress.
        """
        for destination in destinations:
            least, since = math.inf, time.monotonic()
            while left := await self.total("backlog_records", destination):
                if left < least:
                    least, since = left, time.monotonic()
                elif time.monotonic() - since > _STUCK_SECONDS:
                    raise BenchmarkError(f"{left:,.0f} records wait for {destination} and get no fewer")
                await asyncio.sleep(_POLL)


@asynccontextmanager
async def sidecar(
    target: Target,
    uris: Mapping[str, str],
    database: str,
    cpus: frozenset[int],
    *,
    backlog: int = 0,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> AsyncIterator[Sidecar]:
    """A sidecar that runs within the block. `backlog`: spans that wait for the cloud from the start."""
    with TemporaryDirectory(prefix="otlp-mongo-benchmark-") as name:
        site = Site.choose(Path(name), uris[LOCAL], database)
        if backlog:
            await fill(_buffer(site.folder), backlog, BUFFER_BYTES)
        log = site.folder / "output.log"
        async with running(_command(target, site, uris, settings).on(cpus), log) as process:
            start_seconds = await wait_until(target.ready(site), process, log, START_TIMEOUT)
            await asyncio.sleep(IDLE_SECONDS)
            yield Sidecar(site, process, start_seconds, usage(process.pid))


def _command(target: Target, site: Site, uris: Mapping[str, str], settings: Mapping[str, str]) -> Command:
    command = target.command(site)
    cloud = {"MONGODB_CLOUD_URI": uris[CLOUD]} if CLOUD in uris else {}
    return Command(command.argv, {**command.env, **cloud, **settings})


def _buffer(folder: Path) -> Path:
    return folder / "buffer"
