"""Fuzzing of the native transcoder against the reference: the same answer for the same bytes, whatever they are.

`python -m tests.fuzz.differential --seconds 60` runs it; a difference ends it with the payload in hexadecimal.
Payloads are generated, or with `--corpus` those of a folder that a coverage-guided fuzzer filled (`build/fuzz/found`,
`tests/fuzz/corpus`); each is compared, and mutants of it.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random, SystemRandom

import bson

from exporter.batch import Batch
from exporter.errors import MalformedPayload
from exporter.interfaces import Inspection, Transcoder
from exporter.signals import LOGS, METRICS, TRACES, Signal
from exporter.transcode.limits import MAX_DOCUMENTS_BYTES
from exporter.transcode.native import NativeTranscoder
from exporter.transcode.reference import ReferenceTranscoder
from tests.descriptors import descriptor_of
from tests.fuzz.generate import mutated, payload

CORPUS_SIGNALS = (TRACES, LOGS, METRICS)
"""What the first byte of an input of the corpus chooses from (native_core.pyx)."""
_TIGHT_DOCUMENTS_BYTES = 1024
"""A bound that many payloads are over, so that the exact size decides."""
_MUTANTS = 9
"""Of each payload: they cost much less than the payload itself."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that a transcoder makes of a payload."""

    inspection: Inspection | None
    refusal: str
    documents: tuple[bytes, ...]


class Comparison:
    """Both transcoders, side by side."""

    def __init__(self, max_documents_bytes: int) -> None:
        self._native = NativeTranscoder(max_documents_bytes=max_documents_bytes)
        self._reference = ReferenceTranscoder(max_documents_bytes=max_documents_bytes)

    def difference(self, signal: Signal, data: bytes) -> str:
        """What differs, in words; empty when nothing does."""
        native, reference = outcome(self._native, signal, data), outcome(self._reference, signal, data)
        if native == reference:
            return ""
        return f"{signal.name} {data.hex()}\nnative:    {_shown(native)}\nreference: {_shown(reference)}"


def outcome(transcoder: Transcoder, signal: Signal, data: bytes) -> Outcome:
    """Inspect a payload and, when it is good, transcode it."""
    try:
        inspection = transcoder.inspect(signal, data)
    except MalformedPayload as error:
        return Outcome(None, str(error), ())
    batch = Batch(signal, data, (1 << 127) - 1, 1_700_000_000_123_456_789, inspection.records)
    # What documents take in memory is an estimate for small payloads, and each transcoder has its own.
    return Outcome(inspection._replace(memory_bytes=0), "", tuple(transcoder.transcode(batch)))


def _shown(shown: Outcome) -> str:
    return f"{shown.inspection} {shown.refusal} {[(bson.decode(each), each.hex()) for each in shown.documents]}"


Source = Callable[[Random], tuple[Signal, bytes]]
"""Draws a payload to begin with."""


def generated(rng: Random) -> tuple[Signal, bytes]:
    """A payload made by its signal's descriptor."""
    signal = rng.choice(CORPUS_SIGNALS)
    return signal, payload(rng, descriptor_of(signal.request))


def from_corpus(folder: Path) -> Source:
    """Payloads that a coverage-guided fuzzer found worth keeping."""
    inputs = [path.read_bytes() for path in sorted(folder.iterdir())]
    known = [(CORPUS_SIGNALS[data[0] % len(CORPUS_SIGNALS)], data[1:]) for data in inputs if data]
    return lambda rng: rng.choice(known)


def fuzz(
    rng: Random, seconds: float = math.inf, most_runs: float = math.inf, source: Source = generated
) -> tuple[int, str]:
    """How many payloads were compared, and what differed for the last one; empty when nothing did for any."""
    comparisons = [Comparison(bound) for bound in (MAX_DOCUMENTS_BYTES, _TIGHT_DOCUMENTS_BYTES)]
    deadline = time.monotonic() + seconds
    runs = 0
    while time.monotonic() < deadline and runs < most_runs:
        comparison = rng.choice(comparisons)
        signal, original = source(rng)
        for data in (original, *(mutated(rng, original) for _ in range(_MUTANTS))):
            runs += 1
            if difference := comparison.difference(signal, data):
                return runs, difference
    return runs, ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=SystemRandom().getrandbits(32))
    parser.add_argument("--corpus", type=Path, help="a folder of inputs to begin with, instead of generated payloads")
    arguments = parser.parse_args()
    source = from_corpus(arguments.corpus) if arguments.corpus else generated
    runs, difference = fuzz(Random(arguments.seed), arguments.seconds, source=source)
    print(f"seed {arguments.seed}: {runs} payloads, {difference or 'no difference'}")
    return 1 if difference else 0


if __name__ == "__main__":
    sys.exit(main())
