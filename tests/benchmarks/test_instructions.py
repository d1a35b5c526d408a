"""Instructions per record: what is counted, and what is done with the counts."""

from __future__ import annotations

import os
import shutil

import pytest

from benchmarks.counted import Work
from benchmarks.instructions import callgrind, per_record, regressions


def test_per_record_start_and_first_request_dearer_counts_neither() -> None:
    def execute(work: Work) -> int:
        start, first = 400_000_000, 1_000_000
        return start + first + 7 * work.requests * work.records

    counts = per_record(execute, ["traces", "logs"])

    assert counts == {"traces": 7, "logs": 7}


@pytest.mark.timeout(240)  # valgrind takes fifty times a program's own time, on a busy machine yet more
def test_per_record_transcoding_alone_counts_what_is_done_in_compiled_code() -> None:
    _require_valgrind()

    counts = per_record(callgrind, ["traces"], records=50, steps=["transcode"])

    # A span's document has about 1,000 bytes, each of which is written.
    assert counts["traces"] > 1_000


def test_regressions_within_five_per_cent_are_none() -> None:
    worse = regressions({"traces": 105, "logs": 50}, {"traces": 100, "logs": 100})

    assert worse == []


def test_regressions_beyond_five_per_cent_name_signal_and_counts() -> None:
    worse = regressions({"traces": 106, "logs": 100}, {"traces": 100, "logs": 100})

    assert worse == ["traces: 106 instructions a record, 6.0% more than the 100 before"]


def _require_valgrind() -> None:
    """What is missing must not make a green run in CI."""
    if not shutil.which("valgrind"):
        (pytest.fail if os.environ.get("CI") else pytest.skip)("needs valgrind")
