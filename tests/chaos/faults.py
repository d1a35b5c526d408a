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

from pymongo.errors import PyMongoError

from tests.chaos.obstacles import no_descriptors, poison, refusing, send_poison, throttled
from tests.chaos.proxy import Proxy
from tests.chaos.world import Mongo, World, paused, shuffled

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


async def _pause_sidecar(world: World, rng: random.Random) -> None:
    async with paused(world.sidecar):
        await asyncio.sleep(rng.uniform(0.1, 4.0))


def _end(which: str, number: signal.Signals) -> Fault:
    """A mongod that is ended comes back by itself."""

    async def fault(world: World, _: random.Random) -> None:
        mongo: Mongo = getattr(world, which)
        await mongo.running()
        mongo.send(number)

    return fault


def _pause(which: str) -> Fault:
    async def fault(world: World, rng: random.Random) -> None:
        mongo: Mongo = getattr(world, which)
        await mongo.running()
        async with paused(mongo):
            await asyncio.sleep(rng.uniform(0.1, 4.0))

    return fault


_ON_MONGO: Mapping[str, Callable[[str], Fault]] = {
    "killed": lambda which: _end(which, signal.SIGKILL),
    "stopped": lambda which: _end(which, signal.SIGTERM),
    "paused": _pause,
}

LinkOf = Callable[[World], Proxy]
_LINKS: Mapping[str, LinkOf] = {
    "grpc": lambda world: world.grpc_link,
    "http": lambda world: world.http_link,
    "local": lambda world: world.local.link,
    "cloud": lambda world: world.cloud.link,
}


def _for_a_while(link_of: LinkOf, effect: Callable[[Proxy, random.Random], AbstractAsyncContextManager[None]]) -> Fault:
    async def fault(world: World, rng: random.Random) -> None:
        async with effect(link_of(world), rng):
            await asyncio.sleep(rng.uniform(0.1, 3.0))

    return fault


def _at_once(link_of: LinkOf, effect: Callable[[Proxy, random.Random], None]) -> Fault:
    async def fault(world: World, rng: random.Random) -> None:
        effect(link_of(world), rng)

    return fault


_ON_LINK: Mapping[str, Callable[[LinkOf], Fault]] = {
    "cut off": lambda link_of: _for_a_while(link_of, lambda link, _: link.cut()),
    "silenced": lambda link_of: _for_a_while(link_of, lambda link, _: link.silenced()),
    "slowed": lambda link_of: _for_a_while(link_of, lambda link, rng: link.delayed(rng.uniform(0.05, 1.5))),
    "narrowed": lambda link_of: _for_a_while(link_of, lambda link, rng: link.throttled(rng.uniform(20_000, 500_000))),
    "without answers": lambda link_of: _for_a_while(link_of, lambda link, _: link.unanswered()),
    "answer cut": lambda link_of: _at_once(link_of, lambda link, rng: link.lose_answer(rng.choice((0, 1, 40)))),
    "reset": lambda link_of: _at_once(link_of, lambda link, _: link.reset()),
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


async def _without_descriptors(world: World, rng: random.Random) -> None:
    async with no_descriptors(world.sidecar, rng.choice((0, 1, 5))):
        await asyncio.sleep(rng.uniform(0.1, 3.0))
    if (code := world.sidecar.exit_code) is not None:  # it was still starting
        assert code == 1, f"a start without descriptors ended with {code}"
        await world.sidecar.start()


async def _log_stalled(world: World, rng: random.Random) -> None:
    # Nothing to hold up where it was closed since the last start.
    with contextlib.suppress(OSError), world.sidecar.log_pipe.stalled(world.sidecar.pid):
        await asyncio.sleep(rng.uniform(0.1, 4.0))


async def _log_closed(world: World, _: random.Random) -> None:
    """Until the next start."""
    await asyncio.to_thread(world.sidecar.log_pipe.close)


def _throttled(which: str) -> Fault:
    async def fault(world: World, rng: random.Random) -> None:
        mongo: Mongo = getattr(world, which)
        with contextlib.suppress(PyMongoError):  # it may be down
            async with throttled(mongo, times=rng.randrange(1, 20)):
                await asyncio.sleep(rng.uniform(0.1, 3.0))

    return fault


def _collection_refused(which: str) -> Fault:
    async def fault(world: World, rng: random.Random) -> None:
        mongo: Mongo = getattr(world, which)
        with contextlib.suppress(PyMongoError):  # it may be down
            async with refusing(mongo, rng.choice(("spans", "metrics", "logs"))):
                await asyncio.sleep(rng.uniform(0.1, 3.0))

    return fault


async def _send_poison(world: World, rng: random.Random) -> None:
    """Acknowledged or not: its records have no numbers, and what is behind it counts."""
    await send_poison(world.http, poison(rng.randrange(1_000, 20_000)))


def table(*, small_disk: bool) -> Mapping[str, tuple[str, Fault]]:
    """The faults by name, each with what it happens to: to one thing, one fault at a time."""
    faults: dict[str, tuple[str, Fault]] = {
        "sidecar killed": ("sidecar", _kill_sidecar),
        "sidecar stopped": ("sidecar", _stop_sidecar),
        "sidecar paused": ("sidecar", _pause_sidecar),
        "sidecar without descriptors": ("sidecar", _without_descriptors),
        "sidecar's log unread": ("sidecar", _log_stalled),
        "sidecar's log closed": ("sidecar", _log_closed),
        "poison batch": ("poison", _send_poison),
    }
    for which in ("local", "cloud"):
        for name, on_mongo in _ON_MONGO.items():
            faults[f"{which} {name}"] = (which, on_mongo(which))
        faults[f"{which} throttled"] = (which, _throttled(which))
        faults[f"{which} collection refused"] = (which, _collection_refused(which))
    for which, link_of in _LINKS.items():
        for name, on_link in _ON_LINK.items():
            faults[f"{which} link {name}"] = (f"{which} link", on_link(link_of))
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
        for name in shuffled(faults, rng):
            target, fault = faults[name]
            fault_rng = random.Random(rng.random())
            if target not in busy:
                busy.add(target)
                counts[name] += 1
                tasks.create_task(run(target, fault, fault_rng))
            await asyncio.sleep(rng.uniform(*every))
            if asyncio.get_running_loop().time() >= end:
                break
    return counts
