"""HTTP connections: how many there may be, how long one may take, and what it is told when it speaks no HTTP/1.1.

aiohttp's own server protocol does the work; what it lacks is added here. Of its private parts only those are read that
say what state a connection is in; `constraints.txt` pins its version, and tests hold each of these bounds from outside.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from receiver.http_log import garbage_logger
from receiver.refusal_log import RefusalLog

Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
ErrorResponse = Callable[[int, BaseException | None], web.StreamResponse]
"""The answer to what could not be parsed, or went wrong in aiohttp itself. Takes the status and the reason."""

IDLE_SECONDS = 75.0
"""Longer than usual load balancers keep one (60 s), so that they close it, not we while a request is on its way."""
HEADER_SECONDS = 10.0
MAX_HEADER_BYTES = 16 * 1024
_LINGER_SECONDS = 2.0
_LINGER_BYTES = 8 * 1024 * 1024
"""Of a body that was refused unread: many clients look for an answer only when they have sent all. More is cut off."""
_HTTP2_PREFACE = b"PRI * HTTP/2.0"
_TLS_HANDSHAKE = b"\x16\x03"
_HTTP2_BODY = (
    b'{"code":3,"message":"this port takes OTLP over HTTP/1.1: set the protocol to http/protobuf, or send gRPC to the '
    b'port for it, 4317 by default"}'
)
# In HTTP/1.1, which gRPC's clients recognise and wait after. A GOAWAY would make them come back at once, for ever.
_HTTP2_ANSWER = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_HTTP2_BODY), _HTTP2_BODY)
)
_RECENTLY_SECONDS = 1.0


class Connections(web.Server):
    """All connections of a server. Makes the protocol of each."""

    def __init__(
        self,
        handle: Handle,
        error_response: ErrorResponse,
        refusals: RefusalLog,
        *,
        most: int,
        max_header_bytes: int = MAX_HEADER_BYTES,
        header_seconds: float = HEADER_SECONDS,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        """`most`: that there may be at once. `max_header_bytes`: of a line and of a header."""
        # Bodies stay packed until our own code, which knows the limits, unpacks them.
        super().__init__(handle, auto_decompress=False, handler_cancellation=False)
        self._most = most
        self.error_response = error_response
        self.header_seconds = header_seconds
        self.refusals = refusals
        self._options: dict[str, Any] = {
            "access_log": None,
            "logger": garbage_logger(refusals),
            "auto_decompress": False,
            "keepalive_timeout": idle_seconds,
            "lingering_time": _LINGER_SECONDS,
            "max_line_size": max_header_bytes,
            "max_field_size": max_header_bytes,
        }

    def __call__(self) -> Connection:
        return Connection(self, **self._options)

    def make_room(self) -> bool:
        """Whether there may be another connection. Where there are too many, the one that is idle longest is closed."""
        if len(self._connections) < self._most:
            return True
        idle = [each for each in self._connections if isinstance(each, Connection) and each.is_idle]
        longest = min(idle, key=lambda connection: connection.active_at, default=None)
        if longest is not None and longest.active_at < self._loop.time() - _RECENTLY_SECONDS:
            longest.force_close()
        return False


class Connection(web.RequestHandler):
    """One connection."""

    __slots__ = ("_header_timer", "_server", "_unread", "active_at")

    def __init__(self, server: Connections, **options: Any) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **options)
        self._server = server
        self._header_timer: asyncio.TimerHandle | None = None
        self._unread = -1  # bytes of a refused body that may still come; below 0: none was refused
        self.active_at = self._loop.time()
        """When something came, on the loop's clock."""

    @property
    def is_idle(self) -> bool:
        """Whether it waits for a request."""
        return self._waiter is not None and not self._waiter.done()

    def refuse_rest(self) -> None:
        """A request was refused whose body is not read: little more of it is taken."""
        self._unread = _LINGER_BYTES

    def data_received(self, data: bytes) -> None:
        if self._unread >= 0:
            self._unread -= len(data)
            if self._unread < 0:
                self.force_close()
                return
        if self._request_count == 0 and self._is_foreign(data):
            return
        self.active_at = self._loop.time()
        begun = self._request_count
        super().data_received(data)
        if self._request_count != begun:
            self._cancel_header_timer()
        elif data and self._header_timer is None and self.is_idle:
            self._header_timer = self._loop.call_later(self._server.header_seconds, self._header_is_late)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._cancel_header_timer()
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Log as aiohttp does, and answer in OTLP's own form."""
        super().handle_error(request, status, exc, message)
        response = self._server.error_response(status, exc)
        response.force_close()
        return response

    def _header_is_late(self) -> None:
        self._header_timer = None
        if self.is_idle:
            self._server.refusals.write("slow_header", "a request's headers did not arrive in time")
            self.force_close()

    def _cancel_header_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _is_foreign(self, data: bytes) -> bool:
        """Whether it speaks another protocol. Then it is told so, as far as that can be, and closed."""
        if data.startswith(_HTTP2_PREFACE):
            self._server.refusals.write(
                "http2", f"{self._peer()} sent HTTP/2, as gRPC is, to the port of OTLP over HTTP"
            )
            if self.transport is not None:
                self.transport.write(_HTTP2_ANSWER)
        elif data.startswith(_TLS_HANDSHAKE):
            self._server.refusals.write("tls", f"{self._peer()} sent TLS (https://) to a port without TLS (http://)")
        else:
            return False
        self.force_close()
        return True

    def _peer(self) -> str:
        return str(self.peername[0]) if isinstance(self.peername, tuple) else "unix"
