"""OTLP over HTTP/1.1.

Source: OTLP specification 1.10, "OTLP/HTTP".
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from http import HTTPStatus

from aiohttp import hdrs, web
from aiohttp.http_exceptions import LineTooLong
from google.protobuf.message import Message

from exporter import SIGNALS, Signal
from receiver.calls import REQUEST_ID, Call
from receiver.cors import CorsPolicy
from receiver.endpoint import Endpoint
from receiver.errors import Fault, MethodNotAllowed, NotFound, UnsupportedMediaType, unreadable
from receiver.handler import ExportHandler
from receiver.http_body import read_body
from receiver.http_connections import HEADER_SECONDS, IDLE_SECONDS, MAX_HEADER_BYTES, Connection, Connections
from receiver.http_encoding import Encoding, Encodings
from receiver.listener import Listener, connections_per_port
from receiver.otlp_json import Converter

TRANSPORT = "http"
_COMPRESS_FROM_BYTES = 1024
"""Answers are a few bytes; only a long reason is worth packing."""
_INSTANT = 0.001
_PATHS = {signal.http_path: signal for signal in SIGNALS.values()}
_SERVER = "otlp-mongo"
"""Without versions, which tell strangers what is known to be wrong with them."""
_PROBES = {
    "/": f"{_SERVER} takes OTLP over HTTP at {', '.join(_PATHS)}\n",
    "/healthz": "ok\n",
}
"""What load balancers ask for."""
_MISTAKEN = frozenset({"not_found", "method_not_allowed", "unsupported"})
"""Outcomes of requests that a client is set up wrongly for: their connection ends, so that they cannot come thick."""


class HttpReceiver:
    """Listens for OTLP/HTTP. Starts and stops once."""

    def __init__(
        self,
        endpoint: str,
        handler: ExportHandler,
        *,
        converter: Converter,
        max_request_bytes: int,
        max_header_bytes: int = MAX_HEADER_BYTES,
        max_connections: int | None = None,
        header_seconds: float = HEADER_SECONDS,
        idle_seconds: float = IDLE_SECONDS,
        cors_allowed_origins: Sequence[str] = (),
    ) -> None:
        """`converter`: of JSON. `max_request_bytes`: of a body, packed or unpacked.

        `max_header_bytes`: of a line and of a header. `max_connections`: None for as many as there are descriptors for.
        `header_seconds`: for a request's head to arrive. `idle_seconds`: that a connection is kept between requests.
        """
        self._wanted = endpoint
        self._handler = handler
        self._max_request_bytes = max_request_bytes
        self._max_header_bytes = max_header_bytes
        self._max_connections = max_connections
        self._header_seconds, self._idle_seconds = header_seconds, idle_seconds
        self._cors = CorsPolicy(cors_allowed_origins)
        self._encodings = Encodings(converter)
        self._server: Connections | None = None
        self._listeners: list[Listener] = []
        self._bound: Endpoint | None = None

    @property
    def endpoint(self) -> str:
        """The address that clients connect to. Before the start: the one asked for."""
        return str(self._bound or self._wanted)

    async def start(self) -> None:
        """Listen.

        Raises:
            EndpointInUse: somebody else does, there.
            ReceiverStartError: it cannot be listened there.
        """
        endpoint = Endpoint.parse(self._wanted)
        sockets = await asyncio.to_thread(endpoint.bind)
        bound = endpoint if endpoint.path else endpoint.with_port(sockets[0].getsockname()[1])
        refusals = self._handler.refusals
        server = Connections(
            self._serve,
            self._cannot_read,
            refusals,
            most=self._max_connections or connections_per_port(),
            max_header_bytes=self._max_header_bytes,
            header_seconds=self._header_seconds,
            idle_seconds=self._idle_seconds,
        )
        self._listeners = [Listener(listener, server, server.make_room, refusals) for listener in sockets]
        self._server, self._bound = server, bound

    async def stop(self, grace: float) -> None:
        """Take no more requests, answer those in flight for at most `grace` seconds, then cancel what is left."""
        server, self._server = self._server, None
        if server is None or self._bound is None:
            return
        await asyncio.gather(*(listener.close() for listener in self._listeners))
        server.pre_shutdown()
        # aiohttp takes the time twice, for requests to end and for them to be cancelled, and 0 for no limit.
        ending = asyncio.ensure_future(server.shutdown(max(grace, _INSTANT)))
        if not await self._handler.in_flight.ended(ending, grace):
            ending.cancel()
            await asyncio.wait((ending,))
            await server.shutdown(_INSTANT)
        await asyncio.to_thread(self._bound.remove_file)

    async def _serve(self, request: web.BaseRequest) -> web.Response:
        if request.method in (hdrs.METH_GET, hdrs.METH_HEAD) and request.path in _PROBES:
            return web.Response(text=_PROBES[request.path], headers={hdrs.SERVER: _SERVER})
        if self._cors.is_preflight(request) and request.path in _PATHS:
            return self._cors.preflight(request)
        signal = _PATHS.get(request.path)
        encoding = self._encodings.of(request.headers.get(hdrs.CONTENT_TYPE, ""))
        request_id = self._handler.calls.request_id(request.headers.get(REQUEST_ID))
        call = Call(signal, TRANSPORT, request.remote or "unix", request_id)
        answer = await self._handler.answer(call, self._export(request, signal, encoding))
        response = _respond(
            answer, encoding or self._encodings.json, packed="gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, "")
        )
        response.headers.update(self._cors.headers(request))
        if isinstance(answer, Fault):
            _end_connection(request, response, answer)
        return response

    async def _export(self, request: web.BaseRequest, signal: Signal | None, encoding: Encoding | None) -> Message:
        if signal is None:
            raise NotFound(f"nothing is served at {request.path[:200]!r}: send to one of {', '.join(_PATHS)}")
        if request.method != hdrs.METH_POST:
            raise MethodNotAllowed(
                f"{signal.http_path} takes POST, not {request.method[:20]}{self._cors.hint(request)}",
                (hdrs.ALLOW, "POST"),
            )
        if encoding is None:
            raise UnsupportedMediaType(
                f"the content type {request.headers.get(hdrs.CONTENT_TYPE, '')[:100]!r} is not supported: "
                f"send one of {self._encodings.content_types}",
                (hdrs.ACCEPT, self._encodings.content_types),
            )
        with self._handler.reservation() as reservation:
            body = await read_body(request, reservation, self._handler.arrivals, max_bytes=self._max_request_bytes)
            with self._handler.in_flight:
                reservation.grow_to(len(body) * encoding.memory_factor)
                converted = await encoding.convert(signal, body)
                return await self._handler.export(signal, converted.payload, reservation, converted)

    def _cannot_read(self, status: int, error: BaseException | None) -> web.Response:
        """The answer to what is no HTTP, or to what went wrong below us. Echoes nothing."""
        if isinstance(error, LineTooLong):
            reason = f"a line of the request's head is longer than the limit of {self._max_header_bytes} bytes"
            fault = unreadable(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, reason)
        elif status == HTTPStatus.BAD_REQUEST:
            fault = unreadable(HTTPStatus.BAD_REQUEST, "the request is no valid HTTP/1.1")
        else:
            fault = unreadable(HTTPStatus.SERVICE_UNAVAILABLE, "the request could not be answered: send it again later")
        return _respond(fault, self._encodings.json, packed=False)


def _respond(answer: Message | Fault, encoding: Encoding, *, packed: bool) -> web.Response:
    if isinstance(answer, Message):
        body, response = encoding.encode(answer), web.Response()
    else:
        body = encoding.encode(answer.status())
        response = web.Response(status=answer.http_status, headers=answer.headers)
        if (seconds := answer.retry_after()) is not None:
            response.headers[hdrs.RETRY_AFTER] = str(seconds)
    response.headers[hdrs.SERVER] = _SERVER
    response.body = body
    response.content_type = encoding.content_type
    if packed and len(body) >= _COMPRESS_FROM_BYTES:
        response.enable_compression(web.ContentCoding.gzip)
    return response


def _end_connection(request: web.BaseRequest, response: web.Response, fault: Fault) -> None:
    """Keep no connection whose request was not read to its end: that could take for ever."""
    unread = not request.content.is_eof()
    if unread or fault.outcome in _MISTAKEN:
        response.force_close()
    if unread and isinstance(request.protocol, Connection):
        request.protocol.refuse_rest()
