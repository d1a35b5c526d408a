"""Where a receiver listens: `host:port`, `[v6]:port` or `unix:/path`."""

from __future__ import annotations

import errno
import os
import socket
import stat
from dataclasses import dataclass
from pathlib import Path

_UNIX = "unix:"
_BACKLOG = 1024


class ReceiverStartError(Exception):
    """A receiver cannot listen. Its text names the endpoint and what to do."""


class EndpointInUse(ReceiverStartError):
    """Somebody else listens there."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address to listen on. Port 0: any free one."""

    host: str = ""
    port: int = 0
    path: str = ""
    """Of a Unix socket; empty: TCP."""

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Read an endpoint. Raises ReceiverStartError."""
        if text.startswith(_UNIX):
            path = text.removeprefix(_UNIX)
            path = "/" + path.lstrip("/") if path.startswith("//") else path
            if path:
                return cls(path=path)
        host, _, port = text.rpartition(":")
        if text.startswith(_UNIX) or not host or not port.isdecimal() or int(port) > 0xFFFF:
            raise ReceiverStartError(
                f"cannot listen on {text!r}: an endpoint is host:port (127.0.0.1:4317, [::1]:4317) or unix:/path"
            )
        return cls(host.removeprefix("[").removesuffix("]"), int(port))

    def __str__(self) -> str:
        if self.path:
            return _UNIX + self.path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def with_port(self, port: int) -> Endpoint:
        """The same host with the port that was chosen."""
        return Endpoint(self.host, port)

    def bind(self) -> list[socket.socket]:
        """Sockets that listen on every address of the host. Blocks while it resolves the host: call it in a thread.

        A Unix socket's file that nobody listens on any more is replaced.

        Raises:
            ReceiverStartError
        """
        try:
            return [_listen_unix(self.path)] if self.path else self._listen_tcp()
        except OSError as error:
            raise _explain(self, error) from error

    def _listen_tcp(self) -> list[socket.socket]:
        sockets: list[socket.socket] = []
        port = self.port
        found = socket.getaddrinfo(self.host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        try:
            for family, address in dict.fromkeys((entry[0], entry[4]) for entry in found):
                listener = socket.socket(family, socket.SOCK_STREAM)
                sockets.append(listener)
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(len(found) > 1))
                # Where the port is free to choose, all addresses of the host get the one that the first got.
                listener.bind((address[0], port, *address[2:]))
                port = listener.getsockname()[1]
                listener.listen(_BACKLOG)
        except OSError:
            for opened in sockets:
                opened.close()
            raise
        return sockets

    def claim(self) -> None:
        """Check that `bind` would work, and let go again: for a library that binds by itself. As `bind`."""
        for claimed in self.bind():
            claimed.close()
        self.remove_file()

    def not_bound(self) -> ReceiverStartError:
        """What to say when a library that does not tell why could not bind, though `claim` found nothing against it."""
        return ReceiverStartError(
            f"cannot listen on {self}: another process listens there since just now, or the limit of open files "
            "(`ulimit -n`) is reached; start again"
        )

    def remove_file(self) -> None:
        """Remove a Unix socket's file after its listener is closed."""
        if self.path:
            Path(self.path).unlink(missing_ok=True)


def _listen_unix(path: str) -> socket.socket:
    if _is_stale(path):
        Path(path).unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _is_stale(path: str) -> bool:
    """Whether a socket's file is there with no listener behind it."""
    try:
        if not stat.S_ISSOCK(Path(path).stat().st_mode):
            raise FileExistsError(errno.EEXIST, "the file is there and is no socket", path)
    except FileNotFoundError:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return True
        except BlockingIOError:  # its backlog is full: somebody is there
            pass
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), path)


def _explain(endpoint: Endpoint, error: OSError) -> ReceiverStartError:
    if error.errno == errno.EADDRINUSE:
        return EndpointInUse(
            f"cannot listen on {endpoint}: another process does already; stop it or choose another endpoint"
        )
    advice = {
        errno.EACCES: "choose a port above 1023 or a folder that this user may write to",
        errno.EADDRNOTAVAIL: "choose an address that this machine has",
        errno.ENOENT: "create the folder first",
        errno.EMFILE: "raise the limit of open files (`ulimit -n`)",
        errno.ENFILE: "raise the machine's limit of open files (`sysctl fs.file-max`)",
        errno.EEXIST: "remove the file or choose another path",
    }.get(error.errno or 0, "choose another endpoint")
    return ReceiverStartError(f"cannot listen on {endpoint}: {error.strerror or error}; {advice}")
