"""The attacks. Each lasts until it is cancelled or has done all it can."""

from __future__ import annotations

import asyncio
import gzip
import resource
from collections.abc import Callable, Coroutine
from contextlib import suppress
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


async def _http(endpoint: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = endpoint.rsplit(":", 1)
    return await asyncio.open_connection(host, int(port))


async def _again_and_again(connections: int, attack: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """So many at once, each begun anew when it ends."""

    async def one() -> None:
        while True:
            with suppress(ConnectionError):
                await attack()
            await asyncio.sleep(0.01)

    await asyncio.gather(*(one() for _ in range(connections)))


def _head(path: str, size: int, *headers: str) -> bytes:
    more = "".join(f"{header}\r\n" for header in headers)
    content = "Content-Type: application/x-protobuf\r\n"
    return f"POST {path} HTTP/1.1\r\nHost: x\r\n{content}{more}Content-Length: {size}\r\n\r\n".encode()


async def http_bodies_without_end(_grpc: str, http: str) -> None:
    """200 uploads of 19 MiB without their last byte."""
    body = bytes(19 * _MIB - 1)

    async def attack() -> None:
        reader, writer = await _http(http)
        writer.write(_head("/v1/traces", 19 * _MIB))
        writer.write(body)
        await writer.drain()
        await reader.read()
        writer.close()

    await _again_and_again(200, attack)


async def http_bombs(_grpc: str, http: str) -> None:
    """100 uploads at once of gzip that unpacks to 20 MiB."""
    body = _bomb()

    async def attack() -> None:
        reader, writer = await _http(http)
        writer.write(_head("/v1/traces", len(body), "Content-Encoding: gzip", "Connection: close") + body)
        await reader.read()
        writer.close()

    await _again_and_again(100, attack)


async def http_many_documents(_grpc: str, http: str) -> None:
    """20 uploads at once of a few kB that stand for 50 GiB of documents."""
    body = _many_documents()

    async def attack() -> None:
        reader, writer = await _http(http)
        writer.write(_head("/v1/traces", len(body), "Content-Encoding: gzip", "Connection: close") + body)
        await reader.read()
        writer.close()

    await _again_and_again(20, attack)


async def _pipeline(http: str, request: bytes) -> None:
    async def attack() -> None:
        _, writer = await _http(http)
        while True:
            writer.write(request * 1000)
            await writer.drain()

    await _again_and_again(5, attack)


async def http_pipelined_404s(_grpc: str, http: str) -> None:
    """Five connections that ask for what is not there, without end, and read nothing."""
    await _pipeline(http, b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n")


async def http_pipelined_probes(_grpc: str, http: str) -> None:
    """The same for what is there."""
    await _pipeline(http, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")


async def http_pipelined_exports(_grpc: str, http: str) -> None:
    """The same with empty requests that are taken."""
    await _pipeline(http, _head("/v1/traces", 0))


async def http_refused_bodies(_grpc: str, http: str) -> None:
    """20 bodies of 1 GB at once, for a path that does not exist."""
    chunk = bytes(_MIB)

    async def attack() -> None:
        _, writer = await _http(http)
        writer.write(_head("/nowhere", 1000 * _MIB))
        for _ in range(1000):
            writer.write(chunk)
            await writer.drain()
        writer.close()

    await _again_and_again(20, attack)


async def _hold_connections(endpoint: str, first: bytes) -> None:
    """As many as descriptors allow, up to 5,000."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 10_000), hard))

    async def attack() -> None:
        reader, writer = await _http(endpoint)
        writer.write(first)
        await reader.read()
        writer.close()

    await _again_and_again(min(5000, min(hard, 10_000) - 100), attack)


async def http_idle_connections(_grpc: str, http: str) -> None:
    """5,000 connections on which nothing comes."""
    await _hold_connections(http, b"")


async def http_slow_headers(_grpc: str, http: str) -> None:
    """5,000 connections with half a request's head."""
    await _hold_connections(http, b"POST /v1/traces HTTP/1.1\r\nHost:")


async def grpc_idle_connections(grpc: str, _http: str) -> None:
    """5,000 connections on which nothing comes."""
    await _hold_connections(grpc, b"")


ATTACKS: dict[str, Attack] = {
    attack.__name__: attack
    for attack in (
        grpc_bombs,
        grpc_bodies_without_end,
        grpc_health_bodies_without_end,
        grpc_large_calls,
        grpc_many_documents,
        grpc_idle_connections,
        http_bombs,
        http_bodies_without_end,
        http_many_documents,
        http_pipelined_404s,
        http_pipelined_probes,
        http_pipelined_exports,
        http_refused_bodies,
        http_idle_connections,
        http_slow_headers,
    )
}
