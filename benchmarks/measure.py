"""Measuring one subject in one scenario."""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pymongo import AsyncMongoClient

from benchmarks.documents import documents_file
from benchmarks.errors import BenchmarkError
from benchmarks.load import GENERATOR, Observation, drive
from benchmarks.payloads import templates
from benchmarks.processes import Command, accepts, running, wait_until
from benchmarks.scenarios import CEILING, Scenario
from benchmarks.targets import Site, Target
from benchmarks.usage import Usage, pin, settle, usage
from exporter.mongodb.collections import Collections
from exporter.signals import SIGNALS
from sidecar.embedded import EmbeddedMongod

START_TIMEOUT = 30.0
"""Seconds."""
IDLE_SECONDS = 0.3
"""Between ready and the look at the memory of what is idle."""
_PASS_ON_SECONDS = 30.0
"""That a Collector in front may take for what it has acknowledged when the load ends."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a subject did and used in one measured window."""

    scenario: Scenario
    subject: str
    records_per_second: float
    cpu_micros_per_record: float
    mongod_micros_per_record: float | None
    """None where nothing is stored."""
    front_micros_per_record: float | None
    """Of the Collector in front; None where there is none."""
    load_micros_per_record: float
    median_ms: float
    percentile99_ms: float
    start_seconds: float | None
    """From the start of the process to ready; None for what is no service."""
    idle_mib: float | None
    load_mib: float | None
    peak_mib: float | None
    foreign_cpus: float
    """CPUs that other processes of the machine used meanwhile."""


class Bench:
    """Makes measurements, one after the other, all on one mongod."""

    def __init__(self, mongod: EmbeddedMongod, targets: Mapping[str, Target], seconds: float, warm_up: float) -> None:
        self._mongod = mongod
        self._targets = targets
        self._window = {"warmUpSeconds": warm_up, "seconds": seconds}
        self._databases = (f"benchmark_{number}" for number in itertools.count())

    async def measure(self, scenario: Scenario, subject: str) -> Measurement:
        """Measure in a database of its own, which is dropped afterwards.

        Raises:
            BenchmarkError: the subject failed, or acknowledged what MongoDB does not have.
        """
        own, others = share_cpus(scenario.cores)
        pin(self._mongod_pid, others)
        database = next(self._databases)
        client: AsyncMongoClient[dict[str, Any]]
        async with AsyncMongoClient(self._mongod.uri) as client:
            await settle(self._mongod_pid)
            try:
                with TemporaryDirectory(prefix="otlp-mongo-benchmark-") as folder:
                    if subject == CEILING:
                        # As the sidecar makes them, so that mongod has the same work.
                        await Collections(client[database], {}, metrics_timeseries=False).ensure()
                        return await self._measure_ceiling(scenario, database, Path(folder), own)
                    site = Site.choose(Path(folder), self._mongod.uri, database)
                    return await self._measure_target(scenario, subject, site, own, others)
            finally:
                await client.drop_database(database)

    @property
    def _mongod_pid(self) -> int:
        if self._mongod.pid is None:
            raise BenchmarkError("mongod has ended")
        return self._mongod.pid

    async def _measure_target(
        self, scenario: Scenario, subject: str, site: Site, own: frozenset[int], others: frozenset[int]
    ) -> Measurement:
        target = self._targets[subject]
        log = site.folder / "output.log"
        async with running(target.command(site).on(own), log) as process:
            start_seconds = await wait_until(target.ready(site), process, log, START_TIMEOUT)
            await asyncio.sleep(IDLE_SECONDS)
            idle = usage(process.pid)
            async with _entry(target, site, own) as (entry, front):
                seen = await drive(
                    Command([str(GENERATOR)]).on(others),
                    {**self._window, **generator_plan(scenario, entry)},
                    {"subject": process.pid, "mongod": self._mongod_pid, **front},
                )
                if seen.outcome.errors or seen.outcome.partial_successes:
                    raise BenchmarkError(
                        f"{target.label} did not take everything ({scenario.title}): {dict(seen.outcome.errors)}, "
                        f"{seen.outcome.partial_successes} partial successes"
                    )
                if target.stores:
                    await self._verify(scenario, site.database, seen)
        return measured(scenario, subject, seen, target.stores, start_seconds, idle)

    async def _measure_ceiling(
        self, scenario: Scenario, database: str, folder: Path, own: frozenset[int]
    ) -> Measurement:
        signal = SIGNALS[scenario.signal]
        plan = {
            **self._window,
            "uri": self._mongod.uri,
            "database": database,
            "collection": signal.collection,
            "documents": str(documents_file(folder, scenario)),
            "batch": scenario.records,
            "threads": scenario.writers,
            "timeField": signal.time_field,
        }
        command = Command([sys.executable, "-m", "benchmarks.inserter"]).on(own)
        seen = await drive(command, plan, {"mongod": self._mongod_pid}, name="subject")
        await self._verify(scenario, database, seen)
        return measured(scenario, CEILING, seen, stores=True)

    async def _verify(self, scenario: Scenario, database: str, seen: Observation) -> None:
        """Compare what was acknowledged with what is stored, once a Collector in front has passed it on."""
        least, deadline = seen.outcome.acknowledged_records, time.monotonic() + _PASS_ON_SECONDS
        client: AsyncMongoClient[dict[str, Any]]
        async with AsyncMongoClient(self._mongod.uri) as client:
            count = partial(client[database][SIGNALS[scenario.signal].collection].count_documents, {})
            stored = await count()
            while "front" in seen.after and stored < least and time.monotonic() < deadline:
                await asyncio.sleep(IDLE_SECONDS)
                stored = await count()
        if not least <= stored <= least + seen.outcome.unclear_records:
            raise BenchmarkError(f"{least:,} records were acknowledged and {stored:,} are stored ({scenario.title})")


@asynccontextmanager
async def _entry(target: Target, site: Site, cpus: frozenset[int]) -> AsyncIterator[tuple[Site, Mapping[str, int]]]:
    """Where the load is to be sent, and the processes on the way to the target by name."""
    if target.front is None:
        yield site, {}
        return
    entry, log = Site.choose(site.folder, site.mongodb_uri, site.database), site.folder / "front.log"
    async with running(target.front(entry, site).on(cpus), log) as process:
        await wait_until(accepts(entry.grpc_port), process, log, START_TIMEOUT)
        yield entry, {"front": process.pid}


def share_cpus(cores: int) -> tuple[frozenset[int], frozenset[int]]:
    """CPUs for the subject, and for all else."""
    available = sorted(os.sched_getaffinity(0))
    if cores > len(available):
        raise BenchmarkError(f"{cores} cores are to be measured and {len(available)} are there")
    return frozenset(available[:cores]), frozenset(available[cores:] or available)


def generator_plan(scenario: Scenario, site: Site) -> Mapping[str, Any]:
    """What the load generator is told, but for how long."""
    signal = SIGNALS[scenario.signal]
    return {
        "protocol": scenario.protocol,
        "address": site.address(scenario.protocol),
        "path": signal.grpc_method if scenario.protocol == "grpc" else signal.http_path,
        "connections": scenario.connections,
        "inFlight": scenario.in_flight,
        "perSecond": scenario.per_second,
        "templates": [t.plan() for t in templates(scenario.signal, scenario.records, scenario.encoding)],
    }


def measured(
    scenario: Scenario,
    subject: str,
    seen: Observation,
    stores: bool,
    start_seconds: float | None = None,
    idle: Usage | None = None,
) -> Measurement:
    """What an observation says of the processes `subject` and, if it `stores`, `mongod`.

    Raises:
        BenchmarkError: nothing was acknowledged.
    """
    records = seen.outcome.records
    if not records:
        raise BenchmarkError(f"{subject} acknowledged nothing in the measured window ({scenario.title})")

    def micros(name: str) -> float:
        return seen.cpu_seconds(name) / records * 1e6

    after = seen.after["subject"]
    return Measurement(
        scenario=scenario,
        subject=subject,
        records_per_second=records / seen.outcome.seconds,
        cpu_micros_per_record=micros("subject"),
        mongod_micros_per_record=micros("mongod") if stores else None,
        front_micros_per_record=micros("front") if "front" in seen.after else None,
        load_micros_per_record=micros("load") if "load" in seen.after else 0.0,
        median_ms=seen.outcome.median_seconds * 1e3,
        percentile99_ms=seen.outcome.percentile99_seconds * 1e3,
        start_seconds=start_seconds,
        idle_mib=idle.resident_bytes / 2**20 if idle else None,
        # The insert-only client's memory says nothing: it holds what it is going to insert.
        load_mib=after.resident_bytes / 2**20 if idle else None,
        peak_mib=after.peak_resident_bytes / 2**20 if idle else None,
        foreign_cpus=seen.foreign_cpus,
    )
