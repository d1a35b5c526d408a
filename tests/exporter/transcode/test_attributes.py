from __future__ import annotations

import struct
from typing import Any

import pytest
from bson import Int64

from exporter.interfaces import Transcoder
from exporter.transcode.reference.attributes import MAX_LEVEL
from tests.exporter.transcode.requests import (
    Text,
    add,
    document,
    log_request,
    metric_request,
    set_value,
    span_request,
    span_with,
)

DEEP = ".".join("d" * 63)
"""A key of 63 segments: in a span's `attributes`, its value stands at level 64."""


def test_attributes_dotted_keys_are_nested_in_order_of_first_mention(transcoder: Transcoder) -> None:
    pairs = [("http.request.method", "GET"), ("z", "1"), ("http.route", "/"), ("http.request.size", "2")]

    attributes = span_with(transcoder, pairs)["attributes"]

    assert attributes == {"http": {"request": {"method": "GET", "size": "2"}, "route": "/"}, "z": "1"}
    assert list(attributes) == ["http", "z"]
    assert list(attributes["http"]) == ["request", "route"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", "text"),
        ("nul\0inside", "nul\0inside"),
        ("", ""),
        (Text(b"\xff"), b"\xff"),
        (Text(b"\xed\xa0\x80"), b"\xed\xa0\x80"),
        (b"bytes", b"bytes"),
        (b"", b""),
        (True, True),
        (False, False),
        (0, Int64(0)),
        (2**63 - 1, Int64(2**63 - 1)),
        (-(2**63), Int64(-(2**63))),
        (1.5, 1.5),
        (None, None),
        ((), []),
        ((1, ("a", None)), [Int64(1), ["a", None]]),
        ([], {}),
        ([("a.b", 1)], {"a": {"b": Int64(1)}}),
        (([("a.b", 1)],), [{"a": {"b": Int64(1)}}]),
    ],
)
def test_attributes_value_of_each_type_keeps_its_type(transcoder: Transcoder, value: Any, expected: Any) -> None:
    written = span_with(transcoder, [("key", value)])["attributes"]["key"]

    assert written == expected
    assert type(written) is type(expected)


@pytest.mark.parametrize(
    "bits",
    ["000000000000f87f", "010000000000f07f", "efbeaddeefbef8ff", "0000000000000080", "000000000000f0ff"],
    ids=["quiet NaN", "signalling NaN", "NaN with a payload", "-0.0", "-Infinity"],
)
def test_attributes_double_is_kept_bit_for_bit(transcoder: Transcoder, bits: str) -> None:
    (value,) = struct.unpack("<d", bytes.fromhex(bits))

    written = span_with(transcoder, [("key", value)])["attributes"]["key"]

    assert struct.pack("<d", written).hex() == bits


def test_attributes_reference_to_string_table_is_null(transcoder: Transcoder) -> None:
    request, span = span_request()
    span.attributes.add(key=b"key").value.string_value_strindex = 7

    assert document(transcoder, "traces", request)["attributes"] == {"key": None}


def test_attributes_pair_without_value_is_null(transcoder: Transcoder) -> None:
    request, span = span_request()
    span.attributes.add(key=b"key")

    assert document(transcoder, "traces", request)["attributes"] == {"key": None}


@pytest.mark.parametrize(
    ("key", "written"),
    [
        ("", ""),
        (".", "."),
        ("a..b", "a..b"),
        (".a", ".a"),
        ("a.", "a."),
        ("$a", "$a"),
        ("a.$b", "a.$b"),
        ("a\0b", "a\0b"),
        (b"\xff", b"\xff"),
        (b"a.\xc0\x80", b"a.\xc0\x80"),
        ("attributesUnnested", "attributesUnnested"),
        ("a.attributesUnnested", "a.attributesUnnested"),
        (f"{DEEP}.d", f"{DEEP}.d"),
    ],
)
def test_attributes_key_that_cannot_be_placed_goes_whole_to_unnested(
    transcoder: Transcoder, key: str | bytes, written: str | bytes
) -> None:
    span = span_with(transcoder, [(key, "v")])

    assert span["attributesUnnested"] == [{"k": written, "v": "v"}]
    assert "attributes" not in span


@pytest.mark.parametrize("key", ["a$", "a.b$c", "_id", "0", "é", "k"])
def test_attributes_key_that_only_looks_odd_is_placed(transcoder: Transcoder, key: str) -> None:
    span = span_with(transcoder, [(key, "v")])

    assert "attributesUnnested" not in span


@pytest.mark.parametrize(
    ("first", "second"),
    [("a", "a"), ("a", "a.b"), ("a.b", "a"), ("a.b", "a.b.c"), ("a.b.c", "a.b"), ("a.b", "a.b")],
)
@pytest.mark.parametrize(
    "value", ["1", None, [("b", "1")], [], ()], ids=["string", "null", "map", "empty map", "array"]
)
def test_attributes_key_in_conflict_with_an_earlier_one_goes_to_unnested(
    transcoder: Transcoder, first: str, second: str, value: Any
) -> None:
    alone = span_with(transcoder, [(first, value)])

    both = span_with(transcoder, [(first, value), (second, "2")])

    assert both["attributes"] == alone["attributes"]
    assert both["attributesUnnested"] == [{"k": second, "v": "2"}]


def test_attributes_several_unplaced_keys_keep_their_order(transcoder: Transcoder) -> None:
    span = span_with(transcoder, [("$", 1), ("a", 2), ("", 3), ("a", 4)])

    assert [pair["k"] for pair in span["attributesUnnested"]] == ["$", "", "a"]
    assert list(span)[-2:] == ["attributes", "attributesUnnested"]


def test_attributes_map_keys_that_cannot_be_placed_go_last_into_the_map(transcoder: Transcoder) -> None:
    inner = [("", 1), ("a", 2), ("attributesUnnested", 3), ("a.b", 4), ("b.c", 5)]

    written = span_with(transcoder, [("map", inner)])["attributes"]["map"]

    assert list(written) == ["a", "b", "attributesUnnested"]
    assert [pair["k"] for pair in written["attributesUnnested"]] == ["", "attributesUnnested", "a.b"]


def test_attributes_unplaced_map_is_nested_inside(transcoder: Transcoder) -> None:
    span = span_with(transcoder, [("", [("a.b", 1), ("$", 2)])])

    assert span["attributesUnnested"] == [{"k": "", "v": {"a": {"b": 1}, "attributesUnnested": [{"k": "$", "v": 2}]}}]


def test_attributes_value_at_deepest_level_is_placed(transcoder: Transcoder) -> None:
    span = span_with(transcoder, [(DEEP, [("a", 1)])])

    assert "attributesUnnested" not in span
    deepest = span["attributes"]
    for _ in range(MAX_LEVEL - 1):
        deepest = deepest["d"]
    assert deepest == {"attributesUnnested": [{"k": "a", "v": 1}]}


@pytest.mark.parametrize(("segments", "placed"), [(61, True), (62, False)])
def test_attributes_levels_in_arrays_count(transcoder: Transcoder, segments: int, placed: bool) -> None:
    """The map stands at level 3: `attributes`, the array, its element."""
    key = ".".join("d" * segments)

    (written,) = span_with(transcoder, [("a", ([(key, 1)],))])["attributes"]["a"]

    assert ("attributesUnnested" not in written) is placed


@pytest.mark.parametrize(("segments", "placed"), [(61, True), (62, False)])
def test_attributes_levels_in_unnested_count(transcoder: Transcoder, segments: int, placed: bool) -> None:
    """The map stands at level 3: `attributesUnnested`, the pair, its `v`."""
    key = ".".join("d" * segments)

    (pair,) = span_with(transcoder, [("", [(key, 1)])])["attributesUnnested"]

    assert ("attributesUnnested" not in pair["v"]) is placed


@pytest.mark.parametrize(("segments", "placed"), [(59, True), (60, False)])
def test_attributes_levels_in_unnested_of_a_map_count(transcoder: Transcoder, segments: int, placed: bool) -> None:
    """The inner map stands at level 5: `attributes`, the outer map, its `attributesUnnested`, the pair, its `v`."""
    key = ".".join("d" * segments)

    (pair,) = span_with(transcoder, [("a", [("", [(key, 1)])])])["attributes"]["a"]["attributesUnnested"]

    assert ("attributesUnnested" not in pair["v"]) is placed


def test_attributes_of_every_owner_have_their_unnested_beside_them(transcoder: Transcoder) -> None:
    request, span = span_request()
    group = request.resource_spans[0]
    owners = [span, span.events.add(), span.links.add(), group.resource, group.scope_spans[0].scope]
    for owner in owners:
        add(owner.attributes, [("a", 1), ("$", 2)])

    written = document(transcoder, "traces", request)

    for owner in [written, *written["events"], *written["links"], written["resource"], written["scope"]]:
        assert owner["attributes"] == {"a": 1}
        assert owner["attributesUnnested"] == [{"k": "$", "v": 2}]


def test_attributes_under_other_names_have_their_unnested_too(transcoder: Transcoder) -> None:
    request, metric = metric_request()
    exemplar = metric.gauge.data_points.add().exemplars.add()
    add(metric.metadata, [("a", 1), ("$", 2)])
    add(exemplar.filtered_attributes, [("a", 1), ("$", 2)])

    written = document(transcoder, "metrics", request)

    assert written["metric"]["metadata"] == {"a": 1}
    assert written["metric"]["metadataUnnested"] == [{"k": "$", "v": 2}]
    assert written["exemplars"] == [
        {"filteredAttributes": {"a": 1}, "filteredAttributesUnnested": [{"k": "$", "v": 2}]}
    ]


@pytest.mark.parametrize(("segments", "placed"), [(62, True), (63, False)])
def test_attributes_of_resource_start_one_level_deeper(transcoder: Transcoder, segments: int, placed: bool) -> None:
    request, _ = span_request()
    add(request.resource_spans[0].resource.attributes, [(".".join("d" * segments), 1)])

    assert ("attributes" in document(transcoder, "traces", request)["resource"]) is placed


@pytest.mark.parametrize("shape", ["maps", "unplaceable maps", "arrays", "maps in arrays"])
def test_transcode_deepest_payloads_stay_insertable(transcoder: Transcoder, shape: str) -> None:
    """MongoDB refuses documents nested deeper than 180 levels; protobuf ends the payload's nesting."""
    request, log = log_request()
    add(log.attributes, [(".".join("d" * 63), _deepest(shape, messages_left=95))])
    set_value(log.body, _deepest(shape, messages_left=96))

    assert _depth(document(transcoder, "logs", request)) < 180


def _deepest(shape: str, messages_left: int) -> Any:
    """A value that contains `messages_left` messages, in a chain."""
    deeper = messages_left - (2 if shape == "arrays" else 5 if shape == "maps in arrays" else 3)
    if deeper < 0:
        return 1
    inner = _deepest(shape, deeper)
    match shape:
        case "maps":
            return [(".".join("d" * 60), inner)]
        case "unplaceable maps":
            return [("", inner)]
        case "arrays":
            return (inner,)
        case _:
            return ([("", inner)],)


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0
