from __future__ import annotations

import json
from itertools import permutations

import aiohttp
import grpc
import grpc.aio
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from exporter import MalformedPayload, Signal
from receiver.other_signal import refuse_if_other
from tests.receiver.conftest import Rig
from tests.receiver.fakes import LOGS, METRICS, TRACES, payload, spans_of_size

PAIRS = list(permutations((TRACES, METRICS, LOGS), 2))


@pytest.mark.parametrize(("signal", "other"), PAIRS, ids=str)
async def test_grpc_request_of_another_signal_is_refused_by_name(
    rig: Rig, channel: grpc.aio.Channel, signal: Signal, other: Signal
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await channel.unary_unary(signal.grpc_method, None, None)(payload(other))

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert not rig.exporter.batches


@pytest.mark.parametrize(("signal", "other"), [(TRACES, LOGS), (TRACES, METRICS), (METRICS, TRACES), (METRICS, LOGS)])
async def test_refusal_tells_where_the_request_belongs(signal: Signal, other: Signal) -> None:
    with pytest.raises(MalformedPayload, match=f"looks like {other.name}.*/v1/{other.name}"):
        await refuse_if_other(signal, payload(other))


@pytest.mark.parametrize(("signal", "other"), PAIRS, ids=str)
async def test_json_of_another_signal_is_refused_by_name(
    rig: Rig, client: aiohttp.ClientSession, signal: Signal, other: Signal
) -> None:
    key = {"traces": "resourceSpans", "logs": "resourceLogs", "metrics": "resourceMetrics"}[other.name]
    body = json.dumps({key: [{"resource": {}, "schemaUrl": "https://example.org"}]})

    async with client.post(signal.http_path, data=body, headers={"Content-Type": "application/json"}) as response:
        status = await response.json()

    assert response.status == 400
    assert f"looks like {other.name}" in status["message"]


@pytest.mark.parametrize("signal", [TRACES, METRICS, LOGS], ids=str)
async def test_own_payload_passes(signal: Signal) -> None:
    await refuse_if_other(signal, payload(signal))


async def test_spans_of_which_none_has_ids_are_refused() -> None:
    request = TRACES.request()
    request.resource_spans.add().scope_spans.add().spans.add(name="a", trace_id=bytes(16), span_id=bytes(8))  # type: ignore[attr-defined]

    with pytest.raises(MalformedPayload, match="no span of the request has a valid trace id"):
        await refuse_if_other(TRACES, request.SerializeToString())


async def test_odd_span_among_others_passes() -> None:
    request = TRACES.request()
    spans = request.resource_spans.add().scope_spans.add().spans  # type: ignore[attr-defined]
    spans.add(name="odd")
    spans.add(name="even", trace_id=b"t" * 16, span_id=b"s" * 8)

    await refuse_if_other(TRACES, request.SerializeToString())


async def test_large_payload_is_left_alone_where_its_first_resource_is_too_much() -> None:
    await refuse_if_other(LOGS, spans_of_size(1_000_000))


async def test_resource_without_records_answers_a_warning(rig: Rig, channel: grpc.aio.Channel) -> None:
    request = TRACES.request()
    request.resource_spans.add().resource.attributes.add(key="k")  # type: ignore[attr-defined]

    answer = await channel.unary_unary(TRACES.grpc_method, None, None)(request.SerializeToString())

    partial = ExportTraceServiceResponse.FromString(answer).partial_success
    assert (partial.rejected_spans, "has no spans" in partial.error_message) == (0, True)
    assert rig.count("requests_total", signal="traces", transport="grpc", outcome="partial") == 1


@pytest.mark.parametrize(
    ("body", "warns"),
    [("{}", False), ('{"resourceSpans":[]}', False), ('{"spans":["there is none of this here"]}', True)],
)
async def test_json_without_anything_known_answers_a_warning(
    client: aiohttp.ClientSession, body: str, warns: bool
) -> None:
    async with client.post("/v1/traces", data=body, headers={"Content-Type": "application/json"}) as response:
        answer = await response.json()

    assert response.status == 200
    assert ("partialSuccess" in answer) == warns
