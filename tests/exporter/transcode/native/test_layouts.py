"""Attribute lists whose keys came before: written by a layout that was kept, exactly as if they had never come."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue, KeyValueList

from exporter.batch import Batch
from exporter.interfaces import Transcoder
from exporter.signals import TRACES
from exporter.transcode.reference import ReferenceTranscoder

native = pytest.importorskip("exporter.transcode.native", exc_type=ImportError)

Keys = Sequence[str]

_OFTEN = 4
"""A layout is kept when it comes for the second time, and used from the third time on."""
_numbers = count()


def attributes(keys: Keys) -> list[KeyValue]:
    """Each time with other values, of other types."""
    values = (
        AnyValue(int_value=next(_numbers)),
        AnyValue(string_value=f"text {next(_numbers)}"),
        AnyValue(kvlist_value=KeyValueList(values=[KeyValue(key="a.b", value=AnyValue(bool_value=True))])),
    )
    return [KeyValue(key=key, value=values[next(_numbers) % len(values)]) for key in keys]


def nested(keys: Keys, levels: int) -> AnyValue:
    """Maps within maps that all have these keys."""
    pairs = attributes(keys)
    if levels:
        pairs[0].value.CopyFrom(nested(keys, levels - 1))
    return AnyValue(kvlist_value=KeyValueList(values=pairs))


def payload(*lists: Sequence[KeyValue]) -> bytes:
    """A request with a span for each list."""
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for each in lists:
        spans.add().attributes.extend(each)
    return request.SerializeToString()


def documents(transcoder: Transcoder, data: bytes) -> list[bytes]:
    return list(transcoder.transcode(Batch(TRACES, data, 1, 1, transcoder.inspect(TRACES, data).records)))


def assert_agree(transcoder: Transcoder, data: bytes) -> None:
    assert documents(transcoder, data) == documents(ReferenceTranscoder(), data)


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param(["http.request.method", "http.route", "url.path", "http.request.size", "id"], id="nested"),
        pytest.param(["a.b.c.d.e", "a.b.x", "a.y", "z"], id="deep"),
        pytest.param(["a", "a.b", "c.d", "c"], id="leaf-in-the-way"),
        pytest.param(["a", "a", "b.c", "b.c"], id="repeated"),
        pytest.param(["", ".a", "$b", "c..d", "e.", "f\0g", "good.one", "attributesUnnested"], id="unnestable"),
        pytest.param(["only.$unnestable"], id="none-placed"),
        pytest.param(["ä.ö", "日本.語"], id="not-ascii"),
        pytest.param([f"group{n % 7}.key{n}" for n in range(32)], id="as-many-as-are-kept"),
        pytest.param([f"group{n % 7}.key{n}" for n in range(33)], id="more-than-are-kept"),
        pytest.param([".".join("abcdefgh") + f".{n}.{n}.{n}" for n in range(32)], id="more-steps-than-are-kept"),
        pytest.param([f"{n}." + "long" * 50 for n in range(10)], id="longer-than-are-kept"),
        pytest.param([".".join("s" * 63), ".".join("s" * 64)], id="as-deep-as-it-gets"),
    ],
)
def test_transcode_keys_that_came_before_other_values_written_alike(keys: Keys) -> None:
    transcoder = native.NativeTranscoder()

    for _ in range(_OFTEN):
        assert_agree(transcoder, payload(attributes(keys), attributes(keys)))


def test_transcode_lists_that_differ_in_the_middle_of_a_key_told_apart() -> None:
    transcoder = native.NativeTranscoder()
    alike = [["one.attribute", f"{first}.last-of-all"] for first in ("one", "two", "o.e", "..e")]

    for _ in range(_OFTEN):
        assert_agree(transcoder, payload(*map(attributes, alike)))


def test_transcode_same_keys_cut_elsewhere_told_apart() -> None:
    transcoder = native.NativeTranscoder()
    alike = [["ab", "c"], ["a", "bc"], ["abc"], ["abc", ""], ["", "abc"]]

    for _ in range(_OFTEN):
        assert_agree(transcoder, payload(*map(attributes, alike)))


def test_transcode_same_keys_at_other_levels_told_apart() -> None:
    transcoder = native.NativeTranscoder()
    keys = [".".join("s" * 40), "other"]

    for _ in range(_OFTEN):
        assert_agree(transcoder, payload([KeyValue(key="map", value=nested(keys, levels=25))]))


def test_transcode_more_layouts_than_are_kept_written_alike() -> None:
    transcoder = native.NativeTranscoder()
    many = [[f"group.key{n}", f"key.number.{n}"] for n in range(300)]

    for _ in range(_OFTEN):
        assert_agree(transcoder, payload(*map(attributes, many), *map(attributes, reversed(many))))


def test_transcode_layout_replaced_while_it_is_in_use_written_alike() -> None:
    transcoder = native.NativeTranscoder()
    outer = ["first.map", "second.map", "third"]

    def one() -> list[KeyValue]:
        pairs = attributes(outer)
        for pair in pairs[:2]:
            inner = [KeyValue(key=f"m{n}", value=nested([f"a.{n}", f"a.b{n}"], levels=2)) for n in range(150)]
            pair.value.CopyFrom(AnyValue(kvlist_value=KeyValueList(values=inner)))
        return pairs

    for _ in range(_OFTEN):
        assert_agree(transcoder, payload(one(), one()))
