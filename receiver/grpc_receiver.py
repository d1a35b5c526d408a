"""OTLP over gRPC: calls on raw bytes, which we unpack ourselves (`grpc_bodies.py`), with the standard health and
reflection services beside them.

Sources: OTLP specification 1.10 ("OTLP/gRPC"); gRPC core's channel arguments (`channel_arg_names.h`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import Message
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from exporter import SIGNALS, Signal
from receiver.calls import REQUEST_ID, Call
from receiver.endpoint import Endpoint
from receiver.errors import Fault
from receiver.grpc_bodies import BoundedServices, packing_of, read_message
from receiver.handler import ExportHandler
from receiver.health import HealthService
from receiver.http_connections import MAX_HEADER_BYTES
from receiver.listener import connections_per_port
from receiver.unpack import unpack

TRANSPORT = "grpc"
MAX_CONCURRENT_STREAMS = 1000
HANDSHAKE_MILLISECONDS = 10_000
IDLE_MILLISECONDS = 15 * 60_000
"""Without a call. Clients connect again by themselves."""
_Context = grpc.aio.ServicerContext[bytes, bytes]
_Method = Callable[[object, _Context], Awaitable[bytes]]


class GrpcReceiver:
    """Listens for OTLP/gRPC. Starts and stops once."""

    def __init__(
        self,
        endpoint: str,
        handler: ExportHandler,
        *,
        max_request_bytes: int,
        max_header_bytes: int = MAX_HEADER_BYTES,
        max_connections: int | None = None,
        max_concurrent_streams: int = MAX_CONCURRENT_STREAMS,
    ) -> None:
        """`max_request_bytes`: of a request, packed or unpacked. `max_header_bytes`: of a call's metadata.

        `max_connections`: None for as many as there are descriptors for. `max_concurrent_streams`: of one connection.
        """
        self._wanted = endpoint
        self._handler = handler
        self._max_request_bytes = max_request_bytes
        self._options = _options(
            max_request_bytes, max_header_bytes, max_connections or connections_per_port(), max_concurrent_streams
        )
        self._server: grpc.aio.Server | None = None
        self._bound: Endpoint | None = None
        self._health = HealthService(signal.service for signal in SIGNALS.values())

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
        await asyncio.to_thread(endpoint.claim)
        server = grpc.aio.server(options=self._options)
        self._add_services(server)
        try:
            port = server.add_insecure_port(str(endpoint))
        except RuntimeError as error:
            raise endpoint.not_bound() from error
        await server.start()
        self._server = server
        self._bound = endpoint if endpoint.path else endpoint.with_port(port)
        self._health.set_serving(True)

    async def set_serving(self, serving: bool) -> None:
        """Tell clients of the health service whether to send. A stop is not undone by it."""
        self._health.set_serving(serving)

    async def stop(self, grace: float) -> None:
        """Take no more calls, answer those in flight for at most `grace` seconds, then cancel what is left."""
        server, self._server = self._server, None
        if server is None or self._bound is None:
            return
        self._health.end()
        ending = asyncio.ensure_future(server.stop(grace))
        if not await self._handler.in_flight.ended(ending, grace):
            await server.stop(None)
        await ending
        await asyncio.to_thread(self._bound.remove_file)

    def _add_services(self, server: grpc.aio.Server) -> None:
        for signal in SIGNALS.values():
            # No (de)serializers: the handler gets the bytes as they came.
            method = grpc.stream_unary_rpc_method_handler(self._method(signal))
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(signal.service, {"Export": method}),))
        stock: Any = BoundedServices(server, self._handler.arrivals)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, stock)
        names = [signal.service for signal in SIGNALS.values()]
        described = reflection.aio.ReflectionServicer(  # type: ignore[attr-defined] # the stubs lack it
            [*names, health.SERVICE_NAME, reflection.SERVICE_NAME]
        )
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(described, stock)

    def _method(self, signal: Signal) -> _Method:
        handler = self._handler

        async def export(_requests: object, context: _Context) -> bytes:
            call = Call(signal, TRANSPORT, context.peer(), handler.calls.request_id(_offered_id(context)))
            answer = await handler.answer(call, self._export(signal, context))
            if isinstance(answer, Message):
                return answer.SerializeToString()
            return await context.abort(answer.code, answer.message, _trailing_metadata(answer))

        return export

    async def _export(self, signal: Signal, context: _Context) -> Message:
        payload = await read_message(context, self._handler.arrivals)
        with self._handler.in_flight, self._handler.reservation() as reservation:
            reservation.grow_to(len(payload))
            packing = packing_of(payload)
            if packing is not None:
                payload = await unpack(payload, packing, reservation, self._max_request_bytes)
            return await self._handler.export(signal, payload, reservation)


def _offered_id(context: _Context) -> str | bytes | None:
    return next((value for key, value in context.invocation_metadata() or () if key == REQUEST_ID), None)


def _trailing_metadata(fault: Fault) -> tuple[tuple[str, bytes], ...]:
    """The details of a fault, in the place that gRPC's own libraries have for them.

    The OpenTelemetry SDK for Python looks for the RetryInfo under its own name instead.
    """
    details = (("grpc-status-details-bin", fault.status().SerializeToString()),)
    if retry_info := fault.retry_info():
        return (*details, ("google.rpc.retryinfo-bin", retry_info.SerializeToString()))
    return details


def _options(
    max_request_bytes: int, max_header_bytes: int, max_connections: int, max_concurrent_streams: int
) -> list[tuple[str, Any]]:
    return [
        # Two sidecars on one port would each get a part of the connections: the second shall fail to start.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", max_request_bytes),
        # We unpack messages ourselves, and core receives no more than the first 64 KiB of what we do not read yet.
        ("grpc.per_message_decompression", 0),
        ("grpc.http2.bdp_probe", 0),
        # Between the two, core refuses at random.
        ("grpc.max_metadata_size", max_header_bytes),
        ("grpc.absolute_max_metadata_size", max_header_bytes),
        ("grpc.max_allowed_incoming_connections", max_connections),
        ("grpc.max_concurrent_streams", max_concurrent_streams),
        ("grpc.server_handshake_timeout_ms", HANDSHAKE_MILLISECONDS),
        ("grpc.http2.settings_timeout", HANDSHAKE_MILLISECONDS),
        ("grpc.max_connection_idle_ms", IDLE_MILLISECONDS),
        # Clients may ping as often as they like, idle or not: by default core hangs up on those that keep
        # a connection warm (ENHANCE_YOUR_CALM).
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_ping_strikes", 0),
    ]
