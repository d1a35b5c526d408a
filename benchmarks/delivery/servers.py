"""The MongoDBs that a delivery benchmark takes down, and the ways to do so."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.errors import BenchmarkError
from benchmarks.usage import pin
from sidecar.embedded import EmbeddedMongod, MongodState, find_mongod
from sidecar.embedded.state import MongodFolder
from tests.chaos.proxy import Proxy

LOCAL, CLOUD = "local", "cloud"
_CACHE_GIGABYTES = 1.0


class Fault(Enum):
    """What befalls a MongoDB."""

    KILLED = "killed (SIGKILL)"
    FROZEN = "stopped (SIGSTOP)"
    CUT_OFF = "link cut off, nobody told"


@dataclass(slots=True)
class Server:
    """A mongod with a link before it."""

    folder: Path
    mongod: EmbeddedMongod
    link: Proxy
    cpus: frozenset[int] | None = None
    cut: AsyncExitStack = field(default_factory=AsyncExitStack)
    """Mends the link when it is closed."""

    @property
    def pid(self) -> int:
        """Raises BenchmarkError when it does not run."""
        if self.mongod.pid is None:
            raise BenchmarkError("a mongod has ended that should run")
        return self.mongod.pid

    @property
    def _port(self) -> int:
        return _port_of(self.mongod)

    def uri(self, fault: Fault | None) -> str:
        """How the sidecar is to connect. By way of the link only where that is to be cut: it takes CPU time."""
        port = self.link.port if fault is Fault.CUT_OFF else self._port
        return f"mongodb://127.0.0.1:{port}/?directConnection=true"

    def pin(self, cpus: frozenset[int]) -> None:
        """Let it run on these CPUs only, also when it is started again."""
        self.cpus = cpus
        pin(self.pid, cpus)

    async def strike(self, fault: Fault) -> None:
        """Take it down: it is gone when this returns or, if it was killed, a moment later."""
        match fault:
            case Fault.KILLED:
                os.kill(self.pid, signal.SIGKILL)
                await self.mongod.stop()  # which would start it again
            case Fault.FROZEN:
                os.kill(self.pid, signal.SIGSTOP)
            case Fault.CUT_OFF:
                await self.cut.enter_async_context(self.link.silenced())

    async def heal(self, fault: Fault) -> None:
        """Undo `strike`, if it came to that. A killed one takes writes again when this returns."""
        match fault:
            case Fault.KILLED if self.mongod.pid is None:
                # As a killed owner leaves it: the next start takes the same port.
                state = MongodState(self.mongod.uri, self._port, 0)
                await asyncio.to_thread(MongodFolder(self.folder).write_state, state)
                await self.mongod.start()
                if self.cpus:
                    self.pin(self.cpus)
            case Fault.FROZEN:
                os.kill(self.pid, signal.SIGCONT)
            case Fault.CUT_OFF:
                await self.cut.aclose()
            case Fault.KILLED:
                pass


@asynccontextmanager
async def servers(folder: Path) -> AsyncIterator[Mapping[str, Server]]:
    """The local and the cloud one, by name, running within the block."""
    async with AsyncExitStack() as stack:
        made = {}
        for name in (LOCAL, CLOUD):
            mongod = EmbeddedMongod(folder / name, find_mongod(), cache_gigabytes=_CACHE_GIGABYTES)
            await mongod.start()
            stack.push_async_callback(mongod.stop)
            link = Proxy(_port_of(mongod))
            await link.start()
            stack.push_async_callback(link.stop)
            made[name] = Server(folder / name, mongod, link)
        yield made


def _port_of(mongod: EmbeddedMongod) -> int:
    port = urlsplit(mongod.uri).port
    assert port, "an embedded mongod's URI has one"
    return port
