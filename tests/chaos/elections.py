"""A sidecar before a replica set whose primary is killed, stopped, cut off or asked to step down again and again."""

from __future__ import annotations

import asyncio
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sidecar.embedded import find_mongod
from tests.chaos.replica_set import Member, ReplicaSet, replica_set, step_down
from tests.chaos.world import SidecarProcess, shuffled

Fault = Callable[[Member, random.Random], Awaitable[None]]


@dataclass(frozen=True)
class Elections:
    """Everything that is part of it."""

    sidecar: SidecarProcess
    replicas: ReplicaSet

    @property
    def grpc(self) -> str:
        return self.sidecar.grpc

    @property
    def http(self) -> str:
        return self.sidecar.http

    @property
    def stores(self) -> Mapping[str, str]:
        """What counts in the end is what a majority has."""
        return {"replica set": f"{self.replicas.uri}&readConcernLevel=majority"}


async def _killed(primary: Member, rng: random.Random) -> None:
    await primary.kill()
    await asyncio.sleep(rng.uniform(0, 4))
    await primary.start()


async def _stepped_down(primary: Member, _: random.Random) -> None:
    await step_down(primary)


async def _stopped(primary: Member, rng: random.Random) -> None:
    """Others are elected meanwhile; when it wakes up, it still believes to be primary."""
    primary.send(signal.SIGSTOP)
    try:
        await asyncio.sleep(rng.uniform(1, 6))
    finally:
        primary.send(signal.SIGCONT)


async def _cut_off(primary: Member, rng: random.Random) -> None:
    """Nobody reaches it, so that nothing it is told is followed by the others."""
    async with primary.link.cut():
        await asyncio.sleep(rng.uniform(1, 6))


async def _silenced(primary: Member, rng: random.Random) -> None:
    """As a partition where nobody is told: connections stay, and nothing comes."""
    async with primary.link.silenced():
        await asyncio.sleep(rng.uniform(1, 6))


FAULTS: Mapping[str, Fault] = {
    "primary killed": _killed,
    "primary stepped down": _stepped_down,
    "primary stopped (SIGSTOP)": _stopped,
    "primary cut off": _cut_off,
    "primary silenced": _silenced,
}


@asynccontextmanager
async def elections(folder: Path, **settings: str) -> AsyncIterator[Elections]:
    """All processes, started and in the end stopped. `settings`: of the sidecar, by environment name."""
    binary = await asyncio.to_thread(find_mongod)
    async with replica_set(folder, binary) as replicas:
        sidecar = SidecarProcess(folder, {"MONGODB_URI": replicas.uri, **settings})
        try:
            await sidecar.start()
            yield Elections(sidecar, replicas)
        finally:
            await sidecar.end()


async def elect(world: Elections, seed: int, seconds: float, *, every: tuple[float, float]) -> Counter[str]:
    """Each fault of whoever is primary, one at a time and at least once. Their counts, once all members are back."""
    rng = random.Random(seed)
    counts: Counter[str] = Counter()
    end = asyncio.get_running_loop().time() + seconds
    for name in shuffled(FAULTS, rng):
        await FAULTS[name](await world.replicas.primary(), rng)
        counts[name] += 1
        await world.replicas.whole()
        await asyncio.sleep(rng.uniform(*every))
        if asyncio.get_running_loop().time() >= end and counts.keys() == FAULTS.keys():
            break
    return counts
