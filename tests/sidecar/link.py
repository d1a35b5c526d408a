"""A network link that a test can cut."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Self

_BACKLOG = 64


class Link:
    """Forwards connections from a port of its own to a server, while it is not cut."""

    def __init__(self, server: tuple[str, int]) -> None:
        self._server = server
        self._connections: list[socket.socket] = []
        """All there ever were: tests make few."""
        self.delay = 0.0
        """Seconds for each piece that the server answers."""
        self._port = 0
        self._listener: socket.socket | None = None
        self.mend()

    @property
    def uri(self) -> str:
        """Of the MongoDB behind it."""
        return f"mongodb://127.0.0.1:{self._port}/?directConnection=true&serverSelectionTimeoutMS=1000"

    @classmethod
    def to(cls, uri: str) -> Self:
        """To the MongoDB of this URI."""
        host, _, port = uri.partition("//")[2].partition("/")[0].rpartition(":")
        return cls((host, int(port)))

    def mend(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self._port))
        listener.listen(_BACKLOG)
        self._port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def cut(self) -> None:
        """Refuse new connections and end those there are."""
        listener, self._listener = self._listener, None
        if listener:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        while self._connections:
            with contextlib.suppress(OSError):
                self._connections.pop().shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(self._server)
                self._connections += [client, server]
                threading.Thread(target=self._forward, args=(client, server), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        back = threading.Thread(target=self._copy, args=(server, client, self.delay), daemon=True)
        back.start()
        self._copy(client, server, 0)
        back.join()
        client.close()
        server.close()

    def _copy(self, source: socket.socket, target: socket.socket, delay: float) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                time.sleep(delay)
                target.sendall(data)
        for end, how in ((target, socket.SHUT_WR), (source, socket.SHUT_RD)):
            with contextlib.suppress(OSError):
                end.shutdown(how)
