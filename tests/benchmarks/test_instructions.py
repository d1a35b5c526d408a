from __future__ import annotations

from benchmarks.instructions import regressions


def test_regressions_within_five_per_cent_are_none() -> None:
    worse = regressions({"traces": 105, "logs": 50}, {"traces": 100, "logs": 100})

    assert worse == []


def test_regressions_beyond_five_per_cent_name_signal_and_counts() -> None:
    worse = regressions({"traces": 106, "logs": 100}, {"traces": 100, "logs": 100})

    assert worse == ["traces: 106 instructions a record, 6.0% more than the 100 before"]
