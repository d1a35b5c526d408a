"""The attacks. Each lasts until it is cancelled or has done all it can."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable, Coroutine
from functools import cache
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.attacks.http2 import Connection, framed

_TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_HEALTH = "/grpc.health.v1.Health/Check"
_MIB = 1 << 20
_FOREVER = 3600.0

Attack = Callable[[str, str], Coroutine[Any, Any, None]]
"""Takes the endpoints of gRPC and of HTTP."""


@cache
def _bomb() -> bytes:
    """20 kB of gzip that stand for nearly 20 MiB: one span with a long name."""
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(
        name="x" * (20 * _MIB - 100), trace_id=b"t" * 16, span_id=b"s" * 8
    )
    return gzip.compress(request.SerializeToString(), 9)


@cache
def _many_documents() -> bytes:
    """A few kB of gzip for 10,000 spans, each of which has its resource of 5 MiB in its document."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.add(key="k").value.string_value = "x" * (5 * _MIB)
    spans = resource.scope_spans.add().spans
    for number in range(10_000):
        spans.add(trace_id=b"t" * 16, span_id=number.to_bytes(8, "big"))
    return gzip.compress(request.SerializeToString(), 9)


async def _grpc_calls(endpoint: str, calls: int, frames: bytes, *, path: str = _TRACES, **options: object) -> None:
    """`calls` on ten connections."""
    connections = [await Connection.open(endpoint) for _ in range(min(10, calls))]
    for number in range(calls):
        connections[number % len(connections)].call(path, frames, **options)  # type: ignore[arg-type]
    await asyncio.gather(*(connection.run(_FOREVER) for connection in connections))


async def grpc_bombs(grpc: str, _http: str) -> None:
    """300 calls of gzip that unpacks to 20 MiB each."""
    await _grpc_calls(grpc, 300, framed(_bomb(), packed=True), encoding="gzip")


async def grpc_bodies_without_end(grpc: str, _http: str) -> None:
    """200 calls that send 19 MiB and never the last byte."""
    await _grpc_calls(grpc, 200, framed(bytes(19 * _MIB))[:-1], end=False)


async def grpc_health_bodies_without_end(grpc: str, _http: str) -> None:
    """The same at a service that is not ours."""
    await _grpc_calls(grpc, 200, framed(bytes(19 * _MIB))[:-1], end=False, path=_HEALTH)


async def grpc_large_calls(grpc: str, _http: str) -> None:
    """200 whole calls of 19 MiB at once."""
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(name="x" * (19 * _MIB))
    await _grpc_calls(grpc, 200, framed(request.SerializeToString()))


async def grpc_many_documents(grpc: str, _http: str) -> None:
    """40 calls of a few kB that stand for 50 GiB of documents each."""
    await _grpc_calls(grpc, 40, framed(_many_documents(), packed=True), encoding="gzip")


ATTACKS: dict[str, Attack] = {
    attack.__name__: attack
    for attack in (
        grpc_bombs,
        grpc_bodies_without_end,
        grpc_health_bodies_without_end,
        grpc_large_calls,
        grpc_many_documents,
    )
}
