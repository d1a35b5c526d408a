"""gRPC messages as they came over the wire, received and unpacked within our own bounds.

gRPC's core unpacks a message before anybody can ask what that takes, and waits for one for ever. So it is told to leave
messages packed, and every method is one of streams for it: such a handler runs when a call's headers are there, and
reads its message itself. Until it does, core holds at most 64 KiB of it. On the wire there is no difference.

Core takes the encoding's name away from a call's metadata. That a message is packed shows in its first bytes: no
protobuf message can begin like gzip (0x1f is a tag of wire type 7, which does not exist), and none of OTLP's begins
like zlib (it would be field 15, with a checksum).

Sources: gRPC's "Compression" and "Status codes" documents; RFC 1952; RFC 1950, section 2.2.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from exporter import MalformedPayload, Unavailable
from receiver.arrivals import Arrivals
from receiver.errors import NoMessage
from receiver.inflate import Inflater

Context = grpc.aio.ServicerContext[Any, Any]
_MAX_SMALL_BYTES = 64 * 1024
_ZLIB_CHECK = 31
NO_MESSAGE = "the call ended without a message, or with one that is larger than the limit"


def packing_of(message: bytes) -> str | None:
    """The encoding of a message, one of `inflate.ENCODINGS`; None: it is not packed."""
    if message[:2] == b"\x1f\x8b":
        return "gzip"
    if message[:1] == b"\x78" and int.from_bytes(message[:2], "big") % _ZLIB_CHECK == 0:
        return "deflate"
    return None


async def read_message(context: Context, arrivals: Arrivals) -> bytes:
    """A call's message, as it came.

    Raises:
        NoMessage: the call ended without one, or core refused it.
        Unavailable, Overloaded: it did not come in time.
    """
    async with arrivals.body():
        message = await context.read()
    if isinstance(message, bytes):
        return message
    raise NoMessage(NO_MESSAGE)


class BoundedServices:
    """Takes the place of a server where the code that gRPC generated adds a stock service to it."""

    def __init__(self, server: grpc.aio.Server, arrivals: Arrivals) -> None:
        self._server = server
        self._arrivals = arrivals

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """The same handlers come by the other method, with their names."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Add a service's methods, each of which reads within bounds."""
        bounded = {name: self._bounded(handler) for name, handler in handlers.items()}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, bounded),))

    def _bounded(self, handler: Any) -> grpc.RpcMethodHandler[Any, Any]:
        if handler.request_streaming:
            return grpc.stream_stream_rpc_method_handler(
                self._conversation(handler.stream_stream, handler.request_deserializer),
                response_serializer=handler.response_serializer,
            )
        streams, unary = grpc.stream_stream_rpc_method_handler, grpc.stream_unary_rpc_method_handler
        make = streams if handler.response_streaming else unary
        return make(
            self._question(handler.unary_stream or handler.unary_unary, handler.request_deserializer),
            response_serializer=handler.response_serializer,
        )

    def _question(self, method: Callable[..., Any], parse: Callable[[bytes], Any]) -> Callable[..., Any]:
        async def answer(_requests: object, context: Context) -> Any:
            request = await self._read(context, parse)
            if request is None:
                await context.abort(grpc.StatusCode.UNIMPLEMENTED, NO_MESSAGE)
            return await method(request, context)

        return answer

    def _conversation(self, method: Callable[..., Any], parse: Callable[[bytes], Any]) -> Callable[..., Any]:
        async def requests(context: Context) -> AsyncIterator[Any]:
            while (request := await self._read(context, parse)) is not None:
                yield request

        async def answers(_requests: object, context: Context) -> AsyncIterator[Any]:
            async for response in method(requests(context), context):
                yield response

        return answers

    async def _read(self, context: Context, parse: Callable[[bytes], Any]) -> Any:
        """The next message; None: there is none."""
        try:
            async with self._arrivals.body():
                message = await context.read()
            return parse(_unpack_small(message)) if isinstance(message, bytes) else None
        except Unavailable as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        except (MalformedPayload, DecodeError) as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"the message cannot be read: {error}")


def _unpack_small(message: bytes) -> bytes:
    packing = packing_of(message)
    return message if packing is None else Inflater(message, packing).read(_MAX_SMALL_BYTES)
