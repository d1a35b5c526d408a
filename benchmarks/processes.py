"""Starting and ending the processes that are measured."""

from __future__ import annotations

import asyncio
import os
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from benchmarks.errors import BenchmarkError

_POLL = 0.005
_STOP_GRACE = 20.0
_SETTINGS = ("MONGODB_", "OTLP_MONGO_", "OTEL_", "ROTEL_", "COLLECTOR_")


@dataclass(frozen=True, slots=True)
class Command:
    """A program to run; `env` comes on top of our own environment."""

    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)

    def on(self, cpus: frozenset[int]) -> Command:
        """The same on some CPUs only, which a runtime that sizes its thread pools by them sees at its start."""
        return Command(["taskset", "--cpu-list", ",".join(map(str, sorted(cpus))), *self.argv], self.env)


@asynccontextmanager
async def running(command: Command, log: Path) -> AsyncIterator[Process]:
    """A process that ends with the block. Its output goes to `log`."""
    output = await asyncio.to_thread(log.open, "wb")
    try:
        process = await asyncio.create_subprocess_exec(
            *command.argv,
            cwd=log.parent,
            env={**_neutral_environment(), **command.env},
            stdin=DEVNULL,
            stdout=output,
            stderr=output,
        )
    finally:
        output.close()
    try:
        yield process
    finally:
        await _end(process)


def _neutral_environment() -> Mapping[str, str]:
    """Ours without what would configure a target behind our back, as a `.env` in the working directory would."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)}


async def _end(process: Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(_STOP_GRACE):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def wait_until(ready: Callable[[], Awaitable[bool]], process: Process, log: Path, seconds: float) -> float:
    """Wait until a process is ready and return the seconds that took.

    Raises:
        BenchmarkError: it ended, or was not ready in time.
    """
    begin = time.perf_counter()
    while not await ready():
        if process.returncode is not None:
            raise BenchmarkError(f"a process ended with {process.returncode} instead of getting ready: {_tail(log)}")
        if time.perf_counter() - begin > seconds:
            raise BenchmarkError(f"a process was not ready within {seconds:g} s: {_tail(log)}")
        await asyncio.sleep(_POLL)
    return time.perf_counter() - begin


def accepts(port: int) -> Callable[[], Awaitable[bool]]:
    """Whether something listens on a port of the loopback interface."""

    async def probe() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        return True

    return probe


def answers(url: str) -> Callable[[], Awaitable[bool]]:
    """Whether a GET is answered with 200."""

    async def probe() -> bool:
        try:
            async with aiohttp.ClientSession() as session, session.get(url) as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False

    return probe


def _tail(log: Path) -> str:
    return log.read_text(errors="replace").strip()[-500:] or "it wrote nothing"
