"""The processes under test: a sidecar, its local and its cloud MongoDB, and the links between them."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from sidecar.embedded import EmbeddedMongod, find_mongod
from tests.chaos.log_pipe import LogPipe
from tests.chaos.proxy import Proxy

_COMMAND = (sys.executable, "-c", "from sidecar.cli import main; main()")
_FAIL_POINTS = ("--setParameter", "enableTestCommands=1")
_READY_SECONDS = 30.0
_STOP_SECONDS = 40.0


class SidecarProcess:
    """`otlp-mongo serve` on ports that stay the same over its restarts."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self._folder = folder
        self.data = folder / "data"
        self.log = folder / "sidecar.log"
        self.grpc, self.http, self.admin, self.admin_grpc = (f"127.0.0.1:{port}" for port in _free_ports(4))
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OTLP_", "MONGODB_"))}
        self._environment = {
            **inherited,
            "OTLP_MONGO_GRPC_ENDPOINT": self.grpc,
            "OTLP_MONGO_HTTP_ENDPOINT": self.http,
            "OTLP_MONGO_ADMIN_ENDPOINT": self.admin,
            "OTLP_MONGO_ADMIN_GRPC_ENDPOINT": self.admin_grpc,
            "OTLP_MONGO_DATA_DIR": str(self.data),
            "OTLP_MONGO_LOG_FORMAT": "json",
            **settings,
        }
        self._process: Process | None = None
        self.log_pipe: LogPipe
        """What it writes its log to now."""

    async def start(self) -> None:
        """Return once it is ready."""
        self.log_pipe = LogPipe(self.log)
        with self.log_pipe.for_child() as log:
            self._process = await asyncio.create_subprocess_exec(
                *_COMMAND, "serve", cwd=self._folder, env=self._environment, stdin=DEVNULL, stdout=log, stderr=log
            )
        async with asyncio.timeout(_READY_SECONDS):
            while not await self.answers("/healthz"):
                assert self._process.returncode is None, self.log.read_text()[-2000:]
                await asyncio.sleep(0.02)

    async def command(self, *arguments: str) -> tuple[int, str]:
        """Another command with the same settings, beside it: exit code and output."""
        process = await asyncio.create_subprocess_exec(
            *_COMMAND, *arguments, cwd=self._folder, env=self._environment, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT
        )
        try:
            async with asyncio.timeout(_READY_SECONDS):
                output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return process.returncode or 0, output.decode()

    async def kill(self) -> None:
        assert self._process
        self._process.kill()
        await self._process.wait()
        await asyncio.to_thread(self.log_pipe.finish)

    async def stop(self) -> int:
        """End it as an orchestrator does; returns the exit code."""
        assert self._process
        assert self._process.returncode is None, self.log.read_text()[-2000:]
        self._process.terminate()
        async with asyncio.timeout(_STOP_SECONDS):
            code = await self._process.wait()
        await asyncio.to_thread(self.log_pipe.finish)
        return code

    async def listening(self) -> None:
        """Return once it listens for records too: it says that it is healthy before."""
        async with asyncio.timeout(_READY_SECONDS):
            while "OTLP_MONGO_HTTP_ENDPOINT" not in (await self.get("/readyz"))[1]:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.02)

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        assert self._process
        return self._process.returncode

    def send(self, number: signal.Signals) -> None:
        """A signal to the process."""
        assert self._process
        self._process.send_signal(number)

    async def end(self) -> None:
        """For the end of a test, whatever the state."""
        if self._process and self._process.returncode is None:
            await self.kill()

    async def answers(self, path: str) -> bool:
        status, _ = await self.get(path)
        return status == 200

    async def get(self, path: str) -> tuple[int, str]:
        """Status and body of an admin page; status 0 when nobody answers."""
        try:
            async with aiohttp.ClientSession() as session, session.get(f"http://{self.admin}{path}") as response:
                return response.status, await response.text()
        except aiohttp.ClientError:
            return 0, ""


class Mongo:
    """A mongod that comes back by itself when it is killed, and the link to it."""

    def __init__(self, folder: Path, binary: Path, arguments: Sequence[str] = ()) -> None:
        """`arguments`: mongod's own, beside those for fail points."""
        self.mongod = EmbeddedMongod(folder, binary, extra_arguments=(*_FAIL_POINTS, *arguments))
        self.link: Proxy

    async def start(self) -> None:
        await self.mongod.start()
        self.link = Proxy(int(self.mongod.uri.rpartition(":")[2].partition("/")[0]))
        await self.link.start()

    async def stop(self) -> None:
        self.send(signal.SIGCONT)
        await self.link.stop()
        await self.mongod.stop()

    @property
    def uri(self) -> str:
        """By way of the link. Server selection is short: a test has less time than an outage."""
        return f"mongodb://127.0.0.1:{self.link.port}/?directConnection=true&serverSelectionTimeoutMS=1000"

    def send(self, number: signal.Signals) -> None:
        """A signal to the process, if it runs just now."""
        if self.mongod.pid:
            os.kill(self.mongod.pid, number)

    async def running(self) -> None:
        """Return once there is a process: a killed one is on its way back."""
        while not self.mongod.pid:  # noqa: ASYNC110 - another process is waited for
            await asyncio.sleep(0.02)


@asynccontextmanager
async def paused(process: SidecarProcess | Mongo) -> AsyncIterator[None]:
    """Stopped in the middle of whatever it does, as on a machine that has no time for it."""
    process.send(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send(signal.SIGCONT)


@dataclass(frozen=True)
class World:
    """Everything that faults happen to."""

    sidecar: SidecarProcess
    local: Mongo
    cloud: Mongo
    grpc_link: Proxy
    http_link: Proxy

    @property
    def grpc(self) -> str:
        """The sidecar's endpoint by way of the link."""
        return f"127.0.0.1:{self.grpc_link.port}"

    @property
    def http(self) -> str:
        """The sidecar's endpoint by way of the link."""
        return f"127.0.0.1:{self.http_link.port}"

    @property
    def stores(self) -> Mapping[str, str]:
        """URIs of the destinations past their links, by name."""
        return {"local": self.local.mongod.uri, "cloud": self.cloud.mongod.uri}


@asynccontextmanager
async def world(folder: Path, *, cloud_arguments: Sequence[str] = (), **settings: str) -> AsyncIterator[World]:
    """All processes, started and in the end stopped. `settings`: of the sidecar, by environment name."""
    binary = await asyncio.to_thread(find_mongod)
    local, cloud = Mongo(folder / "local", binary), Mongo(folder / "cloud", binary, cloud_arguments)
    await asyncio.gather(local.start(), cloud.start())
    sidecar = SidecarProcess(folder, {"MONGODB_URI": local.uri, "MONGODB_CLOUD_URI": cloud.uri, **settings})
    links = [Proxy(_port(sidecar.grpc)), Proxy(_port(sidecar.http))]
    try:
        await asyncio.gather(sidecar.start(), *(link.start() for link in links))
        yield World(sidecar, local, cloud, *links)
    finally:
        await asyncio.gather(sidecar.end(), *(link.stop() for link in links))
        await asyncio.gather(local.stop(), cloud.stop())


def shuffled(names: Iterable[str], rng: random.Random) -> Iterator[str]:
    """Without end; every name once before any comes again."""
    deck = list(names)
    while True:
        rng.shuffle(deck)
        yield from deck


def _port(endpoint: str) -> int:
    return int(endpoint.rpartition(":")[2])


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(listener.getsockname()[1]) for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports
