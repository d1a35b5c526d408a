"""Tells gRPC's health service what `/readyz` says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from exporter.supervision import SupervisedTask, Supervisor
from sidecar.health import Health

_LOOK_SECONDS = 1.0
"""Between looks: each costs some microseconds, and whoever watches is told of changes only."""

Tell = Callable[[bool], Awaitable[None]]


class ReadinessWatch:
    """Looks once a second whether the sidecar is ready, and tells when that changes."""

    def __init__(self, health: Health, tell: Tell, tasks: Supervisor) -> None:
        self._health = health
        self._tell = tell
        self._tasks = tasks
        self._task: SupervisedTask | None = None

    async def start(self) -> None:
        """Before it returns, what is so by then is told."""
        await self.look()
        self._task = self._tasks.start("readiness", self._run)

    async def stop(self, _grace: float = 0) -> None:
        """May be called in any state."""
        if self._task:
            await self._task.stop()
            self._task = None

    async def look(self) -> None:
        """Look now."""
        await self._tell(self._health.ready)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            await self.look()
