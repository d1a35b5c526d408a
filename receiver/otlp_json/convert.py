"""From the JSON of an export request to its protobuf form."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import orjson
import structlog

from exporter import MalformedPayload, Signal
from receiver.otlp_json.mend import mend
from receiver.otlp_json.repair import MARK, repaired
from receiver.otlp_json.schema import schema_of
from receiver.otlp_json.tables import Tables, tables_of
from receiver.otlp_json.writer import Write, compile_writer
from receiver.otlp_json.wrong import Refused, Wrong, path_of

_NATIVE_INLINE_BYTES = 64 * 1024
_REFERENCE_INLINE_BYTES = 8 * 1024
"""Bodies up to these sizes take 0.1 and 0.3 ms; at worst 2 ms, for doubles with large exponents. Handing one to a
thread costs 50 to 100 µs of CPU time."""
MEND_BYTES = 1024 * 1024
"""What the native converter refuses is mended, and then judged by the reference, up to this size. That takes up to 85
bytes of memory for each and holds the interpreter's lock for a while: one body at a time."""


@dataclass(frozen=True, slots=True)
class Converted:
    """What became of a body."""

    payload: bytes
    """Its protobuf form."""
    rejected: int = 0
    """Records that could not be read and were left out."""
    reason: str = ""
    """Of the first of them."""
    mended: bool = False
    """Whether something had to be read otherwise than it was written."""
    nothing: bool = False
    """Whether there was something in the body, but nothing of the signal's."""


class Native(Protocol):
    """A native converter of one message type."""

    def convert(self, body: bytes) -> bytes:
        """The protobuf form of a JSON document. Raises Refused."""
        ...


Compile = Callable[[Tables], Native]
_log = structlog.stdlib.get_logger(__name__)


class Converter:
    """Converts by a native converter, if there is one. What is refused is mended as far as its meaning is sure."""

    def __init__(self, compile_native: Compile | None) -> None:
        """`compile_native`: None for the reference alone."""
        self._native = cache(_compiling(compile_native)) if compile_native is not None else None
        self._one_at_a_time = asyncio.Semaphore(1)
        self._warned_of_base64 = False
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
        """The protobuf form of an export request that is written exactly as the mapping has it.

        Raises:
            MalformedPayload: it is not, and where.
        """
        try:
            return self._strictly(signal, body)
        except Refused as refused:
            if len(body) > MEND_BYTES:
                raise _too_large_to_mend(signal, refused) from None
            return by_reference(signal, body)

    def convert(self, signal: Signal, body: bytes) -> Converted:
        """The protobuf form of an export request in JSON.

        Takes CPU time in proportion to the body: on an event loop, use `convert_async`.

        Raises:
            MalformedPayload: it is no JSON, or not that of the signal's export request.
        """
        try:
            return Converted(self._strictly(signal, body))
        except (Refused, MalformedPayload) as refused:
            return self._mended(signal, body, refused)

    async def convert_async(self, signal: Signal, body: bytes) -> Converted:
        """As `convert`, without holding up the event loop for long."""
        refused: Refused | MalformedPayload
        try:
            if len(body) > self._inline_bytes:
                return Converted(await asyncio.to_thread(self._strictly, signal, body))
            return Converted(self._strictly(signal, body))
        except (Refused, MalformedPayload) as error:
            refused = error
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._mended, signal, body, refused)

    async def convert_lines_async(self, signal: Signal, body: bytes) -> Converted:
        """As `convert_async`, for several requests, one a line. Their protobuf forms, one behind the other, are one."""
        parts = [
            await self.convert_async(signal, line) for line in body.removeprefix(MARK).splitlines() if line.strip()
        ]
        return Converted(
            b"".join(part.payload for part in parts),
            sum(part.rejected for part in parts),
            next((part.reason for part in parts if part.reason), ""),
            any(part.mended for part in parts),
        )

    def _strictly(self, signal: Signal, body: bytes) -> bytes:
        """Raises Refused or MalformedPayload."""
        return by_reference(signal, body) if self._native is None else self._native(signal).convert(body)

    def _mended(self, signal: Signal, body: bytes, refused: Refused | MalformedPayload) -> Converted:
        """Raises MalformedPayload."""
        text = repaired(body)
        if text != body:
            try:
                return Converted(self._strictly(signal, text), mended=True)
            except (Refused, MalformedPayload) as error:
                refused = error
        if len(text) > MEND_BYTES:
            raise _too_large_to_mend(signal, refused)
        schema = schema_of(signal.request.DESCRIPTOR)
        document = _parse(text)
        mending = mend(document, schema)
        if mending.base64_ids:
            self._warn_of_base64()
        return Converted(_written(signal, document), mending.rejected, mending.reason, mended=True)

    def _warn_of_base64(self) -> None:
        if not self._warned_of_base64:
            self._warned_of_base64 = True
            _log.warning(
                "ids came in base64, which OTLP's JSON has in hexadecimal digits: they are taken, but other receivers "
                "will refuse them; said once"
            )


def by_reference(signal: Signal, body: bytes) -> bytes:
    """As `Converter.to_protobuf`, for much more time and memory."""
    return _written(signal, _parse(body))


def _written(signal: Signal, document: Any) -> bytes:
    try:
        return _writer(signal)(document, 1)
    except Wrong as wrong:
        raise MalformedPayload(f"the JSON is no {_request_name(signal)}: {wrong}") from None


def _too_large_to_mend(signal: Signal, refused: Refused | MalformedPayload) -> MalformedPayload:
    if isinstance(refused, MalformedPayload):
        return refused
    return MalformedPayload(
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
