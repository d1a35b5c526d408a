"""OTLP over HTTP/1.1.

Source: OTLP specification 1.10, "OTLP/HTTP".
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiohttp import hdrs, web
from google.protobuf.message import Message

from exporter import SIGNALS, Signal
from receiver.calls import REQUEST_ID, Call
from receiver.cors import CorsPolicy
from receiver.endpoint import Endpoint
from receiver.errors import Fault, MethodNotAllowed, NotFound, UnsupportedMediaType
from receiver.handler import ExportHandler
from receiver.http_body import read_body
from receiver.http_encoding import Encoding, Encodings
from receiver.http_log import garbage_logger
from receiver.otlp_json import Converter

TRANSPORT = "http"
BODY_TIMEOUT_SECONDS = 30.0
_COMPRESS_FROM_BYTES = 1024
"""Answers are a few bytes; only a long reason is worth packing."""
_INSTANT = 0.001
_PATHS = {signal.http_path: signal for signal in SIGNALS.values()}


class HttpReceiver:
    """Listens for OTLP/HTTP. Starts and stops once."""

    def __init__(
        self,
        endpoint: str,
        handler: ExportHandler,
        *,
        converter: Converter,
        max_request_bytes: int,
        cors_allowed_origins: Sequence[str] = (),
        body_timeout_seconds: float = BODY_TIMEOUT_SECONDS,
    ) -> None:
        """`converter`: of JSON. `max_request_bytes`: of a body, packed or unpacked.

        `body_timeout_seconds`: for a body to arrive.
        """
        self._wanted = endpoint
        self._handler = handler
        self._max_request_bytes = max_request_bytes
        self._body_timeout = body_timeout_seconds
        self._cors = CorsPolicy(cors_allowed_origins)
        self._encodings = Encodings(converter)
        self._server: web.Server | None = None
        self._listeners: list[asyncio.Server] = []
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
        # Bodies stay packed until our own code, which knows the limits, unpacks them.
        server = web.Server(
            self._serve, auto_decompress=False, access_log=None, logger=garbage_logger(self._handler.refusals)
        )
        loop = asyncio.get_running_loop()
        self._listeners = [await loop.create_server(server, sock=listener) for listener in sockets]
        self._server, self._bound = server, bound

    async def stop(self, grace: float) -> None:
        """Take no more requests, answer those in flight for at most `grace` seconds, then cancel them."""
        server, self._server = self._server, None
        if server is None or self._bound is None:
            return
        for listener in self._listeners:
            listener.close()
        server.pre_shutdown()
        # aiohttp takes the time twice, for requests to end and for them to be cancelled, and 0 for no limit.
        try:
            async with asyncio.timeout(grace):
                await server.shutdown(max(grace, _INSTANT))
        except TimeoutError:
            await server.shutdown(_INSTANT)
        await asyncio.to_thread(self._bound.remove_file)

    async def _serve(self, request: web.BaseRequest) -> web.Response:
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
        return response

    async def _export(self, request: web.BaseRequest, signal: Signal | None, encoding: Encoding | None) -> Message:
        if signal is None:
            raise NotFound(f"nothing is served at {request.path[:200]!r}: send to one of {', '.join(_PATHS)}")
        if request.method != hdrs.METH_POST:
            raise MethodNotAllowed(f"{signal.http_path} takes POST, not {request.method[:20]}", (hdrs.ALLOW, "POST"))
        if encoding is None:
            raise UnsupportedMediaType(
                f"the content type {request.headers.get(hdrs.CONTENT_TYPE, '')[:100]!r} is not supported: "
                f"send one of {self._encodings.content_types}",
                (hdrs.ACCEPT, self._encodings.content_types),
            )
        with self._handler.reservation() as reservation:
            body = await read_body(
                request, reservation, max_bytes=self._max_request_bytes, timeout_seconds=self._body_timeout
            )
            reservation.grow_to(len(body) * encoding.memory_factor)
            return await self._handler.export(signal, await encoding.payload(signal, body), reservation)


def _respond(answer: Message | Fault, encoding: Encoding, *, packed: bool) -> web.Response:
    if isinstance(answer, Message):
        body, response = encoding.encode(answer), web.Response()
    else:
        body = encoding.encode(answer.status())
        response = web.Response(status=answer.http_status, headers=answer.headers)
        if (seconds := answer.retry_after()) is not None:
            response.headers[hdrs.RETRY_AFTER] = str(seconds)
    response.body = body
    response.content_type = encoding.content_type
    if packed and len(body) >= _COMPRESS_FROM_BYTES:
        response.enable_compression(web.ContentCoding.gzip)
    return response
