"""Three mongods as one replica set. Members and clients reach each by way of its link, which can be cut."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from sidecar.embedded.process import REPLICA_SET, free_port, launch, terminate
from sidecar.embedded.state import MongodFolder
from tests.chaos.proxy import Proxy

Client = AsyncMongoClient[dict[str, Any]]

_ARGUMENTS = ("--setParameter", "enableTestCommands=1", "--oplogSize", "200")
_QUICK = {"electionTimeoutMillis": 2500, "heartbeatIntervalMillis": 500, "heartbeatTimeoutSecs": 2}
"""An election takes about three seconds instead of twelve: a test has less time than an outage."""
_SECONDS = 40.0
_POLL = 0.05


class Member:
    """A mongod that stays where it is, on a port of its own, and what it is called by: the port of its link."""

    def __init__(self, folder: Path, binary: Path) -> None:
        self._binary = binary
        self._folder = MongodFolder(folder)
        self._port = free_port(None)
        self._process: Process | None = None
        self.link = Proxy(self._port)

    @property
    def name(self) -> str:
        """As the replica set knows it."""
        return f"127.0.0.1:{self.link.port}"

    @property
    def uri(self) -> str:
        """Past the link, to this one alone."""
        return f"mongodb://127.0.0.1:{self._port}/?directConnection=true&serverSelectionTimeoutMS=2000"

    async def open(self) -> None:
        await asyncio.to_thread(self._folder.open)
        await self.link.start()

    async def start(self) -> None:
        """Return once it listens."""
        self._process = await launch(self._binary, self._folder, self._port, 0.25, _ARGUMENTS)
        async with asyncio.timeout(_SECONDS):
            while True:
                assert self._process.returncode is None, self._folder.log.read_text()[-2000:]
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", self._port)
                    writer.close()
                    return
                await asyncio.sleep(_POLL)

    def send(self, number: signal.Signals) -> None:
        """A signal to the process, if it runs just now."""
        if self._process and self._process.returncode is None:
            self._process.send_signal(number)

    async def kill(self) -> None:
        assert self._process
        self._process.kill()
        await self._process.wait()

    async def close(self) -> None:
        self.send(signal.SIGCONT)
        if self._process:
            await terminate(self._process, 10.0)
        await self.link.stop()
        await asyncio.to_thread(self._folder.close)


class ReplicaSet:
    """All three."""

    def __init__(self, folder: Path, binary: Path) -> None:
        self.members = [Member(folder / f"member-{number}", binary) for number in range(3)]

    @property
    def uri(self) -> str:
        """By way of the links."""
        hosts = ",".join(member.name for member in self.members)
        return f"mongodb://{hosts}/?replicaSet={REPLICA_SET}&serverSelectionTimeoutMS=1000"

    async def start(self) -> None:
        """Return once there is a primary, and two that follow it."""
        await asyncio.gather(*(member.open() for member in self.members))
        await asyncio.gather(*(member.start() for member in self.members))
        members = [{"_id": number, "host": member.name} for number, member in enumerate(self.members)]
        async with Client(self.members[0].uri) as client:
            await client.admin.command(
                {"replSetInitiate": {"_id": REPLICA_SET, "members": members, "settings": _QUICK}}
            )
        await self.whole()

    async def stop(self) -> None:
        await asyncio.gather(*(member.close() for member in self.members))

    async def primary(self) -> Member:
        """The one that says that it takes writes. Of two, for a moment, that of the later election."""
        async with asyncio.timeout(_SECONDS):
            while True:
                seen = [
                    (term, number) for number, (state, term) in enumerate(await self._states()) if state == "PRIMARY"
                ]
                if seen:
                    return self.members[max(seen)[1]]
                await asyncio.sleep(_POLL)

    async def whole(self) -> None:
        """Return once one is primary and the others follow it."""
        async with asyncio.timeout(_SECONDS):
            while sorted(state for state, _ in await self._states()) != ["PRIMARY", "SECONDARY", "SECONDARY"]:  # noqa: ASYNC110 - other processes
                await asyncio.sleep(_POLL)

    async def term(self) -> int:
        """How many elections there were, won or not."""
        return max(term for _, term in await self._states())

    async def _states(self) -> list[tuple[str, int]]:
        """What each says of itself, and the number of the last election that it knows of."""
        return await asyncio.gather(*(_state(member) for member in self.members))


async def _state(member: Member) -> tuple[str, int]:
    with contextlib.suppress(PyMongoError, TimeoutError):
        async with asyncio.timeout(2), Client(member.uri) as client:
            status = await client.admin.command("replSetGetStatus")
            own = next(each for each in status["members"] if each.get("self"))
            return own["stateStr"], int(status["term"])
    return "UNKNOWN", 0


async def step_down(member: Member) -> None:
    """Make a primary step down, if it still is one."""
    with contextlib.suppress(PyMongoError):
        async with Client(member.uri) as client:
            await client.admin.command({"replSetStepDown": 5, "secondaryCatchUpPeriodSecs": 2, "force": True})


@asynccontextmanager
async def replica_set(folder: Path, binary: Path) -> AsyncIterator[ReplicaSet]:
    """One that is started and in the end stopped."""
    made = ReplicaSet(folder, binary)
    try:
        await made.start()
        yield made
    finally:
        await made.stop()
