"""From the JSON of an export request to its protobuf form."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from functools import cache
from typing import Any, Protocol

import orjson

from exporter import MalformedPayload, Signal
from receiver.otlp_json.schema import schema_of
from receiver.otlp_json.tables import Tables, tables_of
from receiver.otlp_json.writer import Write, compile_writer
from receiver.otlp_json.wrong import Refused, Wrong, path_of

_NATIVE_INLINE_BYTES = 64 * 1024
_REFERENCE_INLINE_BYTES = 8 * 1024
"""Bodies up to these sizes take 0.1 and 0.3 ms; at worst 2 ms, for doubles with large exponents. Handing one to a
thread costs 50 to 100 µs of CPU time."""
SECOND_LOOK_BYTES = 64 * 1024
"""What the native converter refuses goes to the reference up to this size. That takes up to 85 bytes of memory for each
and holds the interpreter's lock for a while: nobody may choose to have it done with 20 MiB."""


class Native(Protocol):
    """A native converter of one message type."""

    def convert(self, body: bytes) -> bytes:
        """The protobuf form of a JSON document. Raises Refused."""
        ...


Compile = Callable[[Tables], Native]


class Converter:
    """Converts by a native converter, if there is one; the reference judges and words what that one refuses."""

    def __init__(self, compile_native: Compile | None) -> None:
        """`compile_native`: None for the reference alone."""
        self._native = cache(_compiling(compile_native)) if compile_native is not None else None
        self._inline_bytes = _REFERENCE_INLINE_BYTES if compile_native is None else _NATIVE_INLINE_BYTES

    @property
    def name(self) -> str:
        """`native` or `reference`."""
        return "reference" if self._native is None else "native"

    @property
    def memory_factor(self) -> int:
        """Bytes of memory that a conversion may take for each byte of the body, itself counted.

        A byte of JSON becomes up to 4 of protobuf: the `0,` in a list of doubles takes 8. The reference makes objects
        on the way: 11 in all for what clients send, but measured 84 for a list of empty spans, 77 for one of doubles.
        """
        return 85 if self._native is None else 5

    def to_protobuf(self, signal: Signal, body: bytes) -> bytes:
        """The protobuf form of an export request in JSON.

        Takes CPU time in proportion to the body: on an event loop, use `to_protobuf_async`.

        Raises:
            MalformedPayload: it is no JSON, or not that of the signal's export request.
        """
        if self._native is None:
            return by_reference(signal, body)
        try:
            return self._native(signal).convert(body)
        except Refused as refused:
            return _second_look(signal, body, refused)

    async def to_protobuf_async(self, signal: Signal, body: bytes) -> bytes:
        """As `to_protobuf`, without holding up the event loop for long."""
        if len(body) > self._inline_bytes:
            return await asyncio.to_thread(self.to_protobuf, signal, body)
        if self._native is None:
            return by_reference(signal, body)
        try:
            return self._native(signal).convert(body)
        except Refused as refused:
            return await asyncio.to_thread(_second_look, signal, body, refused)


def by_reference(signal: Signal, body: bytes) -> bytes:
    """As `Converter.to_protobuf`, for much more time and memory."""
    document = _parse(body)
    try:
        return _writer(signal)(document, 1)
    except Wrong as wrong:
        raise MalformedPayload(f"the JSON is no {_request_name(signal)}: {wrong}") from None


def _second_look(signal: Signal, body: bytes, refused: Refused) -> bytes:
    if len(body) <= SECOND_LOOK_BYTES:
        return by_reference(signal, body)
    raise MalformedPayload(
        f"the JSON is no {_request_name(signal)}: {path_of(refused.path) or 'the body'} is not what it must be, or is "
        f"there twice (at byte {refused.offset})"
    )


def _compiling(compile_native: Compile) -> Callable[[Signal], Native]:
    return lambda signal: compile_native(tables_of(schema_of(signal.request.DESCRIPTOR)))


@cache
def _writer(signal: Signal) -> Write:
    return compile_writer(schema_of(signal.request.DESCRIPTOR))


def _request_name(signal: Signal) -> str:
    return signal.request.DESCRIPTOR.name


def _parse(body: bytes) -> Any:
    """The document. It has no cycles, so looking for garbage in it while it grows is lost time, most of the whole.

    orjson holds the interpreter's lock all along, so that no other thread misses the collector meanwhile.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedPayload(f"the body is no valid JSON: {error}") from error
    finally:
        if collecting:
            gc.enable()
