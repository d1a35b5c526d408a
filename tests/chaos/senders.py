"""Clients that retry as SDKs do: the same bytes again until they are acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import NamedTuple, cast

import aiohttp
import grpc
import grpc.aio
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import RetryInfo
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Gauge,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from exporter.signals import LOGS, METRICS, TRACES, Signal

_TIMEOUT = 10.0
"""Seconds for one try, as in the SDKs' default."""
_RETRYABLE = {
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DATA_LOSS,
}
"""RESOURCE_EXHAUSTED too, when it comes with a RetryInfo (OTLP specification, "Failures")."""
_RETRYABLE_HTTP = {429, 502, 503, 504}
_SIZES = (1, 5, 50, 400)
_SHORT_LIVED = 0.03
"""The part of the requests whose sender may end before their acknowledgement."""


class Refused(Exception):
    """An answer after which an SDK throws the records away."""


class Answer(NamedTuple):
    """What a try brought."""

    status: str
    """"OK" when the records are acknowledged."""
    retry_after: float | None = None
    """Seconds to wait before the next try, when the receiver says so."""


Send = Callable[[Signal, bytes], Awaitable[Answer]]


@dataclass
class Ledger:
    """Which records were sent and acknowledged, by signal name, and what the answers were."""

    sent: Counter[str] = field(default_factory=Counter)
    acknowledged: dict[str, set[int]] = field(default_factory=lambda: {s.name: set() for s in (TRACES, METRICS, LOGS)})
    answers: Counter[str] = field(default_factory=Counter)
    longest_wait: float = 0.0
    """Seconds from a request's first try to its acknowledgement."""
    given_up: int = 0
    """Records whose sender ended before their acknowledgement."""


def _attributes(number: int) -> list[KeyValue]:
    return [
        KeyValue(key="number", value=AnyValue(int_value=number)),
        KeyValue(key="filling.text", value=AnyValue(string_value=f"{number:x}" * 20)),
    ]


def _spans(numbers: Iterable[int]) -> Message:
    now = time.time_ns()
    spans = [Span(name="chaos", start_time_unix_nano=now, attributes=_attributes(number)) for number in numbers]
    return ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=spans)])])


def _logs(numbers: Iterable[int]) -> Message:
    now = time.time_ns()
    records = [LogRecord(time_unix_nano=now, attributes=_attributes(number)) for number in numbers]
    return ExportLogsServiceRequest(resource_logs=[ResourceLogs(scope_logs=[ScopeLogs(log_records=records)])])


def _points(numbers: Iterable[int]) -> Message:
    now = time.time_ns()
    points = [NumberDataPoint(time_unix_nano=now, as_int=1, attributes=_attributes(number)) for number in numbers]
    metric = Metric(name="chaos", gauge=Gauge(data_points=points))
    return ExportMetricsServiceRequest(
        resource_metrics=[ResourceMetrics(scope_metrics=[ScopeMetrics(metrics=[metric])])]
    )


_REQUESTS: dict[Signal, Callable[[Iterable[int]], Message]] = {TRACES: _spans, LOGS: _logs, METRICS: _points}


def request(signal: Signal, numbers: Iterable[int]) -> bytes:
    """An export request whose records carry these numbers as an attribute."""
    return _REQUESTS[signal](numbers).SerializeToString()


class Client:
    """Sends payloads to a sidecar by both transports."""

    def __init__(self, channel: grpc.aio.Channel, session: aiohttp.ClientSession, http: str) -> None:
        self._calls = {signal: channel.unary_unary(signal.grpc_method, bytes, bytes) for signal in _REQUESTS}
        self.last_answer = b""
        """The last export response that came over gRPC."""
        self._session = session
        self._http = http

    async def over_grpc(self, signal: Signal, payload: bytes) -> Answer:
        """One try. Raises Refused."""
        try:
            self.last_answer = await self._calls[signal](payload, timeout=_TIMEOUT)
        except grpc.aio.AioRpcError as error:
            retry_after = _retry_info(error)
            exhausted = error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and retry_after is not None
            if error.code() not in _RETRYABLE and not exhausted:
                raise Refused(f"{error.code()}: {error.details()}") from error
            return Answer(error.code().name, retry_after)
        return Answer("OK")

    async def over_http(self, signal: Signal, payload: bytes) -> Answer:
        """One try. Raises Refused."""
        url, headers = f"http://{self._http}{signal.http_path}", {"Content-Type": "application/x-protobuf"}
        try:
            async with self._session.post(url, data=payload, headers=headers) as response:
                # A connection that breaks in the middle of an answer leaves it unknown.
                text = await response.text(errors="replace")
        except (aiohttp.ClientError, TimeoutError) as error:
            return Answer(type(error).__name__)
        if response.status == 200:
            return Answer("OK")
        if response.status not in _RETRYABLE_HTTP:
            raise Refused(f"{response.status}: {text}")
        seconds = response.headers.get("Retry-After")
        return Answer(str(response.status), None if seconds is None else float(seconds))


def _retry_info(error: grpc.aio.AioRpcError) -> float | None:
    for key, value in cast("Iterable[tuple[str, str | bytes]]", error.trailing_metadata()):
        if key == "google.rpc.retryinfo-bin" and isinstance(value, bytes):
            delay = RetryInfo.FromString(value).retry_delay
            return float(delay.seconds + delay.nanos / 1e9)
    return None


@asynccontextmanager
async def client(grpc_endpoint: str, http_endpoint: str) -> AsyncIterator[Client]:
    """A client, closed in the end. It reconnects quickly, since what it connects to restarts."""
    options = [("grpc.max_reconnect_backoff_ms", 500), ("grpc.initial_reconnect_backoff_ms", 100)]
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT)
    async with (
        grpc.aio.insecure_channel(grpc_endpoint, options=options) as channel,
        aiohttp.ClientSession(timeout=timeout) as session,
    ):
        yield Client(channel, session, http_endpoint)


async def send_until_acknowledged(
    send: Send, signal: Signal, numbers: range, ledger: Ledger, rng: random.Random
) -> None:
    """The same bytes again and again, after the wait that is asked for or else a growing one, however long it takes."""
    payload = request(signal, numbers)
    ledger.sent[signal.name] += len(numbers)
    started = time.monotonic()
    for attempt in itertools.count():
        answer = await send(signal, payload)
        ledger.answers[answer.status] += 1
        if answer.status == "OK":
            break
        wait = rng.uniform(0, min(0.05 * 2**attempt, 1.0)) if answer.retry_after is None else answer.retry_after
        await asyncio.sleep(wait)
    ledger.acknowledged[signal.name].update(numbers)
    ledger.longest_wait = max(ledger.longest_wait, time.monotonic() - started)


@asynccontextmanager
async def sending(client: Client, ledger: Ledger, seed: int, senders: int = 6) -> AsyncIterator[None]:
    """Senders at work for as long as the block takes; then each gets its last request acknowledged.

    Now and then one ends while it waits for an answer, as an application does that is stopped.
    """
    numbers = itertools.count()
    enough = asyncio.Event()

    async def work(sender: int) -> None:
        rng = random.Random(seed * 1000 + sender)
        send = client.over_grpc if sender % 2 else client.over_http
        while not enough.is_set():
            signal, size = rng.choice((TRACES, METRICS, LOGS)), rng.choice(_SIZES)
            first = next(numbers) * max(_SIZES)
            life = rng.uniform(0.005, 1.0) if rng.random() < _SHORT_LIVED else None
            try:
                async with asyncio.timeout(life):
                    await send_until_acknowledged(send, signal, range(first, first + size), ledger, rng)
            except TimeoutError:
                ledger.given_up += size
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(enough.wait(), rng.uniform(0, 0.05))

    async with asyncio.TaskGroup() as tasks:
        for sender in range(senders):
            tasks.create_task(work(sender))
        try:
            yield
        finally:
            enough.set()
