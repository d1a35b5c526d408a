"""What holds for every payload."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.batch import Batch, BatchFactory
from exporter.errors import MalformedPayload
from exporter.interfaces import Transcoder
from exporter.signals import SIGNALS, Signal
from tests.inverse import rebuild
from tests.otlp_strategies import REQUESTS, payloads
from tests.otlp_trees import records

RECEIVED = 1_763_928_574_123_456_789

every_signal = pytest.mark.parametrize("signal", SIGNALS.values(), ids=lambda signal: signal.name)
thorough = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), database=None)


@every_signal
@thorough
@given(data=st.data())
def test_transcode_any_valid_payload_loses_nothing(signal: Signal, transcoder: Transcoder, data: Any) -> None:
    payload = data.draw(payloads(signal))
    batch = BatchFactory(transcoder, clock=lambda: RECEIVED).make(signal, payload)

    rebuilt = [rebuild(signal.name, document, RECEIVED) for document in transcoder.transcode(batch)]

    assert [record for _, record in rebuilt] == list(records(REQUESTS[signal.name].FromString(payload)))
    assert [int.from_bytes(record_id) for record_id, _ in rebuilt] == [batch.base_id + i for i in range(batch.records)]
    assert all(record_id.subtype == 4 for record_id, _ in rebuilt)


@every_signal
@thorough
@given(payload=st.binary(max_size=64))
def test_inspect_random_bytes_are_transcoded_or_malformed(
    signal: Signal, transcoder: Transcoder, payload: bytes
) -> None:
    _transcode_or_refuse(transcoder, signal, payload)


@every_signal
@thorough
@given(data=st.data())
def test_inspect_damaged_payload_is_transcoded_or_malformed(signal: Signal, transcoder: Transcoder, data: Any) -> None:
    payload = bytearray(data.draw(payloads(signal)))
    for _ in range(data.draw(st.integers(1, 3))):
        if payload:
            payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))

    damaged = bytes(payload[: data.draw(st.integers(0, len(payload)))])

    _transcode_or_refuse(transcoder, signal, damaged)


def _transcode_or_refuse(transcoder: Transcoder, signal: Signal, payload: bytes) -> None:
    try:
        inspection = transcoder.inspect(signal, payload)
    except MalformedPayload:
        return
    documents = transcoder.transcode(Batch(signal, payload, 1 << 64, RECEIVED, inspection.records))
    assert [rebuild(signal.name, document, RECEIVED)[1] for document in documents] == list(
        records(REQUESTS[signal.name].FromString(payload))
    )
    assert len(documents) == inspection.records
