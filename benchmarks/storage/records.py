"""Fresh documents, as the sidecar makes them of fresh requests."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

from benchmarks.payloads import Template, templates
from exporter import SIGNALS, BatchFactory
from exporter.interfaces import Documents
from exporter.transcode.native import NativeTranscoder

RECORDS_A_SECOND = 5_000
"""How fast the times in the records run."""
_WORD = 8
_SEEDS = range(1, 17)
"""Each makes a resource of its own, of one of four services."""


def fresh_documents(signal: str, records: int) -> Iterator[Documents]:
    """The documents of one export request after another, without end, the same each time.

    As telemetry does, they come in the order of their times but for a second, and their ids are random.
    """
    transcoder = NativeTranscoder()
    factory = BatchFactory(transcoder)
    requests = [template for seed in _SEEDS for template in templates(signal, records, seed=seed)]
    rng = random.Random(records)
    step = 1_000_000_000 * records // RECORDS_A_SECOND
    for number in itertools.count():
        payload = _fresh(rng.choice(requests), number * step, rng.getrandbits(8 * _WORD))
        yield transcoder.transcode(factory.make(SIGNALS[signal], payload))


def _fresh(template: Template, later: int, mask: int) -> bytes:
    """A request with its times `later` by so many nanoseconds. One mask for all ids: a parent stays a span's parent."""
    payload = bytearray(template.payload)
    for offset in template.times:
        word = slice(offset, offset + _WORD)
        payload[word] = (int.from_bytes(payload[word], "little") + later).to_bytes(_WORD, "little")
    for offset in template.ids:
        word = slice(offset, offset + _WORD)
        payload[word] = (int.from_bytes(payload[word], "little") ^ mask).to_bytes(_WORD, "little")
    return bytes(payload)
