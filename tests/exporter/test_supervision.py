"""Tasks that end in all the ways there are, and what the supervisor makes of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NoReturn

import pytest
import structlog
from prometheus_client import CollectorRegistry

from exporter.supervision import SupervisedTask, Supervisor

_PATIENCE = 5.0


class Panic(BaseException):
    """As an extension in Rust raises it: no Exception."""


class Worker:
    """Work that ends as each of `endings` says, and then runs on until it is told to return."""

    def __init__(self, *endings: BaseException | None) -> None:
        self.endings = list(endings)
        self.runs = 0
        self.lasting = asyncio.Event()
        self.told = asyncio.Event()

    async def __call__(self) -> None:
        self.runs += 1
        if self.endings:
            if ending := self.endings.pop(0):
                raise ending
            return
        self.lasting.set()
        await self.told.wait()


class Setup:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.now = 0.0
        self.supervisor = Supervisor(self.registry, first_pause=0.001, longest_pause=0.002, clock=lambda: self.now)

    def restarts(self, task: str = "work") -> float | None:
        return self.registry.get_sample_value("otlp_mongo_exporter_task_restarts_total", {"task": task})

    @asynccontextmanager
    async def running(self, work: Callable[[], Awaitable[None]]) -> AsyncIterator[SupervisedTask]:
        task = self.supervisor.start("work", work)
        try:
            yield task
        finally:
            await asyncio.wait_for(task.stop(), _PATIENCE)


@pytest.fixture
def setup() -> Setup:
    return Setup()


async def failed(supervisor: Supervisor) -> None:
    async with asyncio.timeout(_PATIENCE):
        while not supervisor.failing():  # noqa: ASYNC110 - what it shows is what is waited for
            await asyncio.sleep(0)


async def within_patience(event: asyncio.Event) -> None:
    await asyncio.wait_for(event.wait(), _PATIENCE)


@pytest.mark.parametrize(
    ("ending", "problem"),
    [
        (ValueError("a secret"), "running again after: ValueError"),
        (Panic(), "running again after: Panic"),
        (asyncio.CancelledError(), "running again after: CancelledError"),
        (None, "running again after: a return"),
    ],
)
async def test_task_that_ends_unasked_is_started_again_counted_and_shown(
    setup: Setup, ending: BaseException | None, problem: str
) -> None:
    work = Worker(ending)

    async with setup.running(work):
        await within_patience(work.lasting)

        assert work.runs == 2
        assert setup.restarts() == 1
        assert setup.supervisor.failing() == {"work": problem}


async def test_task_that_runs_is_not_shown_and_counted_as_never_restarted(setup: Setup) -> None:
    work = Worker()

    async with setup.running(work):
        await within_patience(work.lasting)

        assert setup.restarts() == 0
        assert setup.supervisor.failing() == {}


async def test_task_that_has_run_well_since_its_failure_is_no_longer_shown(setup: Setup) -> None:
    work = Worker(ValueError())

    async with setup.running(work):
        await within_patience(work.lasting)
        setup.now += 61

        assert setup.supervisor.failing() == {}


async def test_task_whose_logging_fails_is_started_again(setup: Setup) -> None:
    def raising(*_arguments: Any) -> NoReturn:
        raise OSError("no space left on device")

    work = Worker(ValueError(), ValueError())
    structlog.configure(processors=[raising])
    try:
        async with setup.running(work):
            await within_patience(work.lasting)
    finally:
        structlog.reset_defaults()

    assert work.runs == 3


async def test_task_that_may_return_is_not_started_again_when_it_does(setup: Setup) -> None:
    work = Worker(ValueError(), None)

    task = setup.supervisor.start("work", work, may_return=True)
    await asyncio.wait_for(task.finish(), _PATIENCE)

    assert work.runs == 2
    assert task.done
    assert setup.supervisor.failing() == {}


async def test_finish_of_task_that_fails_ends_it(setup: Setup) -> None:
    failing = asyncio.Event()
    told = asyncio.Event()

    async def work() -> None:
        failing.set()
        await told.wait()
        raise ValueError

    task = setup.supervisor.start("work", work, may_return=True)
    await within_patience(failing)
    finishing = asyncio.create_task(task.finish())
    await asyncio.sleep(0)
    told.set()
    await asyncio.wait_for(finishing, _PATIENCE)

    assert task.done
    assert setup.restarts() == 0


async def test_finish_while_it_waits_to_be_started_again_runs_it_once_more_at_once() -> None:
    supervisor = Supervisor(first_pause=3600)
    work = Worker(ValueError(), None)
    task = supervisor.start("work", work, may_return=True)
    await failed(supervisor)

    await asyncio.wait_for(task.finish(), _PATIENCE)

    assert work.runs == 2


async def test_stop_while_it_waits_to_be_started_again_ends_it() -> None:
    supervisor = Supervisor(first_pause=3600)
    work = Worker(ValueError())
    task = supervisor.start("work", work)
    await failed(supervisor)
    assert supervisor.failing() == {"work": "to be started again after: ValueError"}

    await asyncio.wait_for(task.stop(), _PATIENCE)

    assert work.runs == 1
    assert task.done


async def test_stop_of_task_that_swallows_a_cancellation_ends_it_all_the_same(setup: Setup) -> None:
    started = asyncio.Event()

    async def work() -> None:
        started.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    task = setup.supervisor.start("work", work)
    await within_patience(started)

    await asyncio.wait_for(task.stop(), _PATIENCE)

    assert task.done
    assert setup.restarts() == 0


async def test_end_of_the_loop_ends_a_task_that_nobody_stopped(setup: Setup) -> None:
    """As `asyncio.run` does with what is left."""
    work = Worker()
    setup.supervisor.start("work", work)
    await within_patience(work.lasting)
    (task,) = (task for task in asyncio.all_tasks() if task.get_name() == "work")

    task.cancel()
    await asyncio.wait((task,), timeout=_PATIENCE)

    assert task.cancelled()
    assert work.runs == 1


async def test_pauses_double_up_to_the_longest_and_begin_anew_after_it_ran_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []

    def timeout(seconds: float) -> asyncio.Timeout:
        pauses.append(seconds)
        return asyncio.Timeout(0)

    now = 0.0
    supervisor = Supervisor(first_pause=1, longest_pause=4, clock=lambda: now)
    done = asyncio.Event()
    runs = 0

    async def work() -> None:
        nonlocal now, runs
        runs += 1
        if runs == 5:
            now += 61
        if runs == 6:
            done.set()
            await asyncio.Event().wait()
        raise ValueError

    monkeypatch.setattr("exporter.supervision.asyncio.timeout", timeout)
    task = supervisor.start("work", work)
    await done.wait()
    monkeypatch.undo()
    await task.stop()

    assert pauses == [1, 2, 4, 4, 1]
