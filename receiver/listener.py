"""Accepting connections one by one, so that there are never more than there may be."""

from __future__ import annotations

import asyncio
import resource
import socket
from collections.abc import Callable

from receiver.refusal_log import RefusalLog

_PAUSE_SECONDS = 0.05
_MOST = 4096
_LEAST = 16
_KEPT_DESCRIPTORS = 128
"""For MongoDB's driver, the retry buffer, logs, and what has just been accepted."""


def connections_per_port() -> int:
    """How many connections each of the two ports may have, so that descriptors are left for all else."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return _MOST
    kept = max(_KEPT_DESCRIPTORS, limit // 4)
    return max(_LEAST, min(_MOST, (limit - kept) // 2))


class Listener:
    """Accepts on one socket, which it owns. Those that may not come in yet wait in the kernel's queue."""

    def __init__(
        self,
        listener: socket.socket,
        protocol: Callable[[], asyncio.BaseProtocol],
        may_accept: Callable[[], bool],
        refusals: RefusalLog,
    ) -> None:
        listener.setblocking(False)
        self._socket = listener
        self._protocol = protocol
        self._may_accept = may_accept
        self._refusals = refusals
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self._connecting: set[asyncio.Task[None]] = set()
        self._listen()

    async def close(self) -> None:
        """Accept no more."""
        self._loop.remove_reader(self._socket)
        if self._pause:
            self._pause.cancel()
        self._socket.close()
        await asyncio.gather(*self._connecting)

    def _listen(self) -> None:
        self._pause = None
        self._loop.add_reader(self._socket, self._accept)

    def _accept(self) -> None:
        """Take one connection, so that others get their turn of the loop."""
        if not self._may_accept():
            self._rest()
            return
        try:
            connection, _ = self._socket.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:  # no descriptors left
            self._refusals.write("accept", f"a connection could not be accepted: {error}")
            self._rest()
            return
        task = self._loop.create_task(self._connect(connection))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, connection: socket.socket) -> None:
        try:
            connection.setblocking(False)
            await self._loop.connect_accepted_socket(self._protocol, connection)
        except OSError as error:  # the client is gone already
            connection.close()
            self._refusals.write("accept", f"a connection could not be accepted: {error}")

    def _rest(self) -> None:
        """Leave those that want to connect in the kernel's queue for a while."""
        self._loop.remove_reader(self._socket)
        self._pause = self._loop.call_later(_PAUSE_SECONDS, self._listen)
