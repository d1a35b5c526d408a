from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.power_cut.cuts import PLACE, Plan, cut_power, cut_recovery, run_workload
from tests.power_cut.workloads import WORKLOADS

pytestmark = pytest.mark.timeout(180)

_SEED = 7


@pytest.mark.parametrize("workload", sorted(WORKLOADS.keys() - {"recovery"}))
async def test_power_cut_at_any_moment_loses_nothing_acknowledged(
    disk_library: Path, tmp_path: Path, workload: str
) -> None:
    random = Random(_SEED)
    run = run_workload(disk_library, workload, tmp_path)

    outcome = await cut_power(run, random, Plan(answers=8, moments=30))
    again = await cut_recovery(disk_library, outcome.leftovers, tmp_path / "again", random, Plan(1, 3, 0))

    assert outcome.problems == []
    assert again.problems == []
    assert outcome.cuts >= 40
    assert outcome.required > 200
    assert again.cuts >= 30


@pytest.mark.parametrize("weaken", [("OFF", "all"), ("NORMAL", "all"), ("OFF", "new")])
async def test_sync_that_is_missing_is_noticed(disk_library: Path, tmp_path: Path, weaken: tuple[str, str]) -> None:
    """What the buffer asks of SQLite is asked less of: at all times, or only while a file is made."""
    run = run_workload(disk_library, "appends", tmp_path, PLACE, *weaken)

    outcome = await cut_power(run, Random(_SEED), Plan(answers=8, moments=0))

    assert any("lost: 1 for cloud" in problem for problem in outcome.problems)
