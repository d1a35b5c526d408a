"""Order of start and stop, with parts that only write down what happens to them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from sidecar.lifecycle import Lifecycle, Part


class Journal:
    """Makes parts, and remembers what was asked of them."""

    def __init__(self) -> None:
        self.entries: list[str] = []
        self.graces: list[float] = []
        self.now = 0.0

    def part(
        self,
        name: str,
        *,
        start_error: Exception | None = None,
        stop_error: Exception | None = None,
        stop_takes: float = 0,
        start_hook: Callable[[], None] = lambda: None,
    ) -> Part:
        async def start() -> None:
            self.entries.append(f"start {name}")
            start_hook()
            if start_error:
                raise start_error
            await asyncio.sleep(0)

        async def stop(grace: float) -> None:
            self.entries.append(f"stop {name}")
            self.graces.append(grace)
            self.now += stop_takes
            if stop_error:
                raise stop_error

        return Part(name, start, stop)


@pytest.fixture
def journal() -> Journal:
    return Journal()


async def test_stop_after_start_goes_in_reverse(journal: Journal) -> None:
    lifecycle = Lifecycle([journal.part("a"), journal.part("b")])
    await lifecycle.start()

    clean = await lifecycle.stop(5)

    assert clean
    assert journal.entries == ["start a", "start b", "stop b", "stop a"]


async def test_start_when_a_part_fails_stops_it_and_those_before_it_and_raises(journal: Journal) -> None:
    lifecycle = Lifecycle([journal.part("a"), journal.part("b", start_error=OSError("port in use")), journal.part("c")])

    with pytest.raises(OSError, match="port in use"):
        await lifecycle.start()

    assert journal.entries == ["start a", "start b", "stop b", "stop a"]


async def test_start_when_rollback_fails_too_raises_first_error(journal: Journal) -> None:
    lifecycle = Lifecycle(
        [journal.part("a", stop_error=RuntimeError("again")), journal.part("b", start_error=OSError("port in use"))]
    )

    with pytest.raises(OSError, match="port in use"):
        await lifecycle.start()


async def test_start_cancelled_half_way_stops_what_had_started(journal: Journal) -> None:
    waits = asyncio.Event()

    async def start() -> None:
        waits.set()
        await asyncio.Event().wait()

    lifecycle = Lifecycle([journal.part("a"), Part("b", start, journal.part("b").stop), journal.part("c")])
    starting = asyncio.create_task(lifecycle.start())
    await waits.wait()

    starting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await starting
    assert journal.entries == ["start a", "stop b", "stop a"]


async def test_stop_when_a_part_fails_stops_the_others_and_is_not_clean(journal: Journal) -> None:
    lifecycle = Lifecycle([journal.part("a"), journal.part("b", stop_error=RuntimeError("no"))])
    await lifecycle.start()

    clean = await lifecycle.stop(5)

    assert not clean
    assert journal.entries[-2:] == ["stop b", "stop a"]


async def test_stop_gives_each_part_what_is_left_of_the_grace(journal: Journal) -> None:
    parts = [journal.part("a"), journal.part("b", stop_takes=6), journal.part("c", stop_takes=3)]
    lifecycle = Lifecycle(parts, clock=lambda: journal.now)
    await lifecycle.start()

    await lifecycle.stop(10)

    assert journal.graces == [10, 7, 1]


async def test_stop_of_part_that_hangs_is_cut_off_and_not_clean(journal: Journal) -> None:
    cut_off = asyncio.Event()

    async def start() -> None:
        pass

    async def stop(_grace: float) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cut_off.set()

    lifecycle = Lifecycle([journal.part("a"), Part("b", start, stop)])
    await lifecycle.start()

    clean = await lifecycle.stop(0)

    assert not clean
    assert cut_off.is_set()
    assert journal.entries[-1] == "stop a"


async def test_stop_twice_stops_once(journal: Journal) -> None:
    lifecycle = Lifecycle([journal.part("a")])
    await lifecycle.start()
    await lifecycle.stop(5)

    await lifecycle.stop(5)

    assert journal.entries == ["start a", "stop a"]
