from __future__ import annotations

import asyncio
import gzip
import io
import json
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from google.protobuf import json_format
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from exporter import SIGNALS, ExportResult, Overloaded, Signal, Unavailable
from receiver.endpoint import EndpointInUse
from receiver.http_receiver import HttpReceiver
from tests.receiver.conftest import LIMIT, LogLines, Rig, make_rig
from tests.receiver.fakes import CONVERTER, eventually, payload, spans, spans_of_size

Body = bytes | AsyncIterator[bytes]
PROTOBUF, JSON = "application/x-protobuf", "application/json"
TRACES_JSON = json.dumps(
    {"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "GET /", "traceId": "AB" * 16, "spanId": "cd" * 8}]}]}]}
).encode()


@dataclass
class Answer:
    """A response that has been read."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def content_type(self) -> str:
        return self.headers["Content-Type"]

    @property
    def error(self) -> Status:
        if self.content_type == JSON:
            return json_format.Parse(self.body, Status())
        assert self.content_type == PROTOBUF
        return Status.FromString(self.body)


async def send(client: aiohttp.ClientSession, method: str, path: str, body: Body = b"", **headers: str) -> Answer:
    headers = {key.replace("_", "-"): value for key, value in headers.items()}
    data = io.BytesIO(body) if isinstance(body, bytes) else body
    async with client.request(method, path, data=data, headers=headers) as response:
        return Answer(response.status, response.headers, await response.read())


async def post(
    client: aiohttp.ClientSession, body: Body, content_type: str = PROTOBUF, path: str = "/v1/traces", **headers: str
) -> Answer:
    return await send(client, "POST", path, body, Content_Type=content_type, **headers)


def retry_seconds(status: Status) -> float:
    (detail,) = status.details
    info = RetryInfo()
    assert detail.Unpack(info)
    seconds: float = info.retry_delay.ToTimedelta().total_seconds()
    return seconds


@pytest.mark.parametrize("signal", SIGNALS.values(), ids=str)
async def test_post_protobuf_reaches_exporter(rig: Rig, client: aiohttp.ClientSession, signal: Signal) -> None:
    body = payload(signal)

    response = await post(client, body, path=signal.http_path)

    assert (response.status, response.content_type, response.body) == (200, PROTOBUF, b"")
    assert [(batch.signal, batch.payload, batch.records) for batch in rig.exporter.batches] == [(signal, body, 1)]


@pytest.mark.parametrize("content_type", [JSON, "application/json; charset=utf-8", "Application/JSON;charset=UTF-8"])
async def test_post_json_reaches_exporter_as_protobuf(
    rig: Rig, client: aiohttp.ClientSession, content_type: str
) -> None:
    response = await post(client, TRACES_JSON, content_type)

    assert (response.status, response.content_type, response.body) == (200, JSON, b"{}")
    request = ExportTraceServiceRequest.FromString(rig.exporter.payloads[0])
    (span,) = request.resource_spans[0].scope_spans[0].spans
    assert (span.name, span.trace_id, span.span_id) == ("GET /", b"\xab" * 16, b"\xcd" * 8)


@pytest.mark.parametrize(("content_type", "body"), [(PROTOBUF, b""), (JSON, b"{}")])
async def test_post_empty_request_succeeds_without_exporter(
    rig: Rig, client: aiohttp.ClientSession, content_type: str, body: bytes
) -> None:
    rig.exporter.closed = True

    response = await post(client, body, content_type)

    assert response.status == 200


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


PACKERS = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("X-GZIP", gzip.compress),
    "members": ("gzip", lambda body: gzip.compress(body[:100]) + gzip.compress(b"") + gzip.compress(body[100:])),
    "padded": ("gzip", lambda body: gzip.compress(body) + bytes(1000)),
    "zlib": ("deflate", zlib.compress),
    "raw": ("deflate", raw_deflate),
    "identity": ("identity", bytes),
}


@pytest.mark.parametrize("size", [200, 3_000_000])
@pytest.mark.parametrize(("encoding", "pack"), PACKERS.values(), ids=PACKERS)
async def test_post_packed_reaches_exporter_unpacked(
    rig: Rig, client: aiohttp.ClientSession, encoding: str, pack: Callable[[bytes], bytes], size: int
) -> None:
    body = spans_of_size(size)

    response = await post(client, pack(body), Content_Encoding=encoding)

    assert response.status == 200
    assert rig.exporter.payloads == [body]
    assert rig.budget.in_use == 0


DAMAGED = {
    "gzip cut in trailer": ("gzip", gzip.compress(spans())[:-1]),
    "gzip cut in data": ("gzip", gzip.compress(spans_of_size(1_000_000))[:-20]),
    "gzip of nothing at all": ("gzip", b""),
    "gzip not packed": ("gzip", b"plain"),
    "gzip with tail": ("gzip", gzip.compress(spans()) + b"tail"),
    "gzip of many members": ("gzip", gzip.compress(b"") * 2000),
    "gzip with wrong checksum": ("gzip", gzip.compress(spans())[:-8] + bytes(8)),
    "deflate cut": ("deflate", zlib.compress(spans())[:-2]),
    "deflate with tail": ("deflate", zlib.compress(spans()) + b"tail"),
    "deflate not packed": ("deflate", b"\xff\xff\xff"),
}


@pytest.mark.parametrize(("encoding", "body"), DAMAGED.values(), ids=DAMAGED)
async def test_post_damaged_packing_answers_400(
    rig: Rig, client: aiohttp.ClientSession, encoding: str, body: bytes
) -> None:
    response = await post(client, body, Content_Encoding=encoding)

    assert response.status == 400
    assert encoding in response.error.message
    assert not rig.exporter.batches


@pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
async def test_post_malformed_answers_400_status_in_request_encoding(
    rig: Rig, client: aiohttp.ClientSession, content_type: str
) -> None:
    response = await post(client, b"\xff not it", content_type)

    assert (response.status, response.content_type) == (400, content_type)
    status = response.error
    assert status.code == 3
    assert status.message
    assert not status.details
    assert not rig.exporter.batches


@pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
async def test_post_unavailable_answers_503_with_retry_after(
    rig: Rig, client: aiohttp.ClientSession, content_type: str
) -> None:
    rig.exporter.run(Unavailable("MongoDB is away", retry_after=4.0))

    response = await post(client, spans() if content_type == PROTOBUF else TRACES_JSON, content_type)

    assert response.status == 503
    assert response.headers["Retry-After"] == "1"
    status = response.error
    assert (status.code, status.message) == (14, "MongoDB is away")
    assert 1.0 <= retry_seconds(status) <= 1.25


async def test_post_overloaded_answers_503_with_retry_after(rig: Rig, client: aiohttp.ClientSession) -> None:
    rig.exporter.run(Overloaded("buffer full", retry_after=5.0))

    response = await post(client, spans())

    assert response.status == 503
    assert response.headers["Retry-After"] == "1"
    assert response.error.code == 8


@pytest.mark.parametrize("bug", [KeyError("secret"), asyncio.CancelledError(), AssertionError()])
async def test_post_unforeseen_error_answers_503_and_is_logged(
    rig: Rig, client: aiohttp.ClientSession, logs: LogLines, bug: BaseException
) -> None:
    rig.exporter.run(bug)

    response = await post(client, spans())

    assert response.status == 503
    assert b"secret" not in response.body
    assert "Retry-After" in response.headers
    assert len([line for line in logs if line["log_level"] in {"warning", "error"}]) == 1


async def test_post_partly_rejected_answers_200_with_partial_success(rig: Rig, client: aiohttp.ClientSession) -> None:
    rig.exporter.run(ExportResult(1, "too large"), ExportResult(1, "too large"))

    protobuf = await post(client, spans())
    as_json = await post(client, TRACES_JSON, JSON)

    assert protobuf.status == as_json.status == 200
    partial = ExportTraceServiceResponse.FromString(protobuf.body).partial_success
    assert (partial.rejected_spans, partial.error_message) == (1, "too large")
    assert json.loads(as_json.body) == {"partialSuccess": {"rejectedSpans": "1", "errorMessage": "too large"}}


async def test_post_long_answer_is_packed_where_client_takes_gzip(rig: Rig, http_receiver: HttpReceiver) -> None:
    message = "a span was refused; " * 100
    rig.exporter.run(ExportResult(1, message), ExportResult(1, message))
    headers = {"Content-Type": PROTOBUF, "Accept-Encoding": "gzip"}

    url = f"http://{http_receiver.endpoint}/v1/traces"
    async with aiohttp.ClientSession(auto_decompress=False, skip_auto_headers=["Accept-Encoding"]) as client:
        packed = await (await client.post(url, data=spans(), headers=headers)).read()
        plain = await (await client.post(url, data=spans(), headers={"Content-Type": PROTOBUF})).read()

    assert gzip.decompress(packed) == plain
    assert len(packed) < len(plain)


@pytest.mark.parametrize("content_type", ["text/plain", "application/grpc", "multipart/form-data", ""])
async def test_post_other_content_type_answers_415(rig: Rig, client: aiohttp.ClientSession, content_type: str) -> None:
    response = await post(client, spans(), content_type)

    assert response.status == 415
    assert PROTOBUF in response.error.message
    assert response.headers["Accept"] == f"{PROTOBUF}, {JSON}, application/x-ndjson"


async def test_post_other_content_encoding_answers_415(client: aiohttp.ClientSession) -> None:
    response = await post(client, b"x", Content_Encoding="zstd")

    assert response.status == 415
    assert response.headers["Accept-Encoding"] == "gzip, deflate"
    assert "zstd" in response.error.message


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_other_method_answers_405_with_allow(client: aiohttp.ClientSession, method: str) -> None:
    response = await send(client, method, "/v1/traces", Content_Type=JSON)

    assert response.status == 405
    assert response.headers["Allow"] == "POST"
    assert response.error.message


@pytest.mark.parametrize("path", ["/", "/v1development/profiles", "/v1/traces/", "/v1/spans"])
@pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
async def test_other_path_answers_404(client: aiohttp.ClientSession, path: str, content_type: str) -> None:
    response = await post(client, b"", content_type, path=path)

    assert (response.status, response.content_type) == (404, content_type)
    assert "/v1/traces" in response.error.message


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
async def test_post_exactly_at_limit_succeeds(
    rig: Rig, client: aiohttp.ClientSession, pack: Callable[[bytes], bytes]
) -> None:
    body = spans_of_size(LIMIT)

    response = await post(client, pack(body), Content_Encoding="identity" if pack is bytes else "gzip")

    assert response.status == 200
    assert [len(taken) for taken in rig.exporter.payloads] == [LIMIT]


async def test_post_19_mebibytes_with_usual_limit_succeeds(rig: Rig) -> None:
    receiver = HttpReceiver("127.0.0.1:0", rig.handler, converter=CONVERTER, max_request_bytes=20 << 20)
    await receiver.start()

    async with aiohttp.ClientSession(f"http://{receiver.endpoint}") as client:
        response = await post(client, spans_of_size(19 << 20))
    await receiver.stop(1.0)

    assert response.status == 200
    assert [len(taken) for taken in rig.exporter.payloads] == [19 << 20]


async def chunked(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 1 << 20):
        yield body[start : start + (1 << 20)]


@pytest.mark.parametrize("how", ["length", "chunked", "gzip", "bomb"])
async def test_post_over_limit_answers_413_for_good(rig: Rig, client: aiohttp.ClientSession, how: str) -> None:
    body = spans_of_size(LIMIT + 1)
    headers = {}
    if how in {"gzip", "bomb"}:
        body = gzip.compress(body if how == "gzip" else bytes(10 * LIMIT))
        headers["Content_Encoding"] = "gzip"

    response = await post(client, chunked(body) if how == "chunked" else body, **headers)

    assert response.status == 413
    assert "Retry-After" not in response.headers
    status = response.error
    assert (status.code, len(status.details)) == (8, 0)
    assert not rig.exporter.batches
    assert rig.budget.in_use == 0


async def test_post_chunked_reaches_exporter(rig: Rig, client: aiohttp.ClientSession) -> None:
    body = spans_of_size(3_000_000)

    response = await post(client, chunked(body))

    assert response.status == 200
    assert rig.exporter.payloads == [body]


async def test_post_many_at_once_all_answered(rig: Rig, client: aiohttp.ClientSession) -> None:
    bodies = [spans([f"span {number}"]) for number in range(200)]

    responses = await asyncio.gather(*(post(client, body) for body in bodies))

    assert {response.status for response in responses} == {200}
    assert sorted(rig.exporter.payloads) == sorted(bodies)


async def test_post_past_memory_budget_answers_503_while_others_hold_it() -> None:
    rig = make_rig(budget_bytes=1_000_000)
    receiver = HttpReceiver("127.0.0.1:0", rig.handler, converter=CONVERTER, max_request_bytes=LIMIT)
    await receiver.start()
    rig.exporter.hold()

    async with aiohttp.ClientSession(f"http://{receiver.endpoint}") as client:
        alone = asyncio.ensure_future(post(client, spans_of_size(2_000_000)))
        await rig.exporter.entered.wait()
        refused = [
            await post(client, spans_of_size(200_000)),
            await post(client, gzip.compress(spans_of_size(500_000)), Content_Encoding="gzip"),
        ]
        rig.exporter.open.set()
        taken = await alone
    await receiver.stop(1.0)

    assert [response.status for response in refused] == [503, 503]
    assert taken.status == 200
    assert rig.budget.in_use == 0


async def test_post_small_gets_through_while_a_large_one_holds_the_budget() -> None:
    rig = make_rig(budget_bytes=1_000_000)
    receiver = HttpReceiver("127.0.0.1:0", rig.handler, converter=CONVERTER, max_request_bytes=LIMIT)
    await receiver.start()
    rig.exporter.hold()

    async with aiohttp.ClientSession(f"http://{receiver.endpoint}") as client:
        large = asyncio.ensure_future(post(client, spans_of_size(2_000_000)))
        await rig.exporter.entered.wait()
        small = asyncio.ensure_future(post(client, spans()))
        await eventually(lambda: rig.exporter.waiting == 2)
        rig.exporter.open.set()
        answers = await asyncio.gather(large, small)
    await receiver.stop(1.0)

    assert [response.status for response in answers] == [200, 200]


async def test_post_of_too_many_records_answers_413() -> None:
    rig = make_rig(max_records=2)
    receiver = HttpReceiver("127.0.0.1:0", rig.handler, converter=CONVERTER, max_request_bytes=LIMIT)
    await receiver.start()

    async with aiohttp.ClientSession(f"http://{receiver.endpoint}") as client:
        taken = await post(client, spans(["a", "b"]))
        refused = await post(client, spans(["a", "b", "c"]))
    await receiver.stop(1.0)

    assert (taken.status, refused.status) == (200, 413)
    assert "3 records, more than the 2" in refused.error.message


async def test_post_json_reserves_what_parsing_takes() -> None:
    rig = make_rig(budget_bytes=600_000)
    receiver = HttpReceiver("127.0.0.1:0", rig.handler, converter=CONVERTER, max_request_bytes=LIMIT)
    await receiver.start()
    rig.exporter.hold()
    body = json.dumps({"future": "x" * 150_000}).encode()

    async with aiohttp.ClientSession(f"http://{receiver.endpoint}") as client:
        other = asyncio.ensure_future(post(client, spans_of_size(200_000)))
        await rig.exporter.entered.wait()
        beside_other = await post(client, body, JSON)
        rig.exporter.open.set()
        await other
        alone = await post(client, body, JSON)
    await receiver.stop(1.0)

    assert (beside_other.status, alone.status) == (503, 200)


async def test_post_refused_logs_request_id_of_client(rig: Rig, client: aiohttp.ClientSession, logs: LogLines) -> None:
    await post(client, b"\xff", x_request_id="order-7")

    (line,) = [line for line in logs if line["log_level"] == "warning"]
    assert (line["request_id"], line["transport"], line["signal"]) == ("order-7", "http", "traces")
    assert line["peer"] == "127.0.0.1"


@pytest.mark.parametrize("origin", ["https://shop.example", "https://SHOP.example"])
async def test_cors_allowed_origin_may_send(client: aiohttp.ClientSession, origin: str) -> None:
    asks = {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}

    async with client.options("/v1/traces", headers=asks) as preflight:
        sent = await post(client, TRACES_JSON, JSON, Origin=origin)

    assert preflight.status == 204
    assert preflight.headers["Access-Control-Allow-Origin"] == origin
    assert preflight.headers["Access-Control-Allow-Methods"] == "POST"
    assert preflight.headers["Access-Control-Allow-Headers"] == "content-type"
    assert sent.headers["Access-Control-Allow-Origin"] == origin


async def test_cors_other_origin_gets_no_leave(client: aiohttp.ClientSession) -> None:
    asks = {"Origin": "https://evil.test", "Access-Control-Request-Method": "POST"}

    async with client.options("/v1/traces", headers=asks) as preflight:
        sent = await post(client, TRACES_JSON, JSON, Origin="https://evil.test")

    assert "Access-Control-Allow-Origin" not in preflight.headers
    assert "Access-Control-Allow-Origin" not in sent.headers


async def test_cors_off_by_default(rig: Rig) -> None:
    receiver = HttpReceiver("127.0.0.1:0", rig.handler, converter=CONVERTER, max_request_bytes=LIMIT)
    await receiver.start()
    asks = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}

    async with (
        aiohttp.ClientSession(f"http://{receiver.endpoint}") as client,
        client.options("/v1/traces", headers=asks) as preflight,
    ):
        pass
    await receiver.stop(1.0)

    assert preflight.status == 405
    assert not [name for name in preflight.headers if name.startswith("Access-Control")]


async def test_stop_answers_requests_in_flight_and_takes_no_more(
    rig: Rig, http_receiver: HttpReceiver, client: aiohttp.ClientSession
) -> None:
    rig.exporter.hold()
    in_flight = asyncio.ensure_future(post(client, spans()))
    await rig.exporter.entered.wait()

    stopping = asyncio.ensure_future(http_receiver.stop(10.0))
    await asyncio.sleep(0)
    async with aiohttp.ClientSession(f"http://{http_receiver.endpoint}") as late:
        with pytest.raises(aiohttp.ClientConnectionError):
            await post(late, spans())
    rig.exporter.open.set()

    assert (await in_flight).status == 200
    await stopping


@pytest.mark.parametrize("grace", [0.0, 0.1])
async def test_stop_after_grace_cancels_what_hangs(
    rig: Rig, http_receiver: HttpReceiver, client: aiohttp.ClientSession, grace: float
) -> None:
    rig.exporter.hold()
    in_flight = asyncio.ensure_future(post(client, spans()))
    await rig.exporter.entered.wait()

    async with asyncio.timeout(grace + 1.0):
        await http_receiver.stop(grace)

    with pytest.raises(aiohttp.ClientConnectionError):
        await in_flight
    await eventually(lambda: rig.exporter.cancelled == 1 and rig.budget.in_use == 0)


async def test_stop_with_idle_connection_is_prompt(http_receiver: HttpReceiver, client: aiohttp.ClientSession) -> None:
    await post(client, spans())

    async with asyncio.timeout(2):
        await http_receiver.stop(30.0)


async def test_stop_with_a_body_that_does_not_come_is_prompt(http_receiver: HttpReceiver) -> None:
    host, port = http_receiver.endpoint.rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n")
    writer.write(b"Content-Type: application/x-protobuf\r\nExpect: 100-continue\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 100")

    async with asyncio.timeout(5):
        await http_receiver.stop(30.0)

    writer.close()


async def test_start_port_in_use_names_endpoint(rig: Rig, http_receiver: HttpReceiver) -> None:
    second = HttpReceiver(http_receiver.endpoint, rig.handler, converter=CONVERTER, max_request_bytes=LIMIT)

    with pytest.raises(EndpointInUse, match=http_receiver.endpoint):
        await second.start()


async def test_start_unix_socket_serves_and_is_removed(rig: Rig, tmp_path: Path) -> None:
    path = tmp_path / "otlp.sock"
    receiver = HttpReceiver(f"unix:{path}", rig.handler, converter=CONVERTER, max_request_bytes=LIMIT)

    await receiver.start()
    async with aiohttp.ClientSession("http://sidecar", connector=aiohttp.UnixConnector(str(path))) as client:
        response = await post(client, spans())
    await receiver.stop(1.0)

    assert response.status == 200
    assert not path.exists()


async def test_post_json_with_a_bad_record_stores_the_others_and_says_which(
    rig: Rig, client: aiohttp.ClientSession
) -> None:
    spans = [{"name": "a", "startTimeUnixNano": "1"}, {"name": "b", "droppedAttributesCount": -1}]
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode()

    response = await post(client, body, JSON)

    partial = json.loads(response.body)["partialSuccess"]
    assert response.status == 200
    assert partial["rejectedSpans"] == "1"
    assert "spans[1].droppedAttributesCount must be" in partial["errorMessage"]
    assert [batch.records for batch in rig.exporter.batches] == [1]
    assert rig.count("refused_records_total", signal="traces") == 1
    assert rig.count("mended_requests_total", signal="traces") == 1


async def test_post_json_lines_are_stored_together(rig: Rig, client: aiohttp.ClientSession) -> None:
    line = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "a", "startTimeUnixNano": "1"}]}]}]})

    response = await post(client, f"{line}\n{line}\n".encode(), "application/x-ndjson")

    assert response.status == 200
    assert [batch.records for batch in rig.exporter.batches] == [2]


@pytest.mark.parametrize(
    "content_type", ["application/protobuf", "application/x-protobuf, application/x-protobuf", "Application/X-Protobuf"]
)
async def test_post_protobuf_by_other_names_is_stored(
    rig: Rig, client: aiohttp.ClientSession, content_type: str
) -> None:
    response = await post(client, spans(), content_type)

    assert response.status == 200
    assert rig.exporter.payloads == [spans()]


async def test_cors_allows_credentials_beside_the_origin_alone(client: aiohttp.ClientSession) -> None:
    asks = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}

    async with client.options("/v1/traces", headers=asks) as preflight:
        pass
    async with client.post(
        "/v1/traces", data=b"", headers={"Origin": "https://shop.example", "Content-Type": "application/x-protobuf"}
    ) as answer:
        pass

    for response in (preflight, answer):
        assert response.headers["Access-Control-Allow-Origin"] == "https://shop.example"
        assert response.headers["Access-Control-Allow-Credentials"] == "true"


async def test_cors_off_tells_which_setting_turns_it_on(rig: Rig) -> None:
    receiver = HttpReceiver("127.0.0.1:0", rig.handler, converter=CONVERTER, max_request_bytes=LIMIT)
    await receiver.start()
    asks = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}

    async with (
        aiohttp.ClientSession(f"http://{receiver.endpoint}") as client,
        client.options("/v1/traces", headers=asks) as answer,
    ):
        status = await answer.json()
    await receiver.stop(1.0)

    assert answer.status == 405
    assert "OTLP_MONGO_CORS_ORIGINS" in status["message"]
