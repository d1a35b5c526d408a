"""Bytes by hand: what no HTTP library sends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from receiver.http_receiver import HttpReceiver
from tests.receiver.conftest import LIMIT, LogLines, Rig
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
    "garbage", [b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"a b c\r\n\r\n"]
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


async def test_body_that_never_comes_answers_503(rig: Rig) -> None:
    receiver = HttpReceiver(
        "127.0.0.1:0", rig.handler, converter=CONVERTER, max_request_bytes=LIMIT, body_timeout_seconds=0.1
    )
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
