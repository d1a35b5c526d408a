"""What the native converter has to be beyond right: sparing with time, memory and the interpreter's lock."""

from __future__ import annotations

import asyncio
import json
import tracemalloc

import pytest

from exporter import MalformedPayload
from receiver.otlp_json import Converter
from receiver.otlp_json.convert import MEND_BYTES, by_reference
from receiver.otlp_json.schema import Field, Integers, Kind, Message
from receiver.otlp_json.tables import tables_of
from receiver.otlp_json.wrong import path_of
from tests.receiver.fakes import METRICS, TRACES
from tests.receiver.otlp_json.converters import native

PADDING = " " * MEND_BYTES
STRAY_BYTES = 50_000
"""What other threads may allocate meanwhile."""
BEYOND_SECOND_LOOK = pytest.mark.parametrize("padding", ["", PADDING], ids=["small", "large"])


@pytest.fixture
def converter() -> Converter:
    return native()


def spans(*fields: str) -> str:
    return '{"resourceSpans":[{"scopeSpans":[{"spans":[' + ",".join(fields) + "]}]}]}"


def histogram(bounds: str) -> bytes:
    points = '[{"explicitBounds":[' + bounds + "]}]"
    metrics = '[{"histogram":{"dataPoints":' + points + "}}]"
    return ('{"resourceMetrics":[{"scopeMetrics":[{"metrics":' + metrics + "}]}]}").encode()


@BEYOND_SECOND_LOOK
@pytest.mark.parametrize(
    ("body", "where"),
    [
        (spans("{}", '{"traceId":"xyz"}'), "resourceSpans[0].scopeSpans[0].spans[1].traceId"),
        (spans('{"links":[{},{"span_id":7}]}'), "resourceSpans[0].scopeSpans[0].spans[0].links[1].span"),
        (spans("{}", "null"), "resourceSpans[0].scopeSpans[0].spans[1]"),
        ("[]", "the body"),
    ],
)
def test_wrong_body_of_any_size_is_refused_with_its_place(
    converter: Converter, body: str, where: str, padding: str
) -> None:
    with pytest.raises(MalformedPayload) as caught:
        converter.to_protobuf(TRACES, (body + padding).encode())

    assert where in str(caught.value)
    assert "ExportTraceServiceRequest" in str(caught.value)


def test_large_wrong_body_is_refused_with_its_offset(converter: Converter) -> None:
    body = spans('{"name":"a" "kind":2}') + PADDING
    offset = body.index('"kind"')

    with pytest.raises(MalformedPayload, match=rf"at byte {offset}\)"):
        converter.to_protobuf(TRACES, body.encode())


@pytest.mark.parametrize(
    "body", [spans('{"name":"a","name":"b"}'), spans('{"name":7,"name":"a"}'), spans('{"name":"a","name":null}')]
)
def test_field_given_twice_is_read_as_by_the_reference(converter: Converter, body: str) -> None:
    assert converter.to_protobuf(TRACES, body.encode()) == by_reference(TRACES, body.encode())


def test_field_given_twice_in_large_body_is_refused(converter: Converter) -> None:
    body = spans('{"name":"a","name":"b"}') + PADDING

    with pytest.raises(MalformedPayload, match=r"spans\[0\]\.name is not what it must be, or is there twice"):
        converter.to_protobuf(TRACES, body.encode())


@pytest.mark.parametrize(
    "value",
    ["0,", "1e3,", '"0",', '"\\u0030",', "0.30000000000000004,", "123456789012345678901234567890e-10,"],
)
def test_numbers_take_the_memory_that_is_reserved_at_most(converter: Converter, value: str) -> None:
    body = histogram((value * (1_000_000 // len(value)))[:-1])
    converter.to_protobuf(METRICS, b"{}")

    tracemalloc.start()
    try:
        payload = converter.to_protobuf(METRICS, body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert payload == by_reference(METRICS, body)
    assert len(body) + peak <= converter.memory_factor * (len(body) + STRAY_BYTES)


@pytest.mark.parametrize("unit", ["[],", "{},", '"",', "0,"])
def test_hostile_lists_take_the_memory_that_is_reserved_at_most(converter: Converter, unit: str) -> None:
    body = ('{"future":[' + (unit * (1_000_000 // len(unit)))[:-1] + "]}").encode()
    converter.to_protobuf(TRACES, b"{}")

    tracemalloc.start()
    try:
        converter.to_protobuf(TRACES, body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak <= len(body) + STRAY_BYTES


async def test_large_body_leaves_the_event_loop_free(converter: Converter) -> None:
    body = spans(*[json.dumps({"name": "GET /", "startTimeUnixNano": "1", "future": list(range(100))})] * 40_000)
    turns = 0

    conversion = asyncio.ensure_future(converter.convert_async(TRACES, body.encode()))
    while not conversion.done():
        await asyncio.sleep(0)
        turns += 1

    assert (await conversion).payload
    assert turns > 100


async def test_small_wrong_body_is_judged_off_the_event_loop_as_well(converter: Converter) -> None:
    converted = await converter.convert_async(TRACES, spans('{"name":7}').encode())

    assert "must be a string, not the number 7" in converted.reason


ZEROS = "0" * 150_000


@pytest.mark.parametrize("quote", ["", '"'])
@pytest.mark.parametrize(
    "number",
    [
        f"0.{ZEROS}1e100001",
        f"0.{ZEROS}1e150001",
        f"0.{ZEROS}12345678901234567890e150003",
        f"1{ZEROS}e-150000",
        f"1{ZEROS}.{ZEROS}e-149990",
        f"1e{ZEROS}5",
        f"1e-{ZEROS}",
        "1e-99999999999999999999999",
        "0e99999999999999999999999",
        "1e99999999999999999999999",
        f"{ZEROS}1",
        "2.2250738585072011e-308",
        "1.7976931348623158e308",
        "1.7976931348623159e308",
        "4.9406564584124654e-324",
        "2.4703282292062327e-324",
        "9007199254740993",
        "9007199254740992.999999999999999999999",
        "1e23",
        "8.5e22",
        "123456789e-22",
    ],
    ids=lambda number: number.replace(ZEROS, "0…0"),
)
def test_number_is_rounded_as_by_the_reference(number: str, quote: str) -> None:
    fuzzing = pytest.importorskip("tests.fuzz.json_differential", exc_type=ImportError)

    assert not fuzzing.difference(METRICS, histogram(quote + number + quote))


def field(name: str) -> Field:
    return Field(
        name=name,
        original_name=name,
        number=1,
        kind=Kind.STRING,
        wire_type=2,
        integers=Integers(0, 0),
        repeated=False,
        packed=False,
        presence=False,
        oneof=None,
        message=None,
        enum_numbers={},
    )


@pytest.mark.parametrize("names", [[f"f{number}" for number in range(65)], ["n" * 64]], ids=["fields", "name"])
def test_schema_beyond_the_tables_is_an_error(names: list[str]) -> None:
    with pytest.raises(ValueError, match=r"more than 64|longer than 63"):
        tables_of(Message("Future", [field(name) for name in names]))


def test_path_of_places_reads_as_in_a_program() -> None:
    assert path_of(["spans", 1, 0, "links", "name"]) == "spans[1][0].links.name"
