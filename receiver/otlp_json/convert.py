"""From the JSON of an export request to its protobuf form."""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any

import orjson

from exporter import MalformedPayload, Signal
from receiver.otlp_json import writer
from receiver.otlp_json.schema import Message, schema_of
from receiver.otlp_json.writer import Write
from receiver.otlp_json.wrong import Wrong

Compile = Callable[[Message], Write]


def native_compiler() -> Compile | None:
    """The compiler of native writers, where they were built. The reference gives the same results for more time."""
    try:
        compiler: Compile = import_module("receiver.otlp_json._native").compile_writer
    except ImportError:
        return None
    return compiler


class Converter:
    """Converts by a native writer, if there is one, and by the reference what that one does not take."""

    def __init__(self, compile_native: Compile | None) -> None:
        """`compile_native`: None for the reference alone."""
        self._native = lru_cache(_compiling(compile_native)) if compile_native is not None else None
        self._reference = lru_cache(_compiling(writer.compile_writer))

    @property
    def name(self) -> str:
        """`native` or `reference`."""
        return "reference" if self._native is None else "native"

    def to_protobuf(self, signal: Signal, body: bytes) -> bytes:
        """The protobuf form of an export request in JSON.

        Takes CPU time in proportion to the body: call it in a thread for more than a few KiB.

        Raises:
            MalformedPayload: it is no JSON, or not that of the signal's export request.
        """
        document = _parse(body)
        if self._native is not None:
            try:
                return self._native(signal)(document, 1)
            except Wrong:
                pass  # the reference says where and why
        try:
            return self._reference(signal)(document, 1)
        except Wrong as wrong:
            name = signal.request.DESCRIPTOR.name
            raise MalformedPayload(f"the JSON is no {name}: {wrong}") from None


def _compiling(compile_writer: Compile) -> Callable[[Signal], Write]:
    return lambda signal: compile_writer(schema_of(signal.request.DESCRIPTOR))


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


CONVERTER = Converter(native_compiler())
to_protobuf = CONVERTER.to_protobuf
