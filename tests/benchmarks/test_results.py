"""Medians and ratios."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.results import RATIOS, medians
from tests.benchmarks.samples import MEASUREMENT, SCENARIO


def test_medians_three_rounds_give_the_middle_figure_of_each_kind() -> None:
    rounds = [replace(MEASUREMENT, cpu_micros_per_record=cpu, median_ms=9 - cpu) for cpu in (5.0, 3.0, 4.0)]

    result = medians(rounds)[SCENARIO]["native"]

    assert result == replace(MEASUREMENT, cpu_micros_per_record=4.0, median_ms=5.0)


def test_ratio_both_subjects_measured_divides_ours_by_theirs() -> None:
    rotel = replace(MEASUREMENT, subject="rotel", cpu_micros_per_record=2.5)

    ratio = RATIOS[0].of({"native": MEASUREMENT, "rotel": rotel})

    assert ratio == pytest.approx(1.6)


def test_ratio_one_subject_missing_is_none() -> None:
    ratio = RATIOS[0].of({"native": MEASUREMENT})

    assert ratio is None
