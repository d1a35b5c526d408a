"""What the load generator overwrites in a request must be times and ids, and all of them."""

from __future__ import annotations

import json

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from benchmarks.payloads import templates
from benchmarks.telemetry import EPOCH
from exporter.signals import SIGNALS

SHIFT = 3_600_000_000_000


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("records", [1, 500])
def test_templates_any_signal_hold_so_many_records(signal: str, records: int) -> None:
    made = templates(signal, records)

    assert all(template.records == records for template in made)
    assert sum(template.records for template in made) >= 500
    assert len({template.payload for template in made}) == len(made)


def test_times_of_protobuf_shifted_at_their_offsets_move_every_span() -> None:
    template = templates("traces", 10)[0]
    before = ExportTraceServiceRequest.FromString(template.payload)
    payload = bytearray(template.payload)

    for offset in template.times:
        word = slice(offset, offset + 8)
        payload[word] = (int.from_bytes(payload[word], "little") + SHIFT).to_bytes(8, "little")

    for span in _spans(before):
        span.start_time_unix_nano += SHIFT
        span.end_time_unix_nano += SHIFT
    assert ExportTraceServiceRequest.FromString(bytes(payload)) == before


def test_ids_of_protobuf_blanked_at_their_offsets_leave_none() -> None:
    template = templates("traces", 10)[0]
    payload = bytearray(template.payload)

    for offset in template.ids:
        payload[offset : offset + 8] = bytes(8)

    spans = _spans(ExportTraceServiceRequest.FromString(bytes(payload)))
    assert {span.trace_id for span in spans} == {bytes(16)}
    assert {span.span_id for span in spans} == {bytes(8)}
    assert {span.parent_span_id for span in spans} == {b"", bytes(8)}


def test_offsets_of_json_point_at_decimal_times_and_hex_ids() -> None:
    template = templates("logs", 10, "json")[0]

    times = [int(template.payload[offset : offset + 19]) for offset in template.times]
    ids = [bytes.fromhex(template.payload[offset : offset + 16].decode()) for offset in template.ids]

    records = json.loads(template.payload)["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    assert times == [int(record[key]) for record in records for key in ("timeUnixNano", "observedTimeUnixNano")]
    assert b"".join(ids).hex() == "".join(record["traceId"] + record["spanId"] for record in records)
    assert all(0 <= time - EPOCH < 2_000_000_000 for time in times)


def test_templates_of_spans_are_of_the_size_that_figures_are_given_for() -> None:
    (template,) = templates("traces", 500)

    size = len(template.payload) / template.records

    assert size == pytest.approx(404, abs=1)


def _spans(request: ExportTraceServiceRequest) -> list[Span]:
    return list(request.resource_spans[0].scope_spans[0].spans)
