"""Supervision of tasks that run as long as the process does.

A task that only its creator knows can end with nobody to see it, and with it what it was there for: the backlog is
replayed no more, or each append waits for ever. Here every such task has an owner, which starts it again when it ends
unasked, whatever ended it, counts that, and can say which tasks keep failing.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping

import structlog
from prometheus_client import CollectorRegistry, Counter

Work = Callable[[], Awaitable[None]]
"""Makes the coroutine of a task, anew for each start."""

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_SOUND_AFTER = 60.0
"""Seconds. A task that has run for so long since its last failure is well, and its next failure is a first one."""
_CANCEL_AGAIN = 0.1

_log = structlog.get_logger(__name__)


class Supervisor:
    """Starts tasks and keeps them running. One for each process, made in its composition root."""

    def __init__(
        self,
        registry: CollectorRegistry | None = None,
        *,
        first_pause: float = _FIRST_PAUSE,
        longest_pause: float = _LONGEST_PAUSE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`registry`: where restarts are counted. The pauses before restarts double, in seconds."""
        self._restarts = Counter(
            "otlp_mongo_exporter_task_restarts",
            "Restarts of a task that ended unasked",
            ("task",),
            registry=registry,
        )
        self._first_pause = first_pause
        self._longest_pause = longest_pause
        self._clock = clock
        self._tasks: dict[str, SupervisedTask] = {}

    def start(self, name: str, work: Work, *, may_return: bool = False) -> SupervisedTask:
        """Run `work` in a task. `name`: its label in the metrics, one of few.

        `may_return`: that it returns means that it is done; otherwise it is started again.
        """
        restarted = self._restarts.labels(name)
        pauses = (self._first_pause, self._longest_pause)
        self._tasks[name] = task = SupervisedTask(name, work, may_return, restarted.inc, pauses, self._clock)
        return task

    def failing(self) -> Mapping[str, str]:
        """The tasks that are waiting to be started again or failed lately, each with the reason."""
        return {name: task.problem for name, task in self._tasks.items() if task.problem}


class SupervisedTask:
    """A task that is started again until it is stopped."""

    def __init__(
        self,
        name: str,
        work: Work,
        may_return: bool,
        on_restart: Callable[[], None],
        pauses: tuple[float, float],
        clock: Callable[[], float],
    ) -> None:
        self._name = name
        self._work = work
        self._may_return = may_return
        self._on_restart = on_restart
        self._first_pause, self._longest_pause = pauses
        self._clock = clock
        self._started = clock()
        self._running = True
        self._problem = ""
        self._stopped = False
        self._last_run = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name=name)

    @property
    def done(self) -> bool:
        """Whether it has ended for good."""
        return self._task.done()

    @property
    def problem(self) -> str:
        """What ended it the last time, if it has not run well for long enough since; empty when all is well.

        Without the error's text, which may hold anything: the log has it.
        """
        if self.done or not self._problem or self._is_sound():
            return ""
        return f"{'running again' if self._running else 'to be started again'} after: {self._problem}"

    async def stop(self) -> None:
        """End it for good. Returns once it has ended.

        It is cancelled until it ends: `asyncio.wait_for`, which PyMongo waits with, may swallow a cancellation that
        comes together with what it waits for (Python issue 86296, fixed in 3.12).
        """
        self._stopped = True
        while not self._task.done():
            self._task.cancel()
            await asyncio.wait((self._task,), timeout=_CANCEL_AGAIN)

    async def finish(self) -> None:
        """Return once it has returned by itself, as the caller has told it to. It is not started again any more.

        One that is waiting to be started again runs once more.
        """
        self._last_run.set()
        await asyncio.wait((self._task,))

    async def _run(self) -> None:
        pause = self._first_pause
        while True:
            error = await self._end()
            if self._stopped or (error is None and self._may_return):
                return
            if self._is_sound():
                pause = self._first_pause
            self._problem = "a return" if error is None else type(error).__name__
            self._running = False
            if self._last_run.is_set():
                self._report("a task failed while it was finishing", error)
                return
            self._report("a task ended unexpectedly and is started again", error, pause_seconds=pause)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._last_run.wait()
            pause = min(2 * pause, self._longest_pause)
            self._on_restart()

    async def _end(self) -> BaseException | None:
        """Run once. Returns what ended it; None when it returned."""
        self._running = True
        self._started = self._clock()
        try:
            await self._work()
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except asyncio.CancelledError as error:
            if self._stopped or self._task.cancelling():
                raise
            return error  # what it waited for was cancelled, and nobody meant the task
        except BaseException as error:
            return error  # also what is no Exception, as a panic of an extension in Rust
        return None

    def _is_sound(self) -> bool:
        return self._running and self._clock() - self._started >= _SOUND_AFTER

    def _report(self, event: str, error: BaseException | None, **fields: float) -> None:
        # Even where logging is what failed.
        with contextlib.suppress(Exception):
            _log.error(event, task=self._name, exc_info=error, **fields)
