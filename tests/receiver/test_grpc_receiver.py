from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NoReturn

import grpc
import grpc.aio
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from h2.events import Event
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from exporter import SIGNALS, ExportResult, Overloaded, Signal, Unavailable
from receiver.arrivals import Arrivals
from receiver.endpoint import Endpoint, EndpointInUse, ReceiverStartError
from receiver.grpc_receiver import GrpcReceiver
from receiver.memory import ProcessMemory
from tests.attacks.http2 import Connection, framed
from tests.receiver.conftest import LIMIT, LogLines, Rig, make_rig
from tests.receiver.fakes import TRACES, eventually, payload, spans, spans_of_size

GZIP, DEFLATE, PLAIN = grpc.Compression.Gzip, grpc.Compression.Deflate, grpc.Compression.NoCompression
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


async def send(channel: grpc.aio.Channel, body: bytes, method: str = TRACES.grpc_method, **options: Any) -> bytes:
    answer: bytes = await channel.unary_unary(method, None, None)(body, **options)
    return answer


async def refusal(channel: grpc.aio.Channel, body: bytes, **options: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await send(channel, body, **options)
    return caught.value


def details_of(error: grpc.aio.AioRpcError) -> str:
    details = error.details()
    assert details is not None
    return details


def status_of(error: grpc.aio.AioRpcError) -> Status:
    metadata: Any = error.trailing_metadata()  # a mapping, which the stubs do not say
    return Status.FromString(metadata["grpc-status-details-bin"])


def retry_seconds(error: grpc.aio.AioRpcError) -> float:
    (detail,) = status_of(error).details
    info = RetryInfo()
    assert detail.Unpack(info)
    seconds: float = info.retry_delay.ToTimedelta().total_seconds()
    return seconds


@pytest.mark.parametrize("signal", SIGNALS.values(), ids=str)
async def test_export_each_signal_reaches_exporter(rig: Rig, channel: grpc.aio.Channel, signal: Signal) -> None:
    body = payload(signal)

    response = await send(channel, body, signal.grpc_method)

    assert response == b""
    assert [(batch.signal, batch.payload, batch.records) for batch in rig.exporter.batches] == [(signal, body, 1)]


@pytest.mark.parametrize("compression", [PLAIN, GZIP, DEFLATE], ids=str)
async def test_export_compressed_reaches_exporter_unpacked(
    rig: Rig, channel: grpc.aio.Channel, compression: grpc.Compression
) -> None:
    body = spans(["GET /"] * 1000)

    await send(channel, body, compression=compression)

    assert rig.exporter.payloads == [body]


@pytest.mark.parametrize("signal", SIGNALS.values(), ids=str)
async def test_export_empty_request_succeeds_without_exporter(
    rig: Rig, channel: grpc.aio.Channel, signal: Signal
) -> None:
    rig.exporter.closed = True

    response = await send(channel, b"", signal.grpc_method)

    assert response == b""


async def test_export_same_bytes_again_makes_same_ids(rig: Rig, channel: grpc.aio.Channel) -> None:
    for _ in range(2):
        await send(channel, spans())

    first, second = rig.exporter.batches
    assert first.base_id == second.base_id


async def test_export_partly_rejected_answers_partial_success(rig: Rig, channel: grpc.aio.Channel) -> None:
    rig.exporter.run(ExportResult(rejected=1, message="one span is larger than MongoDB takes"))

    response = ExportTraceServiceResponse.FromString(await send(channel, spans(["a", "b", "c"])))

    assert response.partial_success.rejected_spans == 1
    assert response.partial_success.error_message == "one span is larger than MongoDB takes"
    assert rig.count("accepted_records_total", signal="traces") == 2
    assert rig.count("refused_records_total", signal="traces") == 1
    assert rig.count("requests_total", signal="traces", transport="grpc", outcome="partial") == 1


async def test_export_warning_answers_message_without_count(rig: Rig, channel: grpc.aio.Channel) -> None:
    rig.exporter.run(ExportResult(message="stored, but late"))

    response = ExportTraceServiceResponse.FromString(await send(channel, spans()))

    assert (response.partial_success.rejected_spans, response.partial_success.error_message) == (0, "stored, but late")


@pytest.mark.parametrize("body", [b"\xff", b"\x0a\xff\x01", b"not protobuf", b"\x0a" + b"\xff" * 20_000])
async def test_export_malformed_answers_invalid_argument_and_stores_nothing(
    rig: Rig, channel: grpc.aio.Channel, body: bytes
) -> None:
    error = await refusal(channel, body)

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "ExportTraceServiceRequest" in details_of(error)
    assert status_of(error).code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert not status_of(error).details
    assert not rig.exporter.batches


async def test_export_unavailable_answers_retry_info(rig: Rig, channel: grpc.aio.Channel) -> None:
    rig.exporter.run(Unavailable("MongoDB is away", retry_after=4.0))

    error = await refusal(channel, spans())

    assert (error.code(), error.details()) == (grpc.StatusCode.UNAVAILABLE, "MongoDB is away")
    assert 1.0 <= retry_seconds(error) <= 1.25
    assert rig.count("refused_records_total", signal="traces") == 1


async def test_export_overloaded_answers_resource_exhausted_with_retry_info(
    rig: Rig, channel: grpc.aio.Channel
) -> None:
    rig.exporter.run(Overloaded("buffer full", retry_after=8.0))

    error = await refusal(channel, spans())

    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert 1.0 <= retry_seconds(error) <= 1.25


@pytest.mark.parametrize("bug", [KeyError("secret"), asyncio.CancelledError(), AssertionError(), StopAsyncIteration()])
async def test_export_unforeseen_error_answers_unavailable_not_unknown(
    rig: Rig, channel: grpc.aio.Channel, bug: BaseException
) -> None:
    rig.exporter.run(bug)

    error = await refusal(channel, spans(), timeout=10)

    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert "secret" not in details_of(error)
    assert retry_seconds(error) >= 1.0


@pytest.mark.parametrize(("offered", "kept"), [("order-7", True), ("a b\\n", False), ("x" * 200, False)])
async def test_export_refused_logs_request_and_reason(
    rig: Rig, channel: grpc.aio.Channel, logs: LogLines, offered: str, kept: bool
) -> None:
    rig.exporter.run(Unavailable("MongoDB is away"))

    await refusal(channel, spans(), metadata=[("x-request-id", offered)])

    (line,) = [line for line in logs if line["log_level"] == "warning"]
    assert line["reason"] == "MongoDB is away"
    assert (line["transport"], line["signal"], line["outcome"]) == ("grpc", "traces", "unavailable")
    assert line["peer"].startswith("ipv4:127.0.0.1:")
    assert line["request_id"]
    assert (line["request_id"] == offered) is kept


async def test_export_log_cannot_be_written_still_answers(
    rig: Rig, channel: grpc.aio.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object, **kwargs: object) -> NoReturn:
        raise OSError("no space left on device")

    monkeypatch.setattr(rig.handler.refusals, "write", full)
    rig.exporter.run(Unavailable("MongoDB is away"))

    error = await refusal(channel, spans())

    assert error.code() is grpc.StatusCode.UNAVAILABLE


async def test_export_long_reason_still_fits_into_headers(rig: Rig, channel: grpc.aio.Channel) -> None:
    rig.exporter.run(Unavailable("ü" * 100_000))

    error = await refusal(channel, spans())

    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert error.details() == "ü" * 1000


@pytest.mark.parametrize("compression", [PLAIN, GZIP, DEFLATE], ids=str)
async def test_export_exactly_at_limit_succeeds(
    rig: Rig, channel: grpc.aio.Channel, compression: grpc.Compression
) -> None:
    body = spans_of_size(LIMIT)

    await send(channel, body, compression=compression)

    assert [len(taken) for taken in rig.exporter.payloads] == [LIMIT]


async def test_export_19_mebibytes_with_usual_limit_succeeds(rig: Rig) -> None:
    receiver = GrpcReceiver("127.0.0.1:0", rig.handler, max_request_bytes=20 << 20)
    await receiver.start()

    async with grpc.aio.insecure_channel(receiver.endpoint) as channel:
        await send(channel, spans_of_size(19 << 20))
    await receiver.stop(1.0)

    assert [len(taken) for taken in rig.exporter.payloads] == [19 << 20]


@pytest.mark.parametrize("compression", [PLAIN, GZIP, DEFLATE], ids=str)
async def test_export_one_byte_over_limit_answers_resource_exhausted_for_good(
    rig: Rig, channel: grpc.aio.Channel, compression: grpc.Compression
) -> None:
    body = spans_of_size(LIMIT + 1)

    error = await refusal(channel, body, compression=compression)

    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert compression is PLAIN or not status_of(error).details
    assert not rig.exporter.batches


async def test_export_gzip_bomb_answers_resource_exhausted_and_others_go_on(
    rig: Rig, channel: grpc.aio.Channel
) -> None:
    bomb = bytes(10 * LIMIT)

    error, response = await asyncio.gather(refusal(channel, bomb, compression=GZIP), send(channel, spans()))

    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert response == b""


@pytest.mark.parametrize(
    "method",
    [
        "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export",
        "/opentelemetry.proto.collector.trace.v1.TraceService/Import",
    ],
)
async def test_export_unknown_method_answers_unimplemented(channel: grpc.aio.Channel, method: str) -> None:
    error = await refusal(channel, b"", method=method)

    assert error.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_export_many_at_once_on_one_connection_all_answered(rig: Rig, channel: grpc.aio.Channel) -> None:
    bodies = [spans([f"span {number}"]) for number in range(300)]

    responses = await asyncio.gather(*(send(channel, body) for body in bodies))

    assert responses == [b""] * 300
    assert sorted(rig.exporter.payloads) == sorted(bodies)
    assert rig.budget.in_use == 0


async def test_export_client_deadline_cancels_exporter_and_frees_memory(rig: Rig, channel: grpc.aio.Channel) -> None:
    rig.exporter.hold()

    error = await refusal(channel, spans(), timeout=0.2)
    await eventually(lambda: rig.exporter.cancelled == 1 and rig.budget.in_use == 0)

    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await eventually(lambda: rig.count("requests_total", signal="traces", transport="grpc", outcome="cancelled") == 1)


async def test_export_past_memory_budget_answers_overloaded() -> None:
    rig = make_rig(budget_bytes=100_000)
    receiver = GrpcReceiver("127.0.0.1:0", rig.handler, max_request_bytes=LIMIT)
    await receiver.start()
    rig.exporter.hold()

    async with grpc.aio.insecure_channel(receiver.endpoint) as channel:
        first = asyncio.ensure_future(send(channel, spans_of_size(200_000)))
        await rig.exporter.entered.wait()
        error = await refusal(channel, spans_of_size(50_000))
        rig.exporter.open.set()
        await first
        await send(channel, spans())
    await receiver.stop(1.0)

    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert retry_seconds(error) > 0
    assert len(rig.exporter.batches) == 2


async def test_health_follows_readiness_and_stop(
    rig: Rig, grpc_receiver: GrpcReceiver, channel: grpc.aio.Channel
) -> None:
    stub = health_pb2_grpc.HealthStub(channel)
    seen = []

    watch = stub.Watch(health_pb2.HealthCheckRequest(service=TRACES.service))
    seen.append((await watch.read()).status)
    await grpc_receiver.set_serving(False)
    seen.append((await watch.read()).status)
    await grpc_receiver.set_serving(True)
    seen.append((await watch.read()).status)
    whole = await stub.Check(health_pb2.HealthCheckRequest())
    stopping = asyncio.ensure_future(grpc_receiver.stop(1.0))
    seen.append((await watch.read()).status)
    watch.cancel()
    await stopping

    assert seen == [SERVING, NOT_SERVING, SERVING, NOT_SERVING]
    assert whole.status == SERVING


async def test_health_of_unknown_service_is_not_found_and_watched_as_unknown(channel: grpc.aio.Channel) -> None:
    stub = health_pb2_grpc.HealthStub(channel)
    request = health_pb2.HealthCheckRequest(service="shop.Orders")

    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stub.Check(request)
    watched = await stub.Watch(request).read()

    assert raised.value.code() is grpc.StatusCode.NOT_FOUND
    assert watched.status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


async def test_stop_with_those_who_watch_or_ask_on_is_prompt(
    grpc_receiver: GrpcReceiver, channel: grpc.aio.Channel
) -> None:
    watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
    await watch.read()
    asking = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo()
    await asking.write(reflection_pb2.ServerReflectionRequest(list_services=""))
    await asking.read()

    async with asyncio.timeout(5):
        await grpc_receiver.stop(30.0)

    assert (await watch.read()).status == NOT_SERVING
    assert await watch.code() is grpc.StatusCode.OK
    assert await asking.code() in {grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE}


async def test_watcher_that_reads_nothing_holds_up_neither_readiness_nor_stop(grpc_receiver: GrpcReceiver) -> None:
    host, port = grpc_receiver.endpoint.rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(watch_with_closed_window(grpc_receiver.endpoint))
    await reader.read(1)

    async with asyncio.timeout(5):
        for serving in (False, True) * 20:
            await grpc_receiver.set_serving(serving)
            await asyncio.sleep(0)
        await grpc_receiver.stop(30.0)

    writer.close()


def watch_with_closed_window(authority: str) -> bytes:
    """HTTP/2 (RFC 9113): a call of Health/Watch by a client that takes not one byte of its answers."""

    def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
        return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload

    def literal(name: str, value: str) -> bytes:
        return b"\x00" + b"".join(bytes((len(text),)) + text.encode() for text in (name, value))

    headers = {
        ":method": "POST",
        ":scheme": "http",
        ":path": "/grpc.health.v1.Health/Watch",
        ":authority": authority,
        "te": "trailers",
        "content-type": "application/grpc",
    }
    no_window = (0x4).to_bytes(2, "big") + (0).to_bytes(4, "big")
    return b"".join(
        (
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            frame(0x4, 0, 0, no_window),
            frame(0x1, 0x4, 1, b"".join(literal(*header) for header in headers.items())),
            frame(0x0, 0x1, 1, bytes(5)),
        )
    )


async def test_reflection_lists_and_describes_services(channel: grpc.aio.Channel) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    requests = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=TRACES.service),
    ]

    listed, described = [response async for response in stub.ServerReflectionInfo(iter(requests))]

    names = {service.name for service in listed.list_services_response.service}
    assert names >= {signal.service for signal in SIGNALS.values()} | {"grpc.health.v1.Health"}
    assert described.file_descriptor_response.file_descriptor_proto


async def test_stop_answers_calls_in_flight_and_takes_no_more(
    rig: Rig, grpc_receiver: GrpcReceiver, channel: grpc.aio.Channel
) -> None:
    rig.exporter.hold()
    in_flight = asyncio.ensure_future(send(channel, spans()))
    await rig.exporter.entered.wait()

    stopping = asyncio.ensure_future(grpc_receiver.stop(10.0))
    async with grpc.aio.insecure_channel(grpc_receiver.endpoint) as late:
        await eventually(lambda: refused_to_connect(grpc_receiver.endpoint))
        error = await refusal(late, spans())
    rig.exporter.open.set()

    assert await in_flight == b""
    await stopping
    assert error.code() is grpc.StatusCode.UNAVAILABLE


def refused_to_connect(endpoint: str) -> bool:
    host, port = endpoint.rsplit(":", 1)
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) != 0


@pytest.mark.parametrize("grace", [0.0, 0.1])
async def test_stop_after_grace_cancels_what_hangs(
    rig: Rig, grpc_receiver: GrpcReceiver, channel: grpc.aio.Channel, grace: float
) -> None:
    rig.exporter.hold()
    in_flight = asyncio.ensure_future(refusal(channel, spans()))
    await rig.exporter.entered.wait()

    await grpc_receiver.stop(grace)

    assert (await in_flight).code() in {grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE}


async def test_start_port_taken_since_it_was_claimed_says_what_it_may_be(
    rig: Rig, grpc_receiver: GrpcReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = GrpcReceiver(grpc_receiver.endpoint, rig.handler, max_request_bytes=LIMIT)
    monkeypatch.setattr(Endpoint, "claim", lambda _: None)

    with pytest.raises(ReceiverStartError, match=f"{grpc_receiver.endpoint}: another process .* limit of open files"):
        await second.start()


async def test_start_port_in_use_names_endpoint(rig: Rig, grpc_receiver: GrpcReceiver) -> None:
    second = GrpcReceiver(grpc_receiver.endpoint, rig.handler, max_request_bytes=LIMIT)

    with pytest.raises(EndpointInUse, match=grpc_receiver.endpoint):
        await second.start()


async def test_start_unix_socket_serves_and_is_removed(rig: Rig, tmp_path: Path) -> None:
    path = tmp_path / "otlp.sock"
    receiver = GrpcReceiver(f"unix:{path}", rig.handler, max_request_bytes=LIMIT)

    await receiver.start()
    async with grpc.aio.insecure_channel(receiver.endpoint) as channel:
        await send(channel, spans())
    await receiver.stop(1.0)

    assert len(rig.exporter.batches) == 1
    assert not path.exists()


@pytest.fixture
async def impatient() -> AsyncIterator[Connection]:
    """A connection to a receiver that waits 0.2 s for a body."""
    rig = make_rig(arrivals=Arrivals(ProcessMemory(), 1 << 30, body_seconds=0.2))
    receiver = GrpcReceiver("127.0.0.1:0", rig.handler, max_request_bytes=LIMIT)
    await receiver.start()
    connection = await Connection.open(receiver.endpoint)
    yield connection
    connection.close()
    await receiver.stop(1.0)


def status_in(events: list[Event]) -> str:
    """The name of the gRPC status that a call ended with."""
    headers = dict(pair for event in events for pair in getattr(event, "headers", None) or ())
    return next(code.name for code in grpc.StatusCode if str(code.value[0]) == headers["grpc-status"])


@pytest.mark.parametrize("method", [TRACES.grpc_method, "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"])
async def test_call_whose_body_does_not_end_is_unavailable_after_a_while(impatient: Connection, method: str) -> None:
    stream = impatient.call(method, framed(spans())[:-1], end=False)

    assert status_in(await impatient.until_ended(stream)) == "UNAVAILABLE"


async def test_call_without_a_message_is_unimplemented(impatient: Connection) -> None:
    stream = impatient.call(TRACES.grpc_method, b"")

    assert status_in(await impatient.until_ended(stream)) == "UNIMPLEMENTED"


async def test_call_cut_within_its_message_ends(impatient: Connection) -> None:
    stream = impatient.call(TRACES.grpc_method, framed(spans())[:-1])

    assert status_in(await impatient.until_ended(stream)) != "OK"


async def test_refusal_by_core_for_size_is_counted(rig: Rig, channel: grpc.aio.Channel) -> None:
    await refusal(channel, spans_of_size(LIMIT + 1))

    await eventually(lambda: rig.count("requests_total", signal="traces", transport="grpc", outcome="no_message") == 1)


async def test_export_damaged_gzip_is_invalid_argument(impatient: Connection) -> None:
    stream = impatient.call(TRACES.grpc_method, framed(gzip.compress(spans())[:-4], packed=True), encoding="gzip")

    assert status_in(await impatient.until_ended(stream)) == "INVALID_ARGUMENT"


async def test_health_takes_packed_messages(channel: grpc.aio.Channel) -> None:
    request = health_pb2.HealthCheckRequest(service=TRACES.service).SerializeToString()

    answer = await send(channel, request, "/grpc.health.v1.Health/Check", compression=GZIP)

    assert health_pb2.HealthCheckResponse.FromString(answer).status == SERVING


async def test_health_of_an_unreadable_message_is_invalid_argument(channel: grpc.aio.Channel) -> None:
    error = await refusal(channel, b"\xff", method="/grpc.health.v1.Health/Check")

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
