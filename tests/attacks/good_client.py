"""A well-behaved application: 20 requests of 50 spans a second, by turns over gRPC and HTTP."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from types import TracebackType

import aiohttp
import grpc
import grpc.aio
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

REQUESTS_A_SECOND = 20
_SPANS = 50
_METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


def spans(number: int, count: int = _SPANS) -> bytes:
    """A request that no other is like."""
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for index in range(count):
        identity = number * count + index + 1
        scope.spans.add(
            name="GET /cart", trace_id=identity.to_bytes(16, "big"), span_id=identity.to_bytes(8, "big"), kind=2
        )
    return request.SerializeToString()


@dataclass
class Experience:
    """What the client met with."""

    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def p99(self) -> float:
        ordered = sorted(self.seconds)
        return ordered[int(len(ordered) * 0.99)] if ordered else 0.0


class GoodClient:
    """Sends from the beginning of the `async with` block to its end."""

    def __init__(self, grpc_endpoint: str, http_endpoint: str) -> None:
        self.experience = Experience()
        self._channel = grpc.aio.insecure_channel(grpc_endpoint)
        self._url = f"http://{http_endpoint}/v1/traces"
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> GoodClient:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._task:
            await self._task
        await self._channel.close(None)

    async def _run(self) -> None:
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as requests:
            number = 0
            while not self._stop.is_set():
                requests.create_task(self._request(session, number))
                number += 1
                await asyncio.sleep(1 / REQUESTS_A_SECOND)

    async def _request(self, session: aiohttp.ClientSession, number: int) -> None:
        body = spans(number)
        started = time.perf_counter()
        try:
            if number % 2:
                await self._channel.unary_unary(_METHOD, None, None)(body, timeout=10)
            else:
                headers = {"Content-Type": "application/x-protobuf"}
                async with session.post(
                    self._url, data=body, headers=headers, timeout=aiohttp.ClientTimeout(10)
                ) as answer:
                    await answer.read()
                    answer.raise_for_status()
        except (grpc.aio.AioRpcError, aiohttp.ClientError, TimeoutError) as error:
            self.experience.failures.append(f"{number}: {error!r}"[:300])
        self.experience.seconds.append(time.perf_counter() - started)
