from __future__ import annotations

import gzip

import pytest

from exporter.batch import Batch
from exporter.errors import MalformedPayload
from exporter.interfaces import Transcoder
from exporter.signals import LOGS, METRICS, SIGNALS, TRACES, Signal
from exporter.transcode.reference import ReferenceTranscoder
from exporter.transcode.reference.walks import WALKS
from tests.exporter.transcode.requests import log_request, metric_request, set_value, span_request

ALL_SIGNALS = pytest.mark.parametrize("signal", SIGNALS.values(), ids=lambda signal: signal.name)


def test_walks_every_signal_has_one() -> None:
    assert WALKS.keys() == SIGNALS.keys()


@ALL_SIGNALS
def test_inspect_empty_payload_has_no_records(signal: Signal, transcoder: Transcoder) -> None:
    assert transcoder.inspect(signal, b"")[:2] == (0, 0)
    assert len(transcoder.transcode(Batch(signal, b"", 0, 0, 0))) == 0


def test_inspect_span_time_is_start_or_else_end(transcoder: Transcoder) -> None:
    request, _ = span_request()
    spans = request.resource_spans[0].scope_spans[0].spans
    spans.add(end_time_unix_nano=7)
    spans.add(start_time_unix_nano=5)

    assert transcoder.inspect(TRACES, request.SerializeToString())[:2] == (3, 7)


def test_inspect_log_time_is_own_or_else_observed(transcoder: Transcoder) -> None:
    request, _ = log_request()
    logs = request.resource_logs[0].scope_logs[0].log_records
    logs.add(time_unix_nano=0, observed_time_unix_nano=7)
    logs.add(time_unix_nano=5)

    assert transcoder.inspect(LOGS, request.SerializeToString())[:2] == (3, 7)


def test_inspect_data_points_are_the_records(transcoder: Transcoder) -> None:
    request, metric = metric_request()
    metric.gauge.data_points.add(start_time_unix_nano=3)
    second = request.resource_metrics.add().scope_metrics.add().metrics.add()
    second.summary.data_points.add(time_unix_nano=9)

    assert transcoder.inspect(METRICS, request.SerializeToString())[:2] == (2, 9)


@ALL_SIGNALS
@pytest.mark.parametrize(
    "payload",
    [b"\x0a", b"\x0a\x05ab", b"\x00", b"\x7c", b"\x08" + b"\xff" * 11, b"\x7b", b"\x0f"],
    ids=["cut tag", "cut length", "field 0", "end of no group", "long varint", "open group", "wire type 7"],
)
def test_inspect_no_protobuf_is_malformed(signal: Signal, transcoder: Transcoder, payload: bytes) -> None:
    with pytest.raises(MalformedPayload, match=signal.request.DESCRIPTOR.name):
        transcoder.inspect(signal, payload)


@ALL_SIGNALS
@pytest.mark.parametrize(
    "payload", [b"\x08\x01", b"\x7b\x7c", b"\xf8\x07\x05"], ids=["other wire type", "group", "unknown field"]
)
def test_inspect_what_is_unknown_is_ignored(signal: Signal, transcoder: Transcoder, payload: bytes) -> None:
    assert transcoder.inspect(signal, payload)[:2] == (0, 0)


@pytest.mark.parametrize(("levels", "valid"), [(100, True), (101, False)])
def test_inspect_nesting_limit_counts_groups_too(transcoder: Transcoder, levels: int, valid: bool) -> None:
    payload = b"\x7b" * levels + b"\x7c" * levels

    if valid:
        assert transcoder.inspect(TRACES, payload)[:2] == (0, 0)
    else:
        with pytest.raises(MalformedPayload):
            transcoder.inspect(TRACES, payload)


@pytest.mark.parametrize(("arrays", "valid"), [(48, True), (49, False)])
def test_inspect_nesting_limit_is_100_messages_below_the_request(
    transcoder: Transcoder, arrays: int, valid: bool
) -> None:
    """The body is the 4th; each array in it adds two, itself and its element."""
    payload = b"\x08\x01"
    for _ in range(arrays):
        payload = _embedded(0x2A, _embedded(0x0A, payload))
    for tag in (0x2A, 0x12, 0x12, 0x0A):
        payload = _embedded(tag, payload)

    if valid:
        assert transcoder.inspect(LOGS, payload).records == 1
    else:
        with pytest.raises(MalformedPayload):
            transcoder.inspect(LOGS, payload)


def _embedded(tag: int, message: bytes) -> bytes:
    size, length = len(message), bytearray([tag])
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    return bytes([*length, size]) + message


def test_inspect_documents_beyond_the_bound_are_refused() -> None:
    request, _ = log_request()
    group = request.resource_logs[0]
    set_value(group.resource.attributes.add(key=b"large").value, "x" * 10_000)
    for _ in range(99):
        group.scope_logs[0].log_records.add()
    payload = request.SerializeToString()

    assert ReferenceTranscoder(max_documents_bytes=1_200_000).inspect(LOGS, payload).records == 100
    with pytest.raises(MalformedPayload, match="1000000 bytes"):
        ReferenceTranscoder(max_documents_bytes=1_000_000).inspect(LOGS, payload)


@pytest.mark.parametrize(
    ("payload", "hint"),
    [
        (b'{"resourceSpans": []}', "JSON"),
        (b'\r\n {"resourceSpans": []}', "JSON"),
        (b"[]", "JSON"),
        (gzip.compress(b"payload", mtime=0), "gzip"),
    ],
)
def test_inspect_something_else_names_what_it_looks_like(payload: bytes, hint: str) -> None:
    with pytest.raises(MalformedPayload, match=f"{len(payload)} bytes, which look like {hint}"):
        ReferenceTranscoder().inspect(TRACES, payload)
