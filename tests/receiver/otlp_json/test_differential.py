from __future__ import annotations

import copy
import json
import random
import re
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter import SIGNALS, MalformedPayload, Signal
from receiver.otlp_json import Converter, from_protobuf
from tests.descriptors import descriptor_of
from tests.receiver.otlp_json import stock
from tests.receiver.otlp_json.converters import reference
from tests.receiver.otlp_json.messages import any_message, as_otlp

STRANGE: list[Any] = [
    *(None, True, False, [], {}, "", [None], [[]], [{}], {"a": 1}, [1], ["a"]),
    *(0, -1, 7, 2**31, 2**32, 2**63, 2**64, 2**70, -(2**31) - 1, -(2**63), -(2**63) - 1),
    *(0.0, -0.0, 1.5, 1e3, 1e19, -1.0, 1e300, 5e-324),
    *("0", "-0", "1", "-1", "+1", "1e3", "1.0", "1.5", "1_0", " 1", "1 ", "0x1", "\u0663", "1" * 30, "1e999", "01"),
    *("NaN", "nan", "Infinity", "-Infinity", "inf", "-inf", "18446744073709551615", "18446744073709551616"),
    *("ab", "AB", "abc", "a b", "zz", "YQ", "YQ=", "YQ==", "Y", "-_-_", "+/+/", "Y\nQ", "a=b", "====", "é"),
    *("SPAN_KIND_SERVER", "STATUS_CODE_ERROR", "SEVERITY_NUMBER_INFO", "ENUM_OF_THE_FUTURE", "true"),
]  # fmt: skip


def strange(rng: random.Random) -> Any:
    """A value of its own: one that two documents shared could be put into itself, and then has no end."""
    return copy.deepcopy(rng.choice(STRANGE))


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container and key or index in a document."""
    found: list[tuple[Any, Any]] = []
    pending = [value]
    while pending:
        container = pending.pop()
        items = container.items() if isinstance(container, dict) else enumerate(container)
        for key, inner in list(items):
            found.append((container, key))
            if isinstance(inner, dict | list):
                pending.append(inner)
    return found


def mutate(document: dict[str, Any], rng: random.Random) -> None:
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        if not (found := places(document)):
            return
        container, key = rng.choice(found)
        other, other_key = rng.choice(found)
        moved = copy.deepcopy(other[other_key])
        match rng.randrange(8):
            case 0 | 1 | 2 | 3:
                container[key] = strange(rng)
            case 4:
                container[key] = moved
            case 5:
                container[key] = [container[key]]
            case 6 if isinstance(container, dict):
                snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in key)
                container[snake] = container.pop(key) if rng.random() < 0.7 else container[key]
            case _ if isinstance(container, dict):
                container[str(other_key) if rng.random() < 0.9 else "[a.b]"] = moved


def test_mutated_documents_hold_no_container_twice_and_change_no_shared_value() -> None:
    before = copy.deepcopy(STRANGE)

    for seed in range(300):
        document: dict[str, Any] = {"a": [{"b": 1}], "c": {"d": []}}
        for _ in range(10):
            mutate(document, random.Random(seed))
        containers = [
            id(inner) for container, key in places(document) if isinstance(inner := container[key], dict | list)
        ]

        assert len(containers) == len(set(containers))
    assert before == STRANGE


@pytest.mark.parametrize("signal", SIGNALS.values(), ids=str)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_any_message_in_otlp_json_becomes_the_same_message(converter: Converter, signal: Signal, seed: int) -> None:
    rng = random.Random(seed)
    message = any_message(signal.request, rng)
    body = json.dumps(as_otlp(message, rng)).encode()

    parsed = converter.to_protobuf(signal, body)

    assert signal.request.FromString(parsed).SerializeToString() == message.SerializeToString()
    assert len(parsed) == message.ByteSize()  # nothing is written that is not needed


@pytest.mark.parametrize("signal", SIGNALS.values(), ids=str)
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_any_message_to_json_and_back_is_the_same_message(converter: Converter, signal: Signal, seed: int) -> None:
    message = any_message(signal.request, random.Random(seed))

    back = converter.to_protobuf(signal, from_protobuf(signal, message.SerializeToString()))

    assert signal.request.FromString(back).SerializeToString() == message.SerializeToString()


@pytest.mark.parametrize("signal", SIGNALS.values(), ids=str)
@settings(max_examples=250, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_mutated_json_is_judged_as_by_the_stock_parser(signal: Signal, seed: int) -> None:
    rng = random.Random(seed)
    document = as_otlp(any_message(signal.request, rng), rng)
    mutate(document, rng)
    body = json.dumps(document).encode()

    ours, theirs = judged(reference(), signal, body), stock.read(signal, body)

    if ours != (theirs and theirs.SerializeToString()):
        differences = list(stock.deliberate_differences(orjson.loads(body), descriptor_of(signal.request)))
        assert differences, (ours, theirs)
        assert ours is None or any("extension" in text for text in differences)


def judged(converter: Converter, signal: Signal, body: bytes) -> bytes | None:
    try:
        return signal.request.FromString(converter.to_protobuf(signal, body)).SerializeToString()
    except MalformedPayload:
        return None


@pytest.mark.parametrize("signal", SIGNALS.values(), ids=str)
@settings(max_examples=250, deadline=None)
@given(seed=st.integers(0, 2**32), mutates=st.booleans())
def test_native_converter_gives_the_bytes_of_the_reference(signal: Signal, seed: int, mutates: bool) -> None:
    fuzzing = pytest.importorskip("tests.fuzz.json_differential", exc_type=ImportError)
    rng = random.Random(seed)
    document = as_otlp(any_message(signal.request, rng), rng)
    if mutates:
        mutate(document, rng)
    body = spelled(document, rng)

    assert not fuzzing.difference(signal, body)
    assert not fuzzing.difference(signal, fuzzing.mutated(rng, body))


def test_corpus_of_the_fuzzer_gives_the_bytes_of_the_reference() -> None:
    fuzzing = pytest.importorskip("tests.fuzz.json_differential", exc_type=ImportError)

    differences = [fuzzing.difference(signal, body) for signal, body in fuzzing.inputs(fuzzing.CORPUS)]

    assert len(differences) > 50
    assert not any(differences)


def spelled(document: object, rng: random.Random) -> bytes:
    """As JSON, with white space, escapes and exponents as writers may differ in them."""
    text = json.dumps(document, ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, None, 0, "\t \r"]))
    if rng.random() < 0.5:
        text = re.sub(r'"[^"\\]*"', lambda string: escaped(string.group(), rng), text)
    return text.encode()


def escaped(string: str, rng: random.Random) -> str:
    return re.sub(
        "[!#-~]", lambda letter: escape(letter.group(), rng) if rng.random() < 0.1 else letter.group(), string
    )


def escape(letter: str, rng: random.Random) -> str:
    return "\\/" if letter == "/" else f"\\u{ord(letter):04{rng.choice('xX')}}"


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    "resourceSpans",
                    "scopeSpans",
                    "spans",
                    "traceId",
                    "attributes",
                    "key",
                    "value",
                    "kvlistValue",
                    "values",
                    "events",
                ]
            )
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("signal", SIGNALS.values(), ids=str)
@settings(max_examples=150, deadline=None)
@given(document=JSON_VALUES)
def test_any_json_is_taken_or_refused_as_malformed(converter: Converter, signal: Signal, document: object) -> None:
    with suppress(MalformedPayload):
        signal.request.FromString(converter.to_protobuf(signal, json.dumps(document).encode()))


@settings(max_examples=150, deadline=None)
@given(body=st.binary(max_size=30))
def test_any_bytes_are_taken_or_refused_as_malformed(converter: Converter, body: bytes) -> None:
    with suppress(MalformedPayload):
        converter.to_protobuf(SIGNALS["traces"], body)
