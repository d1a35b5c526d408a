from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.elections import FAULTS
from tests.chaos.run import run, run_elections

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


async def test_chaos_short_run_loses_nothing_and_stores_nothing_twice(tmp_path: Path) -> None:
    outcome = await run(tmp_path, seed=7, seconds=7, every=(0.1, 0.8), buffer="3MiB")

    assert outcome.faults.total() >= 8
    assert outcome.verdict.acknowledged > 1000
    assert outcome.verdict.good, "\n".join(outcome.lines())


@pytest.mark.timeout(240)
async def test_elections_for_a_minute_lose_nothing_and_store_nothing_twice(tmp_path: Path) -> None:
    outcome = await run_elections(tmp_path, seed=11, seconds=60, every=(0.1, 1.0))

    print("\n".join(["seed 11", *outcome.lines()]))
    assert outcome.faults.keys() == FAULTS.keys()
    assert outcome.elections >= outcome.faults["primary killed"] + outcome.faults["primary stepped down"]
    assert outcome.verdict.acknowledged > 1000
    assert outcome.verdict.good, "\n".join(outcome.lines())
