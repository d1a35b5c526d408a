"""Reading again, when SIGHUP asks for it, what may have changed while we run: secrets from files, certificates."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from exporter.supervision import SupervisedTask, Supervisor
from sidecar.errors import UserError

_log = structlog.get_logger(__name__)

Hook = Callable[[], Awaitable[str]]
"""Reads something again and puts it to use. Returns what came of it, for the log, without secrets.

Raises UserError when it cannot be read or is wrong; what was in use stays in use then.
"""


class Reload:
    """Calls the hooks of all parts, one after the other, each time it is asked to."""

    def __init__(self, tasks: Supervisor) -> None:
        self._tasks = tasks
        self._hooks: dict[str, Hook] = {}
        self._asked = asyncio.Event()
        self._task: SupervisedTask | None = None

    def register(self, name: str, hook: Hook) -> None:
        """`name`: what the hook reads, as the log calls it."""
        self._hooks[name] = hook

    def ask(self) -> None:
        """Read all of it again soon. What is asked for while that is under way is done afterwards."""
        self._asked.set()

    async def start(self) -> None:
        self._task = self._tasks.start("reload", self._run)

    async def stop(self, _grace: float) -> None:
        """May be called in any state."""
        if self._task:
            await self._task.stop()
            self._task = None

    async def _run(self) -> None:
        while True:
            await self._asked.wait()
            self._asked.clear()
            _log.info("reading secrets and certificates again", what=list(self._hooks))
            for name, hook in self._hooks.items():
                await self._call(name, hook)

    async def _call(self, name: str, hook: Hook) -> None:
        try:
            outcome = await hook()
        except UserError as error:
            _log.error("cannot be read again: what was in use stays in use", what=name, reason=str(error))
        except Exception:
            _log.exception("cannot be read again: what was in use stays in use", what=name)
        else:
            _log.info("read again", what=name, outcome=outcome)
