"""The tables of what is measured fit together."""

from __future__ import annotations

import pytest

from benchmarks.results import RATIOS
from benchmarks.scenarios import CEILING, FULL, QUICK, Plan
from benchmarks.targets import targets


@pytest.mark.parametrize("plan", [FULL, QUICK], ids=["full", "quick"])
def test_plan_subjects_are_targets_or_the_ceiling(plan: Plan) -> None:
    subjects = {subject for scenario in plan.scenarios for subject in scenario.subjects}

    assert subjects <= targets().keys() | {CEILING}


@pytest.mark.parametrize("plan", [FULL, QUICK], ids=["full", "quick"])
def test_plan_rounds_are_odd_for_a_median_that_was_measured(plan: Plan) -> None:
    assert {(plan.rounds + scenario.extra_rounds) % 2 for scenario in plan.scenarios} == {1}


def test_ratios_compare_subjects_that_one_scenario_measures() -> None:
    together = [set(scenario.subjects) for scenario in FULL.scenarios]

    assert all(any({ratio.over, ratio.under} <= subjects for subjects in together) for ratio in RATIOS)
