"""What is done to the processes, at random but by a seed."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from tests.chaos.world import Mongo, World

Fault = Callable[[World, random.Random], Awaitable[None]]


async def _kill_sidecar(world: World, rng: random.Random) -> None:
    await world.sidecar.kill()
    await asyncio.sleep(rng.uniform(0, 0.5))
    await world.sidecar.start()


async def _stop_sidecar(world: World, rng: random.Random) -> None:
    code = await world.sidecar.stop()
    assert code == 0, f"a stop ended with {code}"
    await asyncio.sleep(rng.uniform(0, 0.5))
    await world.sidecar.start()


def _kill(which: str) -> Fault:
    async def fault(world: World, rng: random.Random) -> None:
        mongo: Mongo = getattr(world, which)
        mongo.send(signal.SIGKILL)

    return fault


def _for_a_while(
    which: str, effect: Callable[[Mongo, random.Random], AbstractAsyncContextManager[None]], longest: float
) -> Fault:
    async def fault(world: World, rng: random.Random) -> None:
        async with effect(getattr(world, which), rng):
            await asyncio.sleep(rng.uniform(0.1, longest))

    return fault


def _at_once(which: str, effect: Callable[[Mongo], None]) -> Fault:
    async def fault(world: World, rng: random.Random) -> None:
        effect(getattr(world, which))

    return fault


_ON_MONGO: Mapping[str, Callable[[str], Fault]] = {
    "killed": _kill,
    "paused": lambda which: _for_a_while(which, lambda mongo, _: mongo.paused(), 4.0),
    "cut off": lambda which: _for_a_while(which, lambda mongo, _: mongo.link.cut(), 3.0),
    "silenced": lambda which: _for_a_while(which, lambda mongo, _: mongo.link.silenced(), 3.0),
    "slowed": lambda which: _for_a_while(which, lambda mongo, rng: mongo.link.delayed(rng.uniform(0.05, 1.5)), 3.0),
    "reset": lambda which: _at_once(which, lambda mongo: mongo.link.reset()),
    "answer lost": lambda which: _at_once(which, lambda mongo: mongo.link.lose_answer()),
}


@asynccontextmanager
async def _full(folder: Path) -> AsyncIterator[None]:
    """No byte left on the file system of a folder."""
    filler = folder / "filler"

    def fill() -> None:
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(64 << 10))

    await asyncio.to_thread(fill)
    try:
        yield
    finally:
        filler.unlink(missing_ok=True)


async def _fill_disk(world: World, rng: random.Random) -> None:
    async with _full(world.sidecar.data):
        await asyncio.sleep(rng.uniform(0.5, 4.0))


def table(*, small_disk: bool) -> Mapping[str, tuple[str, Fault]]:
    """The faults by name, each with what it happens to: to one thing, one fault at a time."""
    faults: dict[str, tuple[str, Fault]] = {
        "sidecar killed": ("sidecar", _kill_sidecar),
        "sidecar stopped": ("sidecar", _stop_sidecar),
    }
    for which in ("local", "cloud"):
        for name, make in _ON_MONGO.items():
            faults[f"{which} {name}"] = (which, make(which))
    if small_disk:
        faults["disk full"] = ("disk", _fill_disk)
    return faults


async def wreak(
    world: World, seed: int, seconds: float, *, every: tuple[float, float], small_disk: bool = False
) -> Counter[str]:
    """Faults for a time, and their counts once the last has passed. `every`: bounds of the pause between two."""
    rng = random.Random(seed)
    faults = table(small_disk=small_disk)
    busy: set[str] = set()
    counts: Counter[str] = Counter()
    end = asyncio.get_running_loop().time() + seconds

    async def run(target: str, fault: Fault, fault_rng: random.Random) -> None:
        try:
            await fault(world, fault_rng)
        finally:
            busy.discard(target)

    async with asyncio.TaskGroup() as tasks:
        while asyncio.get_running_loop().time() < end:
            name = rng.choice(list(faults))
            target, fault = faults[name]
            fault_rng = random.Random(rng.random())
            if target not in busy:
                busy.add(target)
                counts[name] += 1
                tasks.create_task(run(target, fault, fault_rng))
            await asyncio.sleep(rng.uniform(*every))
    return counts
