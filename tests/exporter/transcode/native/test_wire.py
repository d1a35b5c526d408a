"""What a protobuf parser takes and what it refuses, byte by byte, in both transcoders.

The expectations are those of upb, the parser under protobuf's Python package.
"""

from __future__ import annotations

import bson
import pytest

from exporter.batch import Batch
from exporter.errors import MalformedPayload
from exporter.interfaces import Transcoder
from exporter.signals import LOGS, METRICS, TRACES, Signal


def sized(tag: int, data: bytes) -> bytes:
    """A field of wire type LEN."""
    size = len(data)
    groups = []
    while size > 0x7F:
        groups.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([tag << 3 | 2, *groups, size]) + data


def request(record: bytes) -> bytes:
    """The record in a scope in a resource: the same in all signals."""
    return sized(1, sized(2, sized(2, record)))


def nested(levels: int, leaf: bytes = b"") -> bytes:
    """An AnyValue with arrays in arrays, each of which is two messages more."""
    for _ in range(levels):
        leaf = sized(5, sized(1, leaf))
    return leaf


def groups(levels: int) -> bytes:
    return b"\xa3\x06" * levels + b"\xa4\x06" * levels


def only_document(transcoder: Transcoder, signal: Signal, payload: bytes) -> dict[str, object]:
    records, *_ = transcoder.inspect(signal, payload)
    (document,) = transcoder.transcode(Batch(signal, payload, 0, 0, records))
    return bson.decode(document)


@pytest.mark.parametrize(
    "record",
    [
        pytest.param("00 01", id="field number 0"),
        pytest.param("06", id="wire type 6"),
        pytest.param("07", id="wire type 7"),
        pytest.param("85", id="cut tag"),
        pytest.param("f8 ff ff ff 1f 01", id="tag over 32 bits"),
        pytest.param("b0 80 80 80 80 00 01", id="tag of 6 bytes"),
        pytest.param("30", id="cut varint"),
        pytest.param("30 81 80 80 80 80 80 80 80 80 80 01", id="varint of 11 bytes"),
        pytest.param("39 01 02 03 04 05 06 07", id="cut fixed64"),
        pytest.param("85 01 01 02 03", id="cut fixed32"),
        pytest.param("2a 05 61", id="string behind the end"),
        pytest.param("2a 80 80 80 80 80 00", id="size of 6 bytes"),
        pytest.param("2a ff ff ff ff 0f", id="size over 31 bits"),
        pytest.param("0c", id="end of no group"),
        pytest.param("0b", id="group without an end"),
        pytest.param("0b 14", id="end of another group"),
        pytest.param("7a 01 0b 0c", id="group that leaves its message"),
        pytest.param("0b 0f 0c", id="wire type 7 in a group"),
        pytest.param("0b 2a 05 0c", id="string behind the end in a group"),
        pytest.param("7a 02 18", id="cut message"),
        pytest.param("4a 02 12 05", id="cut value of an attribute"),
        pytest.param("4a 06 12 04 2a 02 0a 09", id="cut value in an array"),
    ],
)
def test_inspect_malformed_span_is_refused(transcoder: Transcoder, record: str) -> None:
    payload = request(bytes.fromhex(record))

    with pytest.raises(MalformedPayload, match="no valid protobuf encoding of ExportTraceServiceRequest"):
        transcoder.inspect(TRACES, payload)


@pytest.mark.parametrize(
    ("record", "field", "expected"),
    [
        pytest.param("30 82 80 80 80 80 80 80 80 80 00", "kind", "SERVER", id="varint in too many bytes"),
        pytest.param("b0 80 80 80 00 02", "kind", "SERVER", id="tag in too many bytes"),
        pytest.param("30 82 80 80 80 10", "kind", "SERVER", id="enum cut to 32 bits"),
        pytest.param("30 ff ff ff ff ff ff ff ff ff 01", "kind", -1, id="negative enum"),
        pytest.param("30 01 30 02", "kind", "SERVER", id="the last one wins"),
        pytest.param("35 02 00 00 00 30 02", "kind", "SERVER", id="known field with another wire type"),
        pytest.param("30 02 32 01 01", "kind", "SERVER", id="a scalar is never packed"),
        pytest.param("2a 80 80 80 80 00", "kind", "UNSPECIFIED", id="size in too many bytes"),
        pytest.param("7a 02 18 02 7a 03 12 01 78", "status", {"code": "ERROR", "message": "x"}, id="merged message"),
        pytest.param("7a 02 18 02 7a 00", "status", {"code": "ERROR"}, id="merged with an empty message"),
        pytest.param("0b 08 01 30 01 0c 30 02", "kind", "SERVER", id="fields in an unknown group"),
        pytest.param("0b 00 01 0c 30 02", "kind", "SERVER", id="field number 0 in an unknown group"),
        pytest.param("50 ff ff ff ff ff ff ff ff ff 01", "droppedAttributesCount", 2**32 - 1, id="uint32 cut"),
        pytest.param("4a 07 12 02 18 05 0a 01 61", "attributes", {"a": 5}, id="value before key"),
    ],
)
def test_transcode_odd_span_follows_protobuf(transcoder: Transcoder, record: str, field: str, expected: object) -> None:
    document = only_document(transcoder, TRACES, request(bytes.fromhex(record)))

    assert document[field] == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("2a 04 0a 02 18 01 2a 04 0a 02 18 02", [1, 2], id="arrays in a row are merged"),
        pytest.param("2a 04 0a 02 18 01 18 05 2a 04 0a 02 18 02", [2], id="another member starts anew"),
        pytest.param("2a 04 0a 02 18 01 10 00", False, id="the last member wins"),
        pytest.param("2a 04 0a 02 18 01 28 00", [1], id="another wire type does not count"),
        pytest.param("18 01 40 07", None, id="an index into a string table"),
        pytest.param("10 80 80 80 80 80 80 80 80 80 01", True, id="bool of a high bit"),
        pytest.param("10 80 80 80 80 80 80 80 80 80 02", False, id="bool of a bit too high"),
        pytest.param("32 05 0a 03 0a 01 61 32 05 0a 03 0a 01 62", {"a": None, "b": None}, id="maps are merged"),
    ],
)
def test_transcode_log_body_follows_protobuf(transcoder: Transcoder, value: str, expected: object) -> None:
    document = only_document(transcoder, LOGS, request(sized(5, bytes.fromhex(value))))

    assert document["body"] == expected


def test_transcode_body_said_several_times_is_merged(transcoder: Transcoder) -> None:
    array = nested(1, bytes.fromhex("18 01"))

    document = only_document(transcoder, LOGS, request(sized(5, array) + sized(7, b"") + sized(5, array)))

    assert document["body"] == [1, 1]


@pytest.mark.parametrize(
    ("body", "valid"),
    [
        (nested(48), True),
        (nested(48, sized(5, b"")), False),
        (nested(48, b"\x18\x01"), True),
        (nested(47) + groups(96), True),
        (groups(96), True),
        (groups(97), False),
        (nested(47, groups(2)), True),
        (nested(47, groups(3)), False),
    ],
)
def test_inspect_nesting_up_to_100_messages_is_valid(transcoder: Transcoder, body: bytes, valid: bool) -> None:
    payload = request(sized(5, body))

    try:
        transcoder.inspect(LOGS, payload)
        taken = True
    except MalformedPayload:
        taken = False

    assert taken == valid


def test_transcode_packed_and_single_numbers_are_one_list(transcoder: Transcoder) -> None:
    counts = sized(6, (1).to_bytes(8, "little") + (2).to_bytes(8, "little")) + b"\x31" + (3).to_bytes(8, "little")
    metric = sized(9, sized(1, counts + sized(6, b"")))

    document = only_document(transcoder, METRICS, request(metric))

    assert document["histogram"] == {"count": 0, "counts": [1, 2, 3]}


def test_inspect_packed_numbers_of_a_wrong_size_are_refused(transcoder: Transcoder) -> None:
    payload = request(sized(9, sized(1, sized(6, bytes(7)))))

    with pytest.raises(MalformedPayload):
        transcoder.inspect(METRICS, payload)


def test_transcode_metric_of_two_kinds_takes_the_last(transcoder: Transcoder) -> None:
    gauge, total = sized(5, sized(1, b"")), sized(7, sized(1, b"") + sized(1, b""))
    payload = request(gauge + total)

    records, *_ = transcoder.inspect(METRICS, payload)
    documents = [bson.decode(each) for each in transcoder.transcode(Batch(METRICS, payload, 0, 0, records))]

    assert [document["metric"]["type"] for document in documents] == ["sum", "sum"]


def test_transcode_resource_behind_its_records_is_in_each(transcoder: Transcoder) -> None:
    scope, resource = sized(2, sized(2, b"")), sized(1, b"\x10\x05")

    document = only_document(transcoder, TRACES, sized(1, scope + resource))

    assert document["resource"] == {"droppedAttributesCount": 5}
