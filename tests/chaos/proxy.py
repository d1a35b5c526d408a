"""A TCP link that can be cut, reset, slowed down, silenced, or made to lose an answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_CHUNK = 64 << 10


class Proxy:
    """Forwards connections to a port of this machine."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._passing = _set_event()
        self._answering = _set_event()
        self._accepting = True
        self._delay = 0.0
        self._speed: float | None = None
        self._free_at = 0.0
        """When the throttled link has carried what it was given."""
        self._cut_after: int | None = None

    @property
    def port(self) -> int:
        assert self._server
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._on_connection, "127.0.0.1", 0)

    async def stop(self) -> None:
        assert self._server
        self._server.close()
        self.reset()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def reset(self) -> None:
        """Break every connection."""
        for connection in self._connections:
            connection.cancel()

    @asynccontextmanager
    async def cut(self) -> AsyncIterator[None]:
        """Break every connection, and let nobody connect meanwhile."""
        self._accepting = False
        self.reset()
        try:
            yield
        finally:
            self._accepting = True

    @asynccontextmanager
    async def silenced(self) -> AsyncIterator[None]:
        """Forward nothing, and tell nobody."""
        self._passing.clear()
        try:
            yield
        finally:
            self._passing.set()

    @asynccontextmanager
    async def delayed(self, seconds: float) -> AsyncIterator[None]:
        """Forward each piece of an answer later."""
        self._delay = seconds
        try:
            yield
        finally:
            self._delay = 0.0

    @asynccontextmanager
    async def throttled(self, bytes_a_second: float) -> AsyncIterator[None]:
        """Let through only so much of what is asked, over all connections together."""
        self._speed = bytes_a_second
        try:
            yield
        finally:
            self._speed = None

    @asynccontextmanager
    async def unanswered(self) -> AsyncIterator[None]:
        """Forward what is asked but no answers, and break every connection in the end."""
        self._answering.clear()
        try:
            yield
        finally:
            self.reset()
            self._answering.set()

    def lose_answer(self, after: int = 0) -> None:
        """Break the next connection that the target answers on, when so many bytes of the answer have passed."""
        self._cut_after = after

    def _on_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._forward(reader, writer))
        self._connections.add(task)

        def end(task: asyncio.Task[None]) -> None:
            # Here and not in the task, which may be cancelled before it begins.
            writer.transport.abort()
            self._connections.discard(task)
            if not task.cancelled():
                task.exception()  # what a broken link is for

        task.add_done_callback(end)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._accepting:
            return
        target_reader, target_writer = await asyncio.open_connection("127.0.0.1", self._target)
        pumps = [
            asyncio.create_task(self._pump(reader, target_writer, answers=False)),
            asyncio.create_task(self._pump(target_reader, writer, answers=True)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            target_writer.transport.abort()
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                await self._passing.wait()
                cut_after = None
                if self._speed and not answers:
                    now = asyncio.get_running_loop().time()
                    self._free_at = max(self._free_at, now) + len(data) / self._speed
                    await asyncio.sleep(self._free_at - now)
                if answers:
                    await self._answering.wait()
                    await asyncio.sleep(self._delay)
                    cut_after, self._cut_after = self._cut_after, None
                writer.write(data[:cut_after])
                await writer.drain()
                if cut_after is not None:
                    return


def _set_event() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event
