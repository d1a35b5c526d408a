"""Bytes by hand: what no HTTP library sends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import grpc
import grpc.aio
import pytest

from receiver import http_connections
from receiver.arrivals import Arrivals
from receiver.http_receiver import HttpReceiver
from receiver.memory import ProcessMemory
from tests.receiver.conftest import LIMIT, LogLines, Rig, make_rig
from tests.receiver.fakes import CONVERTER, eventually, spans

HEAD = b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"


@asynccontextmanager
async def connection(receiver: HttpReceiver) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    host, port = receiver.endpoint.rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def request(body: bytes) -> bytes:
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body


async def test_pipelined_requests_then_garbage_are_answered_in_order(rig: Rig, http_receiver: HttpReceiver) -> None:
    codes: list[bytes] = []
    async with connection(http_receiver) as (reader, writer):
        writer.write(request(spans(["a"])) + request(b"\xff") + request(spans(["b"])))
        while len(codes) < 3:
            line = await reader.readline()
            if b"HTTP/1.1 " in line:  # the body before it does not end in a newline
                codes.append(line.partition(b"HTTP/1.1 ")[2].split()[0])
        writer.write(b"\x00garbage\r\n\r\n")
        rest = await reader.read()

    assert codes == [b"200", b"400", b"200"]
    assert b"HTTP/1.0 400" in rest or b"HTTP/1.1 400" in rest
    assert rig.exporter.payloads == [spans(["a"]), spans(["b"])]


@pytest.mark.parametrize(
    "garbage", [b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"PRI / HTTP/2.0\r\n\r\nSM\r\n\r\n", b"a b c\r\n\r\n"]
)
async def test_garbage_flood_is_answered_400_and_logged_once_for_each_kind(
    http_receiver: HttpReceiver, caplog: pytest.LogCaptureFixture, logs: LogLines, garbage: bytes
) -> None:
    for _ in range(20):
        async with connection(http_receiver) as (reader, writer):
            writer.write(garbage)
            answer = await reader.read()
            assert b" 400 " in answer.partition(b"\r\n")[0] or not answer

    assert len(logs) <= 1
    assert not [record for record in caplog.records if record.levelname in {"WARNING", "ERROR"}]


async def test_half_sent_body_is_dropped_and_memory_freed(rig: Rig, http_receiver: HttpReceiver) -> None:
    async with connection(http_receiver) as (_, writer):
        writer.write(HEAD + b"Content-Length: 100000\r\n\r\n" + b"x" * 50_000)
        await eventually(lambda: rig.budget.in_use > 0)

    await eventually(lambda: rig.count("requests_total", signal="traces", transport="http", outcome="client_gone") == 1)
    assert rig.budget.in_use == 0
    assert not rig.exporter.batches


async def test_body_that_never_comes_answers_503() -> None:
    rig = make_rig(arrivals=Arrivals(ProcessMemory(), 1 << 30, body_seconds=0.1))
    receiver = HttpReceiver("127.0.0.1:0", rig.handler, converter=CONVERTER, max_request_bytes=LIMIT)
    await receiver.start()

    async with connection(receiver) as (reader, writer):
        writer.write(HEAD + b"Content-Length: 100\r\n\r\nx")
        answer = await reader.readline()
    await receiver.stop(1.0)

    assert b" 503 " in answer


async def test_announced_size_over_limit_answers_413_without_reading(http_receiver: HttpReceiver) -> None:
    async with connection(http_receiver) as (reader, writer):
        writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % (LIMIT + 1))
        answer = await reader.readline()

    assert b" 413 " in answer


async def test_expect_continue_gets_leave_to_send(rig: Rig, http_receiver: HttpReceiver) -> None:
    body = spans()

    async with connection(http_receiver) as (reader, writer):
        writer.write(HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
        leave = await reader.readuntil(b"\r\n\r\n")
        writer.write(body)
        answer = await reader.readline()

    assert leave == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert b" 200 " in answer
    assert rig.exporter.payloads == [body]


async def test_client_gone_while_exporting_is_still_stored(rig: Rig, http_receiver: HttpReceiver) -> None:
    rig.exporter.hold()

    async with connection(http_receiver) as (_, writer):
        writer.write(request(spans()))
        await rig.exporter.entered.wait()
    rig.exporter.open.set()

    await eventually(lambda: len(rig.exporter.batches) == 1 and rig.budget.in_use == 0)


async def test_broken_chunks_answer_400_or_close(rig: Rig, http_receiver: HttpReceiver) -> None:
    async with connection(http_receiver) as (reader, writer):
        writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\nnot a chunk\r\n")
        answer = await reader.read()

    assert not answer or b" 400 " in answer.partition(b"\r\n")[0]
    assert not rig.exporter.batches
    assert rig.budget.in_use == 0


@asynccontextmanager
async def listening(**bounds: Any) -> AsyncIterator[HttpReceiver]:
    """A receiver with bounds of its own."""
    receiver = HttpReceiver("127.0.0.1:0", make_rig().handler, converter=CONVERTER, max_request_bytes=LIMIT, **bounds)
    await receiver.start()
    yield receiver
    await receiver.stop(1.0)


def json_status(answer: bytes) -> dict[str, Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/json" in head
    status: dict[str, Any] = json.loads(body)
    return status


async def test_http2_is_told_which_port_is_meant_and_logged(http_receiver: HttpReceiver, logs: LogLines) -> None:
    async with connection(http_receiver) as (reader, writer):
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        answer = await reader.read()

    assert "send gRPC to the port for it" in json_status(answer)["message"]
    (line,) = logs
    assert line["outcome"] == "http2"
    assert "127.0.0.1 sent HTTP/2" in line["reason"]


async def test_grpc_client_at_the_http_port_reads_what_is_wrong(http_receiver: HttpReceiver, logs: LogLines) -> None:
    async with grpc.aio.insecure_channel(http_receiver.endpoint) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary("/x/Y", None, None)(b"", timeout=5)

    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "http1.x" in (caught.value.details() or "")
    assert len(logs) == 1


async def test_garbage_is_answered_with_a_status_that_echoes_nothing(http_receiver: HttpReceiver) -> None:
    async with connection(http_receiver) as (reader, writer):
        writer.write(b"SECRET nonsense\r\n\r\n")
        answer = await reader.read()

    assert b" 400 " in answer.partition(b"\r\n")[0]
    assert json_status(answer) == {"code": 3, "message": "the request is no valid HTTP/1.1"}
    assert b"SECRET" not in answer
    assert b"aiohttp" not in answer.lower()
    assert b"python" not in answer.lower()


@pytest.mark.parametrize(("size", "code"), [(8_000, b" 200 "), (16_300, b" 200 "), (17_000, b" 431 ")])
async def test_header_limit_is_sharp_and_its_refusal_a_status(
    http_receiver: HttpReceiver, size: int, code: bytes
) -> None:
    async with connection(http_receiver) as (reader, writer):
        writer.write(HEAD + b"X-Long: " + b"x" * size + b"\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        answer = await reader.read()

    assert code in answer.partition(b"\r\n")[0]
    if code == b" 431 ":
        assert "longer than the limit of 16384 bytes" in json_status(answer)["message"]


async def test_slow_headers_end_the_connection() -> None:
    async with listening(header_seconds=0.1) as receiver, connection(receiver) as (reader, writer):
        writer.write(HEAD)
        started = asyncio.get_running_loop().time()
        answer = await reader.read()

        assert answer == b""
        assert asyncio.get_running_loop().time() - started < 5


async def test_idle_connection_ends() -> None:
    async with listening(idle_seconds=0.1) as receiver, connection(receiver) as (reader, _writer):
        async with asyncio.timeout(5):
            assert await reader.read() == b""


async def test_connection_that_was_used_ends_when_idle() -> None:
    async with listening(idle_seconds=0.1) as receiver, connection(receiver) as (reader, writer):
        writer.write(request(spans()))
        async with asyncio.timeout(5):
            answer = await reader.read()

    assert b" 200 " in answer.partition(b"\r\n")[0]


async def test_refused_request_with_an_unread_body_ends_its_connection(http_receiver: HttpReceiver) -> None:
    async with connection(http_receiver) as (reader, writer):
        writer.write(b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")
        sent = 0
        with suppress(ConnectionError):
            while sent < 200 << 20:
                writer.write(bytes(1 << 20))
                await writer.drain()
                sent += 1 << 20
        answer = b""
        with suppress(ConnectionError):
            answer = await reader.read()

    assert sent < 64 << 20
    assert not answer or b" 404 " in answer.partition(b"\r\n")[0]


@pytest.mark.parametrize("line", [b"GET /nowhere", b"GET /v1/traces"])
async def test_mistaken_request_ends_its_connection(http_receiver: HttpReceiver, line: bytes) -> None:
    async with connection(http_receiver) as (reader, writer):
        writer.write((line + b" HTTP/1.1\r\nHost: x\r\n\r\n") * 100)
        answer = b""
        with suppress(ConnectionError):
            answer = await reader.read()

    assert answer.count(b"HTTP/1.1 40") == 1
    assert b"Connection: close" in answer


async def test_connection_over_the_bound_takes_the_place_of_the_one_idle_longest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_connections, "_RECENTLY_SECONDS", 0.0)
    async with (
        listening(max_connections=2) as receiver,
        connection(receiver) as (first, _),
        connection(receiver) as (second, other),
    ):
        other.write(request(spans()))
        await second.readline()
        async with connection(receiver) as (third, writer), asyncio.timeout(5):
            writer.write(request(spans()))
            answer = await third.readline()
            closed = await first.read()

    assert (closed, b" 200 " in answer) == (b"", True)


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("HEAD", "/"), ("GET", "/healthz")])
async def test_probe_of_a_load_balancer_answers_200(
    client: aiohttp.ClientSession, logs: LogLines, method: str, path: str
) -> None:
    async with client.request(method, path) as response:
        text = await response.text()

    assert response.status == 200
    assert response.headers["Server"] == "otlp-mongo"
    assert text.count("\n") == (method == "GET")
    assert not logs
