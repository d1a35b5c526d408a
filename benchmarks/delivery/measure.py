"""The measurements of delivery. After each, all that was acknowledged must be in every MongoDB."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any, TypeVar

from pymongo import AsyncMongoClient

from benchmarks.delivery.plan import SITUATIONS, Outage, Traffic
from benchmarks.delivery.servers import CLOUD, LOCAL, Fault, Server
from benchmarks.delivery.sidecar import Sidecar, sidecar
from benchmarks.errors import BenchmarkError
from benchmarks.load import GENERATOR, Observation, Outcome, drive
from benchmarks.measure import Measurement, generator_plan, measured, share_cpus
from benchmarks.processes import Command
from benchmarks.scenarios import Scenario
from benchmarks.targets import Target
from benchmarks.usage import usage
from exporter.signals import SIGNALS

T = TypeVar("T")
_NOTICE_SECONDS = 5.0
"""After which a sidecar under load has noticed what is down."""
_BEFORE_OUTAGE, _AFTER_OUTAGE = 1.0, 6.0
"""Seconds of the measured window."""
_PATIENT = {"OTLP_MONGO_INSERT_TIMEOUT": "60s", "OTLP_MONGO_CLOUD_INSERT_TIMEOUT": "60s"}
"""For what measures a state that stays: a disturbed machine must not make a destination that is up look down."""
_REPLAY_SECONDS = 5.0
_REPLAY_BACKLOG = 3_000_000
"""Spans: more than are replayed in the window."""


@dataclass(frozen=True, slots=True)
class Gap:
    """What an outage did to the senders."""

    outage: Outage
    longest_gap_ms: float
    """The longest time without any acknowledgement."""
    slowest_ms: float
    """The slowest request."""
    refused: float
    """Requests that were told to come again."""
    records_per_second: float
    """After the gap and before it, on average over the window."""


@dataclass(frozen=True, slots=True)
class Replay:
    """How a backlog came over, and what live traffic had of it."""

    traffic: Traffic
    replayed_per_second: float
    cpu_micros_per_replayed: float | None
    """Where nothing else is sent; None elsewhere."""
    live_per_second: float | None
    live_median_ms: float | None
    live_percentile99_ms: float | None
    cpus: float
    """That the sidecar used."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a backlog takes, in a sidecar that has just started and whose cloud is down."""

    spans: int
    start_seconds: float
    idle_mib: float
    load_mib: float
    """After a window of live traffic, whose share for the cloud joins the backlog."""
    disk_mib: float


class DeliveryBench:
    """Makes measurements, one after the other, on a local and a cloud MongoDB."""

    def __init__(self, servers: Mapping[str, Server], target: Target, seconds: float, warm_up: float) -> None:
        self._servers = servers
        self._target = target
        self._seconds = seconds
        self._warm_up = warm_up
        self._databases = (f"delivery_{number}" for number in itertools.count())

    async def steady(self, scenario: Scenario, situation: str) -> Measurement:
        """How a load is borne in a situation that stays. Raises BenchmarkError."""
        where = SITUATIONS[situation]
        async with self._sidecar(where.destinations, settings=_PATIENT) as it, self._down(where.down):
            warm_up = self._warm_up + (_NOTICE_SECONDS if where.down else 0)
            seen = await self._drive(it, scenario, warm_up, self._seconds)
            _refuse_errors(seen.outcome)
            if (buffers := await it.buffers()) != list(where.down):
                raise BenchmarkError(f"{buffers} is down as the sidecar sees it, which was not meant")
            stores = [name for name in where.destinations if name not in where.down]
            found = measured(scenario, situation, seen, False, it.start_seconds, it.idle)
            await self._heal(where.down)
            await self._verify(it, scenario, where.destinations, seen.outcome)
        mongods = sum(map(seen.cpu_seconds, stores)) / seen.outcome.records * 1e6
        return replace(found, mongod_micros_per_record=mongods if stores else None)

    async def gap(self, scenario: Scenario, outage: Outage) -> Gap:
        """What senders see when a destination goes down. Raises BenchmarkError."""
        names = (LOCAL, CLOUD)
        async with self._sidecar(names, outage.fault) as it:
            async with self._outage(outage, self._warm_up + _BEFORE_OUTAGE):
                window = _BEFORE_OUTAGE + _AFTER_OUTAGE
                seen = await self._drive(it, scenario, self._warm_up, window, watched=())
            outcome = seen.outcome
            await self._verify(it, scenario, names, outcome)
        return Gap(
            outage,
            outcome.longest_gap_seconds * 1e3,
            outcome.slowest_seconds * 1e3,
            sum(outcome.errors.values()),
            outcome.records / outcome.seconds,
        )

    async def replay(self, scenario: Scenario, traffic: Traffic) -> Replay:
        """How fast a backlog for the cloud comes over once it is there. Raises BenchmarkError."""
        backlog = _REPLAY_BACKLOG if traffic.backlog else 0
        live = replace(scenario, connections=traffic.connections, in_flight=traffic.in_flight)
        outcome = None
        async with self._sidecar((LOCAL, CLOUD), backlog=backlog, settings=_PATIENT) as it:
            async with _beside(_sample(it, self._warm_up, _REPLAY_SECONDS)) as sample:
                if traffic.connections:
                    outcome = (await self._drive(it, live, self._warm_up, _REPLAY_SECONDS)).outcome
                    _refuse_errors(outcome)
            if backlog and not await it.total("backlog_records", CLOUD):
                raise BenchmarkError("the backlog came to its end in the measured window: it needs more spans")
        replayed, cpu_seconds, seconds = sample.result()
        return Replay(
            traffic,
            replayed / seconds,
            cpu_seconds / replayed * 1e6 if not outcome else None,
            outcome.records / outcome.seconds if outcome else None,
            outcome.median_seconds * 1e3 if outcome else None,
            outcome.percentile99_seconds * 1e3 if outcome else None,
            cpu_seconds / seconds,
        )

    async def footprint(self, scenario: Scenario, spans: int) -> Footprint:
        """What starting with a backlog takes while the cloud is down. Raises BenchmarkError."""
        async with self._down((CLOUD,)), self._sidecar((LOCAL, CLOUD), backlog=spans) as it:
            disk = await asyncio.to_thread(lambda: it.buffer_disk_bytes)
            seen = await self._drive(it, scenario, self._warm_up + _NOTICE_SECONDS, self._seconds)
            _refuse_errors(seen.outcome)
        return Footprint(
            spans,
            it.start_seconds,
            it.idle.resident_bytes / 2**20,
            seen.after["subject"].resident_bytes / 2**20,
            disk / 2**20,
        )

    @asynccontextmanager
    async def _sidecar(
        self,
        destinations: Sequence[str],
        fault: Fault | None = None,
        *,
        backlog: int = 0,
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> AsyncIterator[Sidecar]:
        own, others = share_cpus(1)
        for server in self._servers.values():
            if server.mongod.pid:
                server.pin(others)
        uris = {name: self._servers[name].uri(fault) for name in destinations}
        database = next(self._databases)
        try:
            async with sidecar(self._target, uris, database, own, backlog=backlog, settings=settings) as it:
                yield it
        finally:
            await self._drop(database)

    @asynccontextmanager
    async def _outage(self, outage: Outage, delay: float) -> AsyncIterator[None]:
        """It comes so many seconds after the block began, and is over behind the block."""
        if outage.fault is None:
            yield
            return
        server = self._servers[outage.destination]
        try:
            async with _beside(_later(delay, partial(server.strike, outage.fault))):
                yield
        finally:
            await server.heal(outage.fault)

    @asynccontextmanager
    async def _down(self, names: Sequence[str]) -> AsyncIterator[None]:
        """These are killed within the block."""
        try:
            for name in names:
                await self._servers[name].strike(Fault.KILLED)
            yield
        finally:
            await self._heal(names)

    async def _heal(self, names: Sequence[str]) -> None:
        for name in names:
            if self._servers[name].mongod.pid is None:
                await self._servers[name].heal(Fault.KILLED)

    async def _drop(self, database: str) -> None:
        for server in self._servers.values():
            if server.mongod.pid:
                client: AsyncMongoClient[dict[str, Any]]
                async with AsyncMongoClient(server.mongod.uri) as client:
                    await client.drop_database(database)

    async def _drive(
        self,
        it: Sidecar,
        scenario: Scenario,
        warm_up: float,
        seconds: float,
        watched: Sequence[str] = (LOCAL, CLOUD),
    ) -> Observation:
        """`watched`: servers whose CPU time is of interest, those that run."""
        _, others = share_cpus(1)
        pids = {name: self._servers[name].mongod.pid for name in watched}
        return await drive(
            Command([str(GENERATOR)]).on(others),
            {"warmUpSeconds": warm_up, "seconds": seconds, **generator_plan(scenario, it.site)},
            {"subject": it.pid, **{name: pid for name, pid in pids.items() if pid}},
        )

    async def _verify(self, it: Sidecar, scenario: Scenario, destinations: Sequence[str], outcome: Outcome) -> None:
        await it.drained(destinations)
        least = outcome.acknowledged_records
        for name in destinations:
            client: AsyncMongoClient[dict[str, Any]]
            async with AsyncMongoClient(self._servers[name].mongod.uri) as client:
                stored = await client[it.site.database][SIGNALS[scenario.signal].collection].count_documents({})
            if not least <= stored <= least + outcome.unclear_records:
                raise BenchmarkError(f"{least:,} records were acknowledged and {stored:,} are stored in {name}")


@asynccontextmanager
async def _beside(work: Coroutine[Any, Any, T]) -> AsyncIterator[asyncio.Task[T]]:
    """Work that is done while the block runs, and to its end unless the block fails."""
    task = asyncio.create_task(work)
    try:
        yield task
        await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _later(seconds: float, action: Callable[[], Awaitable[None]]) -> None:
    await asyncio.sleep(seconds)
    await action()


async def _sample(it: Sidecar, warm_up: float, seconds: float) -> tuple[float, float, float]:
    """Records replayed to the cloud, CPU seconds and seconds of a window."""
    await asyncio.sleep(warm_up)
    samples = []
    for pause in (seconds, 0.0):
        samples.append(
            (await it.total("replayed_records_total", CLOUD), usage(it.pid).cpu_seconds, time.perf_counter())
        )
        await asyncio.sleep(pause)
    before, after = samples
    return after[0] - before[0], after[1] - before[1], after[2] - before[2]


def _refuse_errors(outcome: Outcome) -> None:
    if outcome.errors or outcome.partial_successes:
        raise BenchmarkError(f"the sidecar did not take everything: {dict(outcome.errors)}")
