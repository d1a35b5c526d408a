"""The life of the embedded mongod: start, watch over, stop."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import Process
from collections.abc import Sequence
from pathlib import Path

import structlog

from exporter.supervision import SupervisedTask, Supervisor
from sidecar.embedded import process as processes
from sidecar.embedded.errors import MongodRefused, MongodTooSlow
from sidecar.embedded.replica_set import wait_until_primary
from sidecar.embedded.state import MongodFolder, MongodState

_log = structlog.get_logger(__name__)

_PORT_IN_USE_EXIT_CODE = 48
_PORT_TRIES = 5
_FIRST_BACKOFF = 0.2
_LONGEST_BACKOFF = 30.0


class EmbeddedMongod:
    """A mongod as a one-node replica set in a folder, on a free port of the loopback interface.

    It is restarted on the same port when it ends by itself, and ends with us. A mongod left behind by a killed
    sidecar is stopped by the next start in the same folder.
    """

    def __init__(
        self,
        folder: Path,
        binary: Path,
        *,
        cache_gigabytes: float = 0.25,
        extra_arguments: Sequence[str] = (),
        start_timeout: float = 60.0,
        stop_grace: float = 10.0,
        tasks: Supervisor | None = None,
    ) -> None:
        """`folder`: made when missing. Timeouts are in seconds. `tasks`: the owner of the one that watches over mongod.

        `extra_arguments`: mongod's own, in place of ours where both name an option.
        """
        self._folder = MongodFolder(folder.absolute())
        self._binary = binary
        self._cache_gigabytes = cache_gigabytes
        self._extra_arguments = extra_arguments
        self._start_timeout = start_timeout
        self._stop_grace = stop_grace
        self._port = 0
        self._process: Process | None = None
        self._tasks = tasks or Supervisor()
        self._watch: SupervisedTask | None = None
        self._restarts = 0

    @property
    def uri(self) -> str:
        """Connects to the one node directly: its replica set has no other."""
        return f"mongodb://127.0.0.1:{self._port}/?directConnection=true"

    @property
    def pid(self) -> int | None:
        """The id of the running process; None while there is none."""
        process = self._process
        return process.pid if process and process.returncode is None else None

    @property
    def restarts(self) -> int:
        """How often mongod ended by itself and was started again."""
        return self._restarts

    async def start(self) -> None:
        """Return once mongod is primary.

        Raises:
            EmbeddedMongodError: it cannot run, and why.
        """
        await asyncio.to_thread(self._folder.open)
        try:
            await self._stop_orphan()
            await self._start_on_free_port()
        except BaseException:
            await self._end_process(self._stop_grace)
            await asyncio.to_thread(self._folder.close)
            raise
        self._watch = self._tasks.start("embedded mongod", self._keep_running)

    async def stop(self, grace: float | None = None) -> None:
        """End mongod, by force after `grace` seconds, and give the folder back. May be called in any state."""
        if self._watch:
            await self._watch.stop()
            self._watch = None
        await self._end_process(self._stop_grace if grace is None else min(grace, self._stop_grace))
        await asyncio.to_thread(self._folder.close)

    async def _stop_orphan(self) -> None:
        orphan = await asyncio.to_thread(self._folder.orphan)
        if orphan is not None:
            _log.warning("stopping the embedded mongod that a killed sidecar left behind", pid=orphan)
            await processes.terminate_orphan(orphan, self._folder, self._stop_grace)

    async def _start_on_free_port(self) -> None:
        last = await asyncio.to_thread(MongodState.read, self._folder.path)
        preferred = last.port if last else None
        for tries_left in reversed(range(_PORT_TRIES)):
            self._port = processes.free_port(preferred)
            try:
                await self._run()
            except MongodRefused as error:
                # Somebody was faster to take the port that was free a moment ago.
                if error.exit_code != _PORT_IN_USE_EXIT_CODE or not tries_left:
                    raise
                preferred = None
            else:
                return

    async def _run(self) -> None:
        """Start the process and wait until it is primary."""
        await asyncio.to_thread(self._folder.rotate_log)
        log_offset = await asyncio.to_thread(self._folder.log_size)
        self._process = process = await processes.launch(
            self._binary, self._folder, self._port, self._cache_gigabytes, self._extra_arguments
        )
        ended = asyncio.create_task(process.wait())
        primary = asyncio.create_task(wait_until_primary(self._port, process.pid))
        try:
            done, _ = await asyncio.wait(
                (ended, primary), timeout=self._start_timeout, return_when=asyncio.FIRST_COMPLETED
            )
            if ended in done:
                raise await asyncio.to_thread(processes.failure, self._binary, self._folder, ended.result(), log_offset)
            if not done:
                raise MongodTooSlow(self._start_timeout, self._folder.log)
            primary.result()
        finally:
            ended.cancel()
            primary.cancel()
            await asyncio.gather(ended, primary, return_exceptions=True)
        state = MongodState(uri=self.uri, port=self._port, pid=process.pid)
        await asyncio.to_thread(self._folder.write_state, state)

    async def _keep_running(self) -> None:
        """Start mongod again, on the same port, whenever it has ended; the clients reconnect by themselves."""
        backoff = _FIRST_BACKOFF
        while True:
            if self._process:
                exit_code = await self._process.wait()
                _log.error("the embedded mongod ended; starting it again", exit_code=exit_code, backoff_seconds=backoff)
            await asyncio.sleep(backoff)
            try:
                await self._run()
            except Exception as error:
                _log.error("the embedded mongod does not start", error=str(error))
                await self._end_process(self._stop_grace)
                backoff = min(backoff * 2, _LONGEST_BACKOFF)
            else:
                self._restarts += 1
                backoff = _FIRST_BACKOFF
                _log.info("the embedded mongod is back", pid=self.pid)

    async def _end_process(self, grace: float) -> None:
        if self._process:
            await processes.terminate(self._process, grace)
            self._process = None
