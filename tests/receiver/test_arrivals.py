from __future__ import annotations

import asyncio

import pytest

from exporter import Overloaded, Unavailable
from receiver.arrivals import Arrivals
from receiver.memory import ProcessMemory
from tests.receiver.fakes import eventually

MIB = 1 << 20


class FakeMemory:
    """Tells what it is told to."""

    def __init__(self) -> None:
        self.used = 100
        self.unused = 0
        self.given_back = 0

    def in_use(self) -> int:
        return self.used

    def free(self) -> int:
        return self.unused

    def give_back(self) -> None:
        self.given_back += 1
        self.unused = 0


async def wait_in(arrivals: Arrivals, body: asyncio.Event) -> str:
    async with arrivals.body():
        await body.wait()
    return "there"


async def test_body_that_comes_is_taken() -> None:
    body = asyncio.Event()
    waiting = asyncio.ensure_future(wait_in(Arrivals(FakeMemory(), 100), body))

    body.set()

    assert await waiting == "there"


async def test_body_that_does_not_come_in_time_is_unavailable() -> None:
    arrivals = Arrivals(FakeMemory(), 100, body_seconds=0.05)

    with pytest.raises(Unavailable, match=r"within 0\.05 seconds"):
        await wait_in(arrivals, asyncio.Event())


async def test_body_failure_passes_unchanged() -> None:
    arrivals = Arrivals(FakeMemory(), 100)

    with pytest.raises(KeyError):
        async with arrivals.body():
            raise KeyError


async def test_slow_bodies_give_way_oldest_first_until_memory_suffices() -> None:
    memory, body = FakeMemory(), asyncio.Event()
    arrivals = Arrivals(memory, 100, tick_seconds=0.01)
    waiting = [asyncio.ensure_future(wait_in(arrivals, body)) for _ in range(4)]
    memory.used = 201

    await eventually(lambda: waiting[1].done())
    memory.used = 200
    body.set()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)

    assert isinstance(outcomes[0], Overloaded)
    assert isinstance(outcomes[1], Overloaded)
    assert outcomes[3] == "there"


async def test_bodies_are_left_alone_while_memory_suffices() -> None:
    memory, body = FakeMemory(), asyncio.Event()
    arrivals = Arrivals(memory, 100, tick_seconds=0.001)
    memory.used = 200
    waiting = asyncio.ensure_future(wait_in(arrivals, body))
    memory.unused = 65 * MIB

    await eventually(lambda: memory.given_back > 0)  # some ticks have passed
    body.set()

    assert await waiting == "there"


async def test_make_room_ends_the_oldest_body_but_no_young_one() -> None:
    body = asyncio.Event()
    arrivals = Arrivals(FakeMemory(), 100)
    waiting = [asyncio.ensure_future(wait_in(arrivals, body)) for _ in range(2)]
    await asyncio.sleep(0)

    young = arrivals.make_room(older_than=60.0)
    old = arrivals.make_room(older_than=-1.0)
    body.set()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)

    assert (young, old) == (False, True)
    assert isinstance(outcomes[0], Overloaded)
    assert outcomes[1] == "there"


def test_process_memory_sees_what_is_allocated_and_freed() -> None:
    memory = ProcessMemory()
    before = memory.in_use()

    block = bytes(64 * MIB)
    grown = memory.in_use() - before
    del block
    shrunk = memory.in_use() - before
    memory.give_back()

    if before:  # glibc
        assert 63 * MIB < grown < 80 * MIB
        assert shrunk < 16 * MIB
    assert memory.free() >= 0


async def test_body_that_goes_on_arriving_has_longer_but_not_at_any_rate() -> None:
    arrivals = Arrivals(FakeMemory(), 100, body_seconds=30.0)
    loop = asyncio.get_running_loop()

    async with arrivals.body() as arrival:
        arrival.since -= 100.0
        arrival.progress(16 * 1024 * 200)
        fast = arrival._timeout.when()
        arrival.progress(16 * 1024 * 71)
        slow = arrival._timeout.when()

    assert fast == pytest.approx(loop.time() + 30.0, abs=1.0)
    assert slow == pytest.approx(loop.time() + 1.0, abs=1.0)
