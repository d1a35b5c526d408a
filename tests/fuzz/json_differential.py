"""Fuzzing of the native JSON converter against the reference: the same bytes for the same JSON, whatever it is.

`python -m tests.fuzz.json_differential --seconds 60` runs it; a difference ends it with the body.
Bodies are mutants of those in a folder: the corpus, or what a coverage-guided fuzzer found (`build/fuzz/json-found`).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from random import Random, SystemRandom

from exporter import SIGNALS, MalformedPayload, Signal
from receiver.otlp_json.convert import by_reference
from receiver.otlp_json.native import NativeConverter
from receiver.otlp_json.schema import schema_of
from receiver.otlp_json.tables import tables_of
from receiver.otlp_json.wrong import Refused
from tests.descriptors import descriptor_of

CORPUS = Path(__file__).parent / "corpus-json"
CORPUS_SIGNALS = tuple(SIGNALS[name] for name in ("traces", "logs", "metrics"))
"""What the first byte of an input chooses from (json_core.pyx)."""
NATIVE = {
    signal.name: NativeConverter(tables_of(schema_of(descriptor_of(signal.request)))) for signal in CORPUS_SIGNALS
}
TOKENS = [
    *(b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"null", b"true", b"false", b"{}", b"[]", b'""', b"[null]"),
    *(b"0", b"-0", b"-1", b"1e3", b"1.50", b"-0.0", b"01", b"1e999", b"1e-999", b"0.1e1", b"9223372036854775808"),
    *(b"18446744073709551615", b"18446744073709551616", b"-9223372036854775808", b"-9223372036854775809"),
    *(b'"0"', b'"-0"', b'"1e3"', b'"007"', b'"NaN"', b'"-Infinity"', b'"Infinity"', b'"+1"'),
    *(b"0.30000000000000004", b"2.2250738585072011e-308", b"1.7976931348623159e308", b"123456789012345678901234567890"),
    *(b"9007199254740993", b"9007199254740993.0", b"5e-324", b"2.5e-324", b"8.5e22", b"1e23", b"12345678901234567e-5"),
    *(b"\\u0041", b"\\ud83d\\ude00", b"\\ud83d", b"\\ude00", b"\\u00e9", b"\\u0000", b"\\/", b"\\n", b"\\x", b"\\u12"),
    *(b"\xc3\xa9", b"\xf0\x9f\x98\x80", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x00", b"\x1f"),
    *(b" ", b"\n\t\r ", b"\x0b", b"\xef\xbb\xbf", b'"ab"', b'"AbC"', b'"YQ=="', b'"-_"', b'"SPAN_KIND_SERVER"', b'"X"'),
    *(b'"traceId":', b'"trace_id":', b'"\\u0074raceId":', b'"name":', b'"value":', b'"asInt":', b'"asDouble":'),
    *(b'"a":', b'"00000000000000000000007"'),
]  # fmt: skip


def difference(signal: Signal, body: bytes) -> str:
    """What differs, in words; empty when nothing does, or when the native converter leaves a body to the reference."""
    native, reference = _native(signal, body), _reference(signal, body)
    if native == reference or (native is None and is_left_to_reference(body)):
        return ""
    return f"{signal.name} {body!r}\nnative:    {native!r}\nreference: {reference!r}"


def is_left_to_reference(body: bytes) -> bool:
    """Whether an object has a key twice."""
    found = False

    def pairs(items: list[tuple[str, object]]) -> None:
        nonlocal found
        found = found or len({key for key, _ in items}) < len(items)

    json.loads(body, object_pairs_hook=pairs)
    return found


def _native(signal: Signal, body: bytes) -> bytes | None:
    try:
        return NATIVE[signal.name].convert(body)
    except Refused:
        return None


def _reference(signal: Signal, body: bytes) -> bytes | None:
    try:
        return by_reference(signal, body)
    except MalformedPayload:
        return None


def mutated(rng: Random, body: bytes) -> bytes:
    """A body like another, but for a few of its bytes."""
    mutant = bytearray(body)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(mutant) + 1)
        width = rng.choice((0, 0, 1, 1, 2, 5, 20))
        piece = rng.choice((b"", rng.choice(TOKENS), rng.choice(TOKENS), rng.randbytes(1), _piece(rng, mutant)))
        mutant[at : at + width] = piece
    return bytes(mutant)


def _piece(rng: Random, body: bytearray) -> bytes:
    at = rng.randrange(len(body) + 1)
    return bytes(body[at : at + rng.choice((1, 4, 16, 64))])


def inputs(folder: Path) -> list[tuple[Signal, bytes]]:
    """What a fuzzer keeps: a byte that chooses the signal, and a body."""
    contents = [path.read_bytes() for path in sorted(folder.iterdir())]
    return [(CORPUS_SIGNALS[data[0] % len(CORPUS_SIGNALS)], data[1:]) for data in contents if data]


def fuzz(rng: Random, seconds: float, folder: Path) -> tuple[int, str]:
    """How many bodies were compared, and what differed for the last one; empty when nothing did for any."""
    known = inputs(folder)
    deadline = time.monotonic() + seconds
    runs = 0
    for signal, body in known:
        runs += 1
        if found := difference(signal, body):
            return runs, found
    while time.monotonic() < deadline:
        signal, body = rng.choice(known)
        runs += 1
        if found := difference(signal, mutated(rng, body)):
            return runs, found
    return runs, ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=SystemRandom().getrandbits(32))
    parser.add_argument("--corpus", type=Path, default=CORPUS, help="a folder of inputs to begin with")
    arguments = parser.parse_args()
    runs, found = fuzz(Random(arguments.seed), arguments.seconds, arguments.corpus)
    print(f"seed {arguments.seed}: {runs} bodies, {found or 'no difference'}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
