from __future__ import annotations

import uuid
from typing import Any

import grpc
import pytest
from blake3 import blake3
from bson import Decimal128, Int64
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Exemplar,
    Gauge,
    Metric,
    NumberDataPoint,
    Summary,
    SummaryDataPoint,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from exporter import SIGNALS, Signal
from tests.end_to_end.shop import SECOND, assert_same, when
from tests.end_to_end.sidecar import Sidecar
from tests.end_to_end.wire import export_grpc, export_http, send_grpc, send_http

pytestmark = pytest.mark.integration

TRACES, METRICS, LOGS = (SIGNALS[name] for name in ("traces", "metrics", "logs"))
_PROFILES = "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export"


def _request(signal: Signal, service: str, *records: Message) -> Message:
    """Records of one resource, and of a scope that says nothing."""
    request = signal.request()
    resources, scopes, field = {
        "traces": ("resource_spans", "scope_spans", "spans"),
        "metrics": ("resource_metrics", "scope_metrics", "metrics"),
        "logs": ("resource_logs", "scope_logs", "log_records"),
    }[signal.name]
    resource = getattr(request, resources).add()
    resource.resource.attributes.append(_text("service.name", service))
    getattr(getattr(resource, scopes).add(), field).extend(records)
    return request


def _text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


def _source(service: str) -> dict[str, Any]:
    return {"resource": {"attributes": {"service": {"name": service}}}}


def _span(**fields: Any) -> Span:
    return Span(name="work", start_time_unix_nano=SECOND, end_time_unix_nano=SECOND + 1, **fields)


def _span_document(service: str, **fields: Any) -> dict[str, Any]:
    return {
        "name": "work",
        "kind": "UNSPECIFIED",
        **when("startTime", SECOND),
        **when("endTime", SECOND + 1),
        "durationNanos": Int64(1),
        "status": {"code": "UNSET"},
        **fields,
        **_source(service),
    }


def test_every_kind_of_value_keeps_its_type(sidecar: Sidecar, service: str) -> None:
    nested = AnyValue(
        kvlist_value=KeyValueList(
            values=[
                KeyValue(key="list", value=AnyValue(array_value=ArrayValue(values=[AnyValue(bool_value=True)]))),
                KeyValue(key="empty", value=AnyValue(kvlist_value=KeyValueList())),
            ]
        )
    )
    values = {
        "string": AnyValue(string_value="é\0"),
        "bool": AnyValue(bool_value=False),
        "int": AnyValue(int_value=-(2**63)),
        "double": AnyValue(double_value=float("-inf")),
        "bytes": AnyValue(bytes_value=b"\xff\x00"),
        "array": AnyValue(array_value=ArrayValue()),
        "map": nested,
        "nothing": AnyValue(),
    }
    span = _span(attributes=[KeyValue(key=key, value=value) for key, value in values.items()])

    export_grpc(sidecar.grpc, TRACES, _request(TRACES, service, span).SerializeToString())

    expected = {
        "string": "é\0",
        "bool": False,
        "int": Int64(-(2**63)),
        "double": float("-inf"),
        "bytes": b"\xff\x00",
        "array": [],
        "map": {"list": [True], "empty": {}},
        "nothing": None,
    }
    assert_same(sidecar.stored("spans", service), [_span_document(service, attributes=expected)])


def test_keys_that_cannot_be_nested_are_kept_whole(sidecar: Sidecar, service: str) -> None:
    unplaced = ["", "a..b", ".a", "a.", "$where", "x.$y", "n\0ul", "a.b", "a", "a.b.c"]
    span = _span(
        attributes=[_text(key, f"first {key}") for key in ("a.b", "c")] + [_text(key, key) for key in unplaced]
    )

    export_grpc(sidecar.grpc, TRACES, _request(TRACES, service, span).SerializeToString())

    expected = _span_document(
        service,
        attributes={"a": {"b": "first a.b"}, "c": "first c"},
        attributesUnnested=[{"k": key, "v": key} for key in unplaced],
    )
    assert_same(sidecar.stored("spans", service), [expected])


def test_text_that_is_not_utf8_is_kept_as_binary(sidecar: Sidecar, service: str) -> None:
    placeholder, wrong = b"placeholder", b"wrong \xff\xfe\xc0 !"[:11]
    assert len(placeholder) == len(wrong)
    span = _span(attributes=[_text("key", placeholder.decode()), _text(placeholder.decode(), "value")])
    body = _request(TRACES, service, span).SerializeToString().replace(placeholder, wrong)

    export_grpc(sidecar.grpc, TRACES, body)

    expected = _span_document(service, attributes={"key": wrong}, attributesUnnested=[{"k": wrong, "v": "value"}])
    assert_same(sidecar.stored("spans", service), [expected])


def test_summary_exemplar_and_large_counts_are_stored(sidecar: Sidecar, service: str) -> None:
    summary = SummaryDataPoint(
        time_unix_nano=SECOND,
        count=2**64 - 1,
        sum=1.5,
        quantile_values=[SummaryDataPoint.ValueAtQuantile(quantile=0.5, value=1.0)],
    )
    exemplar = Exemplar(
        time_unix_nano=SECOND,
        as_int=9,
        trace_id=b"\xab" * 16,
        span_id=b"\x01" * 8,
        filtered_attributes=[_text("user.id", "u1")],
    )
    point = NumberDataPoint(time_unix_nano=SECOND, as_double=0.0, exemplars=[exemplar], flags=1)
    metrics = [
        Metric(name="quantiles", summary=Summary(data_points=[summary])),
        Metric(name="with exemplar", gauge=Gauge(data_points=[point]), metadata=[_text("from", "test")]),
        Metric(name="without points", gauge=Gauge()),
    ]

    export_grpc(sidecar.grpc, METRICS, _request(METRICS, service, *metrics).SerializeToString())

    expected = [
        {
            "metric": {"name": "quantiles", "type": "summary"},
            **when("time", SECOND),
            "summary": {
                "count": Decimal128("18446744073709551615"),
                "sum": 1.5,
                "quantiles": [{"quantile": 0.5, "value": 1.0}],
            },
            **_source(service),
        },
        {
            "metric": {"name": "with exemplar", "type": "gauge", "metadata": {"from": "test"}},
            **when("time", SECOND),
            "flags": 1,
            "value": 0.0,
            "exemplars": [
                {
                    "value": Int64(9),
                    **when("time", SECOND),
                    "traceId": "ab" * 16,
                    "spanId": "01" * 8,
                    "filteredAttributes": {"user": {"id": "u1"}},
                }
            ],
            **_source(service),
        },
    ]
    assert_same(sidecar.stored("metrics", service), expected)


def test_same_bytes_over_both_transports_are_stored_once_under_the_defined_ids(sidecar: Sidecar, service: str) -> None:
    body = _request(TRACES, service, _span(), _span(), _span()).SerializeToString()

    export_grpc(sidecar.grpc, TRACES, body)
    plain = export_http(sidecar.http, TRACES, body)
    compressed = export_http(sidecar.http, TRACES, body, compress=True)

    assert (plain.status, compressed.status) == (200, 200)
    digest = int.from_bytes(blake3(b"traces\0" + body).digest(length=10)) >> 7
    base = (SECOND // 1_000_000) << 80 | 8 << 76 | (digest >> 61) << 64 | 2 << 62 | digest & ((1 << 61) - 1)
    expected = [uuid.UUID(int=base + index) for index in range(3)]
    assert [document["_id"] for document in sidecar.stored("spans", service)] == expected


def test_records_without_a_time_sent_twice_are_both_kept(sidecar: Sidecar, service: str) -> None:
    body = _request(
        TRACES, service, Span(name="timeless", trace_id=bytes([1] * 16), span_id=bytes([2] * 8))
    ).SerializeToString()

    export_grpc(sidecar.grpc, TRACES, body)
    export_grpc(sidecar.grpc, TRACES, body)

    assert sidecar.counts(service)["spans"] == 2


@pytest.mark.parametrize("signal", SIGNALS.values(), ids=SIGNALS)
def test_empty_request_succeeds(sidecar: Sidecar, signal: Signal) -> None:
    over_grpc = export_grpc(sidecar.grpc, signal, b"")
    over_http = export_http(sidecar.http, signal, b"")
    as_json = send_http(sidecar.http, signal.http_path, b"{}", "application/json")

    assert over_grpc == b""
    assert over_http == (200, "application/x-protobuf", b"")
    assert (as_json.status, as_json.body) == (200, b"{}")


@pytest.mark.parametrize("signal", SIGNALS.values(), ids=SIGNALS)
def test_malformed_request_is_refused_for_good(sidecar: Sidecar, signal: Signal) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        export_grpc(sidecar.grpc, signal, b"\xff not protobuf")
    over_http = export_http(sidecar.http, signal, b"\xff not protobuf")

    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (over_http.status, over_http.content_type) == (400, "application/x-protobuf")
    assert Status.FromString(over_http.body).message


def test_truncated_request_stores_nothing(sidecar: Sidecar, service: str) -> None:
    body = _request(TRACES, service, _span(), _span()).SerializeToString()

    answer = export_http(sidecar.http, TRACES, body[:-1])

    assert answer.status == 400
    assert sidecar.counts(service)["spans"] == 0


def test_profiles_are_not_implemented(sidecar: Sidecar) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        send_grpc(sidecar.grpc, _PROFILES, b"")
    over_http = send_http(sidecar.http, "/v1development/profiles", b"")

    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert over_http.status == 404
    assert Status.FromString(over_http.body).message
