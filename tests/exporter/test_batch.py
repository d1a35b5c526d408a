from __future__ import annotations

import uuid

import pytest
from blake3 import blake3

from exporter.batch import Batch, BatchFactory, content_id
from exporter.errors import MalformedPayload
from exporter.signals import LOGS, TRACES
from exporter.transcode.reference import ReferenceTranscoder
from tests.exporter.transcode.requests import span_request

START = 1_700_000_000_123_456_789
NOW = 1_763_928_574_123_456_789


def payload_of(spans: int, start: int = START) -> bytes:
    request, span = span_request()
    span.start_time_unix_nano = start
    for _ in range(spans - 1):
        request.resource_spans[0].scope_spans[0].spans.add()
    encoded: bytes = request.SerializeToString()
    return encoded


def make(payload: bytes, *, deduplicate: bool = True, now: int = NOW) -> Batch:
    return BatchFactory(ReferenceTranscoder(), deduplicate=deduplicate, clock=lambda: now).make(TRACES, payload)


def test_make_valid_payload_keeps_it_as_received() -> None:
    payload = payload_of(3)

    batch = make(payload)

    assert (batch.signal, batch.payload, batch.records, batch.received_unix_nano) == (TRACES, payload, 3, NOW)


def test_make_malformed_payload_is_refused() -> None:
    with pytest.raises(MalformedPayload):
        make(b"\x0a")


def test_base_id_is_a_uuid8_of_the_first_time() -> None:
    base_id = make(payload_of(1)).base_id

    identifier = uuid.UUID(int=base_id)
    assert identifier.version == 8
    assert identifier.variant == uuid.RFC_4122
    assert base_id >> 80 == START // 1_000_000


def test_base_id_holds_the_digest_as_documented() -> None:
    payload = payload_of(1)
    digest = int.from_bytes(blake3(b"traces\0" + payload).digest())

    base_id = content_id(TRACES, payload, START)

    assert base_id >> 64 & 0xFFF == digest >> 244
    assert base_id & ((1 << 62) - 1) == digest >> (256 - 73) & ((1 << 61) - 1)


def test_base_id_of_the_same_bytes_is_the_same_whenever_received() -> None:
    assert make(payload_of(2)).base_id == make(payload_of(2), now=NOW + 1).base_id


def test_base_id_of_other_bytes_or_another_signal_is_another() -> None:
    payload = payload_of(1)

    ids = {content_id(TRACES, payload, START), content_id(LOGS, payload, START), make(payload_of(2)).base_id}

    assert len(ids) == 3


def test_base_id_leaves_room_for_the_index() -> None:
    """Adding the largest index there can be never reaches the variant."""
    highest = content_id(TRACES, payload_of(1), START) | ((1 << 61) - 1)

    assert uuid.UUID(int=highest + (1 << 61) - 1).variant == uuid.RFC_4122


@pytest.mark.parametrize(("start", "deduplicate"), [(0, True), (START, False), (0, False)])
def test_base_id_without_times_or_deduplication_is_random(start: int, deduplicate: bool) -> None:
    payload = payload_of(1, start)

    first, second = make(payload, deduplicate=deduplicate), make(payload, deduplicate=deduplicate)

    assert first.base_id != second.base_id
    assert first.base_id >> 80 == NOW // 1_000_000
    assert uuid.UUID(int=first.base_id).version == 8
    assert uuid.UUID(int=first.base_id).variant == uuid.RFC_4122
    assert not first.base_id >> 61 & 1
