"""The program whose instructions are counted (instructions.py): `python -m benchmarks.counted PLAN < REQUESTS`.

PLAN is JSON; REQUESTS a pickled list of export requests, all of which are read however many are worked on.
"""

from __future__ import annotations

import gc
import json
import pickle
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from exporter import SIGNALS, Batch
from exporter.transcode.native import NativeTranscoder

STEPS = ("inspect", "transcode")
"""What the sidecar does with each request."""


@dataclass(frozen=True, slots=True)
class Work:
    """What is done by one transcoder, in turn."""

    signal: str
    requests: int
    """How many of those that are there."""
    records: int
    """In each request."""
    steps: Sequence[str] = STEPS

    @property
    def argv(self) -> Sequence[str]:
        """The program that does it."""
        return [sys.executable, "-m", "benchmarks.counted", json.dumps(asdict(self))]


def do(work: Work, requests: Sequence[bytes]) -> None:
    """Work through the first of these."""
    signal, transcoder = SIGNALS[work.signal], NativeTranscoder()
    for payload in requests[: work.requests]:
        if "inspect" in work.steps:
            transcoder.inspect(signal, payload)
        if "transcode" in work.steps:
            transcoder.transcode(Batch(signal, payload, 1 << 64, 1, work.records))


if __name__ == "__main__":
    gc.disable()  # it would look at all objects of the program, which are not the transcoder's
    do(Work(**json.loads(sys.argv[1])), pickle.load(sys.stdin.buffer))
